//! The REST interface. It knows the store, and one bell to ring when the senders changed; never a socket of the
//! collector or a shard.
//!
//! | file | what lives there |
//! | --- | --- |
//! | `routes/` | one file for each kind of thing that can be asked for |
//! | `auth` | who may ask: keys and signatures; reads the body |
//! | `json` | strict reading of bodies: every complaint names its place |
//! | `parameters` | strict reading of queries |
//! | `error` | errors as a client sees them |
//! | `server` | connections: bounds, timeouts, stop |
//! | `connections` | which connection gives way when too many are open |

mod auth;
mod connections;
mod error;
mod json;
mod parameters;
mod routes;
mod server;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware;
use axum::routing::{get, post};
use storage::Store;
use tokio::sync::Notify;
use tower_http::compression::CompressionLayer;

pub use auth::{EmptyKey, Keys};
pub use server::{HEADER_LIMIT_BYTES, HEADER_TIMEOUT, MAX_CONNECTIONS, serve};

use routes::{billing, index, senders, series, stats, top};

/// The largest body of a request; enough for about 20,000 prefixes.
pub const BODY_LIMIT_BYTES: usize = 1024 * 1024;
/// How long a client may take for the body of a request.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// How long an answer may take; then the store counts as away.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// What the routes work with; clones share it.
#[derive(Clone)]
pub struct Api {
    store: Arc<dyn Store>,
    keys: Arc<Keys>,
    senders_changed: Arc<Notify>,
    /// How long counters are kept, by `period as usize`; `None` for ever.
    keep: [Option<Duration>; 5],
}

impl Api {
    /// An interface to this store for whoever has these keys. `senders_changed` is notified after every change of the
    /// registered senders.
    pub fn new(store: Arc<dyn Store>, keys: Keys, senders_changed: Arc<Notify>) -> Self {
        Self { store, keys: Arc::new(keys), senders_changed, keep: [None; 5] }
    }

    /// Says how long counters are kept, by `period as usize`: what may have expired is not summed.
    #[must_use]
    pub fn keeping(self, keep: [Option<Duration>; 5]) -> Self {
        Self { keep, ..self }
    }

    /// The routes, to be served with [`serve`].
    pub fn router(self) -> Router {
        Router::new()
            .route("/", get(index::show))
            .route("/senders", get(senders::list))
            .route("/senders/{sender}", get(senders::show).put(senders::add).delete(senders::remove))
            .route("/stats/{sender}", post(stats::answer))
            .route("/top/{sender}", get(top::show))
            .route("/series/{sender}", get(series::show))
            .route("/billing/{sender}", get(billing::show))
            .fallback(routes::unknown_path)
            .method_not_allowed_fallback(routes::other_method)
            // `auth` bounds the body.
            .layer(DefaultBodyLimit::disable())
            .layer(middleware::from_fn_with_state(self.clone(), auth::authenticate))
            .layer(CompressionLayer::new())
            .with_state(self)
    }
}
