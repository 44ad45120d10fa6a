//! The REST interface. It knows the store, a read-only view of the collector, the archive of flows, and a `Notify` that
//! signals a change of senders; never a socket of the collector or a shard.
//!
//! | file | what lives there |
//! | --- | --- |
//! | `routes/` | one file for each kind of resource |
//! | `auth` | authentication: keys, signatures and sessions; reads the body |
//! | `party` | who a request is from: everything limited is shared between parties |
//! | `places` | a limited number of things; the party with the most gives way |
//! | `turns` | a limited number of turns, for which parties wait in rotation |
//! | `connections` | places: which connection is closed when too many are open |
//! | `answers` | places: the memory of answers that clients do not read |
//! | `queues` | turns: how many requests of a key are worked on at a time |
//! | `work_turns`, `background` | turns of processors: reads of the store and of the archive, large bodies and answers |
//! | `flow_archive` | the archive that is asked, and questions to it |
//! | `log_readers` | what can be ordered of the readers of the log |
//! | `headers` | headers that every answer has |
//! | `metrics` | the collector's view in Prometheus' text format |
//! | `store_probe` | whether the store answers, asked once a second at most |
//! | `selected` | the senders that an answer is about: one, or a group whose counters are added up |
//! | `kept` | which ranges of time can be answered from what is kept |
//! | `interface_names` | names of interfaces in the time of a question, and shares of their speed |
//! | `json` | strict reading of bodies: every error names its path |
//! | `diagnosis` | what is wrong, as `netflow doctor` finds it |
//! | `now` | what happens now, in one picture for all that watch |
//! | `naming` | names beside the numbers of an answer |
//! | `parameters` | strict reading of queries |
//! | `openapi` | the OpenAPI 3.1 document of the interface |
//! | `error` | errors as a client sees them |
//! | `server` | accepts connections, times them out, and stops |

mod answers;
mod auth;
mod background;
mod connections;
mod counted_time;
mod diagnosis;
mod error;
mod flow_archive;
mod flow_stream;
mod headers;
mod interface_names;
mod json;
mod kept;
mod log_readers;
mod metrics;
mod naming;
mod now;
mod openapi;
mod parameters;
mod party;
mod places;
mod queues;
mod routes;
mod selected;
mod server;
mod store_probe;
mod streams;
mod subject;
mod turns;
mod work_turns;

use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ::tap::Taps;
use accounting::period::PerPeriod;
use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::Method;
use axum::middleware;
use axum::routing::{get, post};
use flow::{Networks, Prefix};
use storage::registrations::OPERATOR;
use storage::{InForce, Sender, Stated, Store, StoreError};
use tokio::sync::Notify;
use tokio_rustls::rustls::ServerConfig;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, NotForContentType, Predicate};
use view::View;

pub use auth::{EmptyKey, Key, Keys, Role, Signatures, sign};
pub use diagnosis::{Examine, ExaminedAnswers, Finding};
pub use flow_archive::FlowArchive;
pub use log_readers::{LogPart, OrderReaders, ReaderOrderError, ReaderPlace};
pub use openapi::openapi;
pub use server::{HEADER_LIMIT_BYTES, HEADER_TIMEOUT, MAX_CONNECTIONS, Offer, serve};

use routes::{
    billing, doctor, events, flows, health, index, networks, page, readers, senders, series, session, stats, status,
    tap, top,
};

/// The largest body of a request; enough for about 20,000 prefixes.
pub const BODY_LIMIT_BYTES: usize = 1024 * 1024;
/// How long a client may take for the body of a request.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// How long an answer may take; beyond it, the store counts as unreachable.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// The state of the interface; clones share it.
#[derive(Clone)]
pub struct Api {
    store: Arc<dyn Store>,
    keys: Arc<Keys>,
    senders_changed: Arc<Notify>,
    /// How long counters are kept; `None` means forever.
    keep: PerPeriod<Option<Duration>>,
    /// Nonces that were used, and failures to authenticate.
    history: Arc<auth::RequestHistory>,
    connections: Arc<connections::Connections>,
    /// The octets of answers that clients have not read.
    unread: Arc<places::Places>,
    queues: Arc<queues::Queues>,
    /// Limits reads of the store and other work that takes a processor.
    work_turns: Arc<work_turns::WorkTurns>,
    store_probe: Arc<store_probe::StoreProbe>,
    now: Arc<now::Now>,
    /// Finds what is wrong; `None` where nothing does.
    doctor: Option<Arc<dyn Examine>>,
    diagnosis: Arc<diagnosis::LastDiagnosis>,
    /// The open streams of events.
    streams: Arc<streams::Streams>,
    /// Those of answers about flows.
    flow_streams: Arc<streams::Streams>,
    /// Latencies of requests.
    requests: Arc<metrics::Requests>,
    /// The running collector that it belongs to, with its taps; `None` where there is only a store.
    collector: Option<(Arc<dyn View>, Taps)>,
    /// The flows that are kept; `None` where none are.
    flow_archive: Option<FlowArchive>,
    /// Obeys orders to the readers of the log; `None` where nothing does.
    log_readers: Option<Arc<dyn OrderReaders>>,
    /// Whether `/metrics` needs no credentials.
    open_metrics: bool,
    /// Whether they have what routers and networks are called.
    named_metrics: bool,
    /// Whether the web interface is served, with what belongs to it.
    web: bool,
    /// The proxies that log users in.
    proxies: Arc<[Prefix]>,
    /// Networks and senders of the configuration.
    stated: Arc<Stated>,
}

