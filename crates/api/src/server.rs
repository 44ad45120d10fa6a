//! Connections to requests: accepts and times out HTTP/1.1 connections, with or without TLS, and stops cleanly.
//! `connections` bounds their number, and the router answers requests.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::{Request, header};
use axum::response::IntoResponse;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::server::TlsStream;

use crate::auth::{Client, Encrypted};
use crate::connections::{Connection, Connections};
use crate::error::Error;
use crate::headers::secured;

/// The number of open connections at most; for a new one beyond it, another one is closed.
pub const MAX_CONNECTIONS: usize = 1024;
/// How long a client may take for the TLS handshake and for the head of a request, and how long a connection may be
/// idle between two requests.
pub const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// The largest head of a request, the query with its payload included.
pub const HEADER_LIMIT_BYTES: usize = 64 * 1024;
/// How long a stop waits for running requests.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);
/// The first octet of a client that speaks TLS: the type of its record (RFC 8446, section 5.1).
const TLS_HANDSHAKE: u8 = 22;
/// How much of a connection is read before it is processed. As for the head of a request, and no more: a connection
/// keeps a buffer of this size once it was needed.
const BUFFER_BYTES: usize = HEADER_LIMIT_BYTES + 8 * 1024;
/// How long accepting pauses when the process is out of memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(500);

/// What is served.
#[derive(Clone, Debug)]
pub struct Offer {
    /// Shared by all offers of one interface.
    pub(crate) connections: Arc<Connections>,
    /// Answers requests.
    pub(crate) router: Router,
    /// The TLS configuration; `None` serves plain HTTP.
    pub(crate) tls: Option<Arc<ServerConfig>>,
}

/// For answers without an end: the time when they must end, because what permitted them may have changed.
#[derive(Clone, Debug)]
pub(crate) struct Until {
    offers: watch::Receiver<Offer>,
    stopping: watch::Receiver<()>,
}

impl Until {
    /// Returns when another interface is offered, or none.
    pub(crate) async fn ended(&mut self) {
        let Self { offers, stopping } = self;
        let reloaded = async {
            if offers.changed().await.is_err() {
                std::future::pending().await
            }
        };
        tokio::select! {
            () = reloaded => {}
            _ = stopping.changed() => {}
        }
    }
}

/// The limit of connections for this process: half of its file descriptors are left for everything else.
pub(crate) fn most_connections() -> usize {
    let descriptors = getrlimit(Resource::Nofile).current.and_then(|limit| usize::try_from(limit).ok());
    descriptors.map_or(MAX_CONNECTIONS, |limit| MAX_CONNECTIONS.min(limit / 2))
}

/// Serves the current offer until `shutdown` is ready; then lets running requests end. A new offer leaves connections
/// open and answers the requests that arrive after it. A new listener replaces the current one.
///
/// # Errors
/// When the listener is not usable.
pub async fn serve(
    mut listener: TcpListener,
    mut listeners: mpsc::Receiver<TcpListener>,
    offers: watch::Receiver<Offer>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    listener.local_addr()?;
    let connections = Arc::clone(&offers.borrow().connections);
    let (stop, stopping) = watch::channel(());
    let mut running = JoinSet::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            Some(another) = listeners.recv() => {
                listener = another;
                continue;
            }
            accepted = accept(&listener, &connections) => accepted,
        };
        while running.try_join_next().is_some() {}
        let Some((stream, client, connection)) = accepted else { continue };
        running.spawn(run(stream, client, connection, offers.clone(), stopping.clone()));
    }
    drop(listener);
    drop(stop);
    if timeout(STOP_TIMEOUT, async { while running.join_next().await.is_some() {} }).await.is_err() {
        tracing::warn!(requests = running.len(), "stopped before all requests were answered");
    }
    Ok(())
}