impl Api {
    /// An interface to this store for clients with these keys. `senders_changed` is notified after every change of the
    /// registered senders.
    pub fn new(store: Arc<dyn Store>, keys: Keys, senders_changed: Arc<Notify>) -> Self {
        Self {
            store,
            keys: Arc::new(keys),
            senders_changed,
            keep: PerPeriod::default(),
            history: Arc::default(),
            connections: connections::Connections::new(server::most_connections()),
            unread: places::Places::new(answers::UNREAD_BYTES, answers::UNREAD_BYTES_OF_STRANGERS),
            queues: Arc::default(),
            work_turns: Arc::default(),
            store_probe: Arc::default(),
            now: Arc::default(),
            doctor: None,
            diagnosis: Arc::default(),
            streams: Arc::default(),
            flow_streams: Arc::default(),
            requests: Arc::default(),
            collector: None,
            flow_archive: None,
            log_readers: None,
            open_metrics: true,
            named_metrics: false,
            web: false,
            proxies: Arc::default(),
            stated: Arc::default(),
        }
    }

    /// Also shows networks and senders of the configuration, which requests cannot change.
    #[must_use]
    pub fn stating(self, stated: Arc<Stated>) -> Self {
        Self { stated, ..self }
    }

    /// The networks of the operator, as the collector knows them; without a collector, those of the configuration.
    pub(crate) fn known_networks(&self) -> Arc<Networks> {
        match &self.collector {
            Some((view, _)) => view.networks(),
            None => Arc::new(self.stated.networks.iter().map(|(network, _)| network.clone()).collect()),
        }
    }

    /// What the store and the configuration have now.
    pub(crate) async fn in_force(&self) -> Result<InForce, StoreError> {
        Ok(self.stated.with(self.store.senders().await?))
    }

    /// A sender with the prefixes that it counts, if it is registered or stated.
    pub(crate) async fn sender(&self, address: IpAddr) -> Result<Option<Sender>, StoreError> {
        if address == OPERATOR {
            return Ok(None);
        }
        let listed = [self.store.sender(address).await?, self.store.sender(OPERATOR).await?];
        let in_force = self.stated.with(listed.into_iter().flatten().collect());
        Ok(in_force.senders.into_iter().find(|sender| sender.address == address))
    }

    /// The same interface with other keys; it shares the history of requests.
    #[must_use]
    pub fn for_keys(self, keys: Keys) -> Self {
        Self { keys: Arc::new(keys), ..self }
    }

    /// Sets how long counters are kept, `None` means forever: sums never include intervals that may have expired.
    #[must_use]
    pub fn keeping(self, keep: PerPeriod<Option<Duration>>) -> Self {
        Self { keep, ..self }
    }

    /// Stores used nonces in a file, so that no signed request can be replayed after a restart.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub fn with_nonce_file(self, path: &Path) -> io::Result<Self> {
        Ok(Self { history: Arc::new(auth::RequestHistory::stored_in(path)?), ..self })
    }

    /// Shows a running collector and its decoded flows.
    #[must_use]
    pub fn showing(self, view: Arc<dyn View>, taps: Taps) -> Self {
        Self { collector: Some((view, taps)), ..self }
    }

    /// Answers questions about the flows of an archive, if there is one.
    #[must_use]
    pub fn answering_from(self, flow_archive: Option<FlowArchive>) -> Self {
        Self { flow_archive, ..self }
    }

    /// Also gives orders to the readers of the log.
    #[must_use]
    pub fn ordering(self, log_readers: Option<Arc<dyn OrderReaders>>) -> Self {
        Self { log_readers, ..self }
    }

    /// Requires credentials for `/metrics` too.
    #[must_use]
    pub fn with_signed_metrics(self) -> Self {
        Self { open_metrics: false, ..self }
    }

    /// Also shows what routers and networks are called in `/metrics`.
    #[must_use]
    pub fn with_named_metrics(self) -> Self {
        Self { named_metrics: true, ..self }
    }

    /// Also shows what this finds wrong.
    #[must_use]
    pub fn examined_by(self, doctor: Arc<dyn Examine>) -> Self {
        Self { doctor: Some(doctor), ..self }
    }

    /// Also serves the web interface.
    #[must_use]
    pub fn with_web(self) -> Self {
        Self { web: true, ..self }
    }

    /// With the web interface, trusts proxies in these networks: the header `Remote-User` of their requests names the key.
    #[must_use]
    pub fn trusting(self, proxies: Vec<Prefix>) -> Self {
        Self { proxies: proxies.into(), ..self }
    }

    /// Whether a request needs no credentials.
    fn is_public(&self, request: &Request) -> bool {
        let path = request.uri().path();
        let reads = matches!(*request.method(), Method::GET | Method::HEAD);
        match path {
            "/healthz" | "/readyz" => true,
            // How to ask is no secret.
            "/openapi.json" | "/openapi.html" => reads,
            "/metrics" => self.open_metrics,
            _ if !self.web => false,
            // With credentials, it checks them.
            "/" => reads && !auth::is_signed(request.headers(), request.uri()),
            "/web" | "/session/nonce" => reads,
            "/session" => request.method() == Method::POST,
            _ => reads && (path.starts_with("/web/") || path.starts_with("/assets/")),
        }
    }

    /// This interface, to be served with [`serve`], encrypted if there is a TLS configuration.
    #[must_use]
    pub fn offer(self, tls: Option<Arc<ServerConfig>>) -> Offer {
        Offer { connections: Arc::clone(&self.connections), router: self.router(), tls }
    }

    /// The routes.
    pub fn router(self) -> Router {
        let compressed = DefaultPredicate::new().and(NotForContentType::const_new(streams::LINES));
        let questions = Router::new()
            .route("/stats/{sender}", post(stats::show))
            .route("/top/{sender}", get(top::show))
            .route("/series/{sender}", get(series::show))
            .route("/billing/{sender}", get(billing::show))
            .route("/stats", post(stats::show_sum))
            .route("/top", get(top::show_sum))
            .route("/series", get(series::show_sum))
            .route("/billing", get(billing::show_sum))
            .route_layer(middleware::from_fn_with_state(self.clone(), queues::questions));
        let flows = Router::new()
            .route("/flows", get(flows::rows))
            .route("/flows/top", get(flows::top))
            .route("/flows/series", get(flows::series))
            .route_layer(middleware::from_fn_with_state(self.clone(), queues::flows));
        let requests = Router::new()
            .route("/senders", get(senders::list))
            .route("/senders/{sender}", get(senders::show).put(senders::add).delete(senders::remove))
            .route("/networks", get(networks::list))
            .route("/networks/{address}/{length}", get(networks::show).put(networks::put).delete(networks::remove))
            .route("/readers", get(readers::list))
            .route("/readers/{reader}/pause", post(readers::pause))
            .route("/readers/{reader}/resume", post(readers::resume))
            .route("/readers/{reader}/reset", post(readers::reset))
            .route("/status", get(status::show))
            .route("/exporters", get(status::exporters))
            .route("/exporters/{sender}", get(status::exporter))
            .route("/unknown", get(status::unknown))
            .route("/doctor", get(doctor::show))
            .route("/tap", get(tap::show))
            .route("/events", get(events::show))
            .route_layer(middleware::from_fn_with_state(self.clone(), queues::requests));
        let health = Router::new()
            .route("/openapi.json", get(openapi::show))
            .route("/openapi.html", get(openapi::show_page))
            .route("/healthz", get(health::alive))
            .route("/readyz", get(health::ready))
            .route("/metrics", get(health::metrics));
        let web = if self.web { web_routes() } else { Router::new() };
        questions
            .merge(flows)
            .merge(requests)
            .merge(health)
            .merge(web)
            .route("/", get(index::show))
            .fallback(routes::unknown_path)
            .method_not_allowed_fallback(routes::other_method)
            // `auth` bounds the body.
            .layer(DefaultBodyLimit::disable())
            .layer(middleware::from_fn_with_state(self.clone(), auth::authenticate))
            .layer(CompressionLayer::new().compress_when(compressed))
            .with_state(self)
    }
}

/// The web interface, and its sessions.
fn web_routes() -> Router<Api> {
    Router::new()
        .route("/web", get(page::show))
        .route("/web/", get(page::show))
        .route("/web/{*page}", get(page::show))
        .route("/assets/{name}", get(page::asset))
        .route("/session/nonce", get(session::nonce))
        .route("/session", get(session::show).post(session::log_in).delete(session::log_out))
        .route("/session/ticket", post(session::ticket))
}