/// The next connection; `None` when there is none after all.
async fn accept(listener: &TcpListener, connections: &Arc<Connections>) -> Option<(TcpStream, Client, Connection)> {
    connections.room().await;
    let error = match listener.accept().await {
        Ok((stream, client)) => return Some((stream, Client(client.ip()), connections.open(client.ip()))),
        Err(error) => error,
    };
    match Errno::from_io_error(&error) {
        // The client gave up before it was accepted.
        Some(Errno::CONNABORTED | Errno::CONNRESET) => {}
        // Something else has used up the file descriptors.
        Some(Errno::MFILE | Errno::NFILE) if connections.make_room().await => {}
        _ => {
            tracing::warn!(%error, "cannot accept connections");
            sleep(ACCEPT_PAUSE).await;
        }
    }
    None
}

async fn run(
    stream: TcpStream,
    client: Client,
    connection: Connection,
    offers: watch::Receiver<Offer>,
    mut stopping: watch::Receiver<()>,
) {
    // Answers are small and written at once: waiting for more to send would only delay them.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY");
    }
    let tls = offers.borrow().tls.clone();
    let Some(tls) = tls else { return answer(stream, false, client, connection, offers, stopping).await };
    // Until the handshake is done, a connection is idle: it does not block others for long.
    let greeted = tokio::select! {
        greeted = timeout(HEADER_TIMEOUT, greet(stream, tls)) => greeted,
        () = connection.must_close() => return,
        _ = stopping.changed() => return,
    };
    match greeted {
        Ok(Ok(Greeted::Encrypted(stream))) => answer(*stream, true, client, connection, offers, stopping).await,
        Ok(Ok(Greeted::Plain(stream))) => answer(stream, false, client, connection, offers, stopping).await,
        Ok(Err(error)) => tracing::debug!(%error, client = %client.0, "TLS handshake failed"),
        Err(_) => tracing::debug!(client = %client.0, "TLS handshake timed out"),
    }
}

/// How a client began on a port with TLS.
enum Greeted {
    Encrypted(Box<TlsStream<TcpStream>>),
    /// Without TLS: it gets an explanation.
    Plain(TcpStream),
}

async fn greet(stream: TcpStream, tls: Arc<ServerConfig>) -> io::Result<Greeted> {
    let mut first = [0];
    if stream.peek(&mut first).await? == 1 && first != [TLS_HANDSHAKE] {
        return Ok(Greeted::Plain(stream));
    }
    TlsAcceptor::from(tls).accept(stream).await.map(|stream| Greeted::Encrypted(Box::new(stream)))
}

/// The answer to plain HTTP on a port with TLS.
fn only_encrypted() -> Router {
    let refuse = || async {
        let error = Error::BadRequest("this port requires TLS: use https:// instead of http://".into());
        secured(([(header::CONNECTION, "close")], error).into_response())
    };
    Router::new().fallback(refuse)
}

async fn answer(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    is_encrypted: bool,
    client: Client,
    connection: Connection,
    offers: watch::Receiver<Offer>,
    mut stopping: watch::Receiver<()>,
) {
    let seat = connection.clone();
    let stop = stopping.clone();
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(seat.clone());
        request.extensions_mut().insert(client);
        request.extensions_mut().insert(Encrypted(is_encrypted));
        let mut until = Until { offers: offers.clone(), stopping: stop.clone() };
        let Offer { router, tls, .. } = until.offers.borrow_and_update().clone();
        request.extensions_mut().insert(until);
        let service = TowerToHyperService::new(if is_encrypted || tls.is_none() { router } else { only_encrypted() });
        async move { Ok::<_, Infallible>(service.call(request).await.unwrap_or_else(|never| match never {})) }
    });
    let mut http = std::pin::pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .max_header_size(HEADER_LIMIT_BYTES)
            .max_buf_size(BUFFER_BYTES)
            .serve_connection(TokioIo::new(stream), service)
    );
    let ended = tokio::select! {
        ended = &mut http => ended,
        () = connection.must_close() => return,
        _ = stopping.changed() => {
            http.as_mut().graceful_shutdown();
            http.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection failed");
    }
}
