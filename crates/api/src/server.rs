//! Connections to requests: accepts, bounds and times out HTTP/1.1 connections, with or without TLS, and stops cleanly. What a request
//! means is the router's matter.

use std::convert::Infallible;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::{Request, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::server::TlsStream;

use crate::auth::Client;
use crate::connections::{Connection, Connections};
use crate::error::Error;

/// How many connections are open at most; behind that the one that has waited longest is closed.
pub const MAX_CONNECTIONS: usize = 512;
/// How long a client may take for the handshake of TLS, and for the head of a request, and how long a connection may lie idle between two.
pub const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// The largest head of a request, the query with its payload included.
pub const HEADER_LIMIT_BYTES: usize = 64 * 1024;
/// How long running requests are waited for at the stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);
/// The first octet of a client that speaks TLS: the type of its record (RFC 8446, section 5.1).
const TLS_HANDSHAKE: u8 = 22;
/// How long accepting rests when the process has no file descriptor or no memory left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(500);

/// What is served.
#[derive(Clone, Debug)]
pub struct Offer {
    /// What answers requests.
    pub router: Router,
    /// How connections are encrypted; without it, they are not.
    pub tls: Option<Arc<ServerConfig>>,
}

/// Serves what is offered until `shutdown` is ready; then lets running requests end. While it runs, another offer may
/// come: connections stay, and each request is answered by what is offered when it comes. And another listener may come
/// and take the place of the one that there is.
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
    let connections = Connections::new(MAX_CONNECTIONS);
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
            accepted = listener.accept() => accepted,
        };
        while running.try_join_next().is_some() {}
        match accepted {
            Ok((stream, client)) => {
                // Without a place the stream is dropped, which closes it.
                if let Some(connection) = connections.open() {
                    let client = Client(client.ip());
                    running.spawn(run(stream, client, connection, offers.clone(), stopping.clone()));
                }
            }
            // The client gave up before it was its turn.
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset) => {}
            Err(error) => {
                tracing::warn!(%error, "no connection can be accepted");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    drop(stop);
    if timeout(STOP_TIMEOUT, async { while running.join_next().await.is_some() {} }).await.is_err() {
        tracing::warn!(requests = running.len(), "requests were cut off at the stop");
    }
    Ok(())
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
    // Until it has shaken hands, a connection is one that waits: it keeps nobody out for long.
    let greeted = tokio::select! {
        greeted = timeout(HEADER_TIMEOUT, greet(stream, tls)) => greeted,
        () = connection.told_to_leave() => return,
        _ = stopping.changed() => return,
    };
    match greeted {
        Ok(Ok(Greeted::Encrypted(stream))) => answer(*stream, true, client, connection, offers, stopping).await,
        Ok(Ok(Greeted::Plain(stream))) => answer(stream, false, client, connection, offers, stopping).await,
        Ok(Err(error)) => tracing::debug!(%error, client = %client.0, "no TLS came about"),
        Err(_) => tracing::debug!(client = %client.0, "no TLS came about in time"),
    }
}

/// How a client began to speak where TLS is spoken.
enum Greeted {
    Encrypted(Box<TlsStream<TcpStream>>),
    /// Without TLS; there is an answer for that.
    Plain(TcpStream),
}

async fn greet(stream: TcpStream, tls: Arc<ServerConfig>) -> io::Result<Greeted> {
    let mut first = [0];
    if stream.peek(&mut first).await? == 1 && first != [TLS_HANDSHAKE] {
        return Ok(Greeted::Plain(stream));
    }
    TlsAcceptor::from(tls).accept(stream).await.map(|stream| Greeted::Encrypted(Box::new(stream)))
}

/// What is said to who speaks without TLS where it is asked for.
fn only_encrypted() -> Router {
    let refuse = || async {
        let error = Error::BadRequest("this port speaks TLS: ask https:// instead of http://".into());
        ([(header::CONNECTION, "close")], error)
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
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(seat.clone());
        request.extensions_mut().insert(client);
        let Offer { router, tls } = offers.borrow().clone();
        let service = TowerToHyperService::new(if is_encrypted || tls.is_none() { router } else { only_encrypted() });
        async move { Ok::<_, Infallible>(service.call(request).await.unwrap_or_else(|never| match never {})) }
    });
    let mut http = std::pin::pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .max_header_size(HEADER_LIMIT_BYTES)
            .serve_connection(TokioIo::new(stream), service)
    );
    let ended = tokio::select! {
        ended = &mut http => ended,
        () = connection.told_to_leave() => return,
        _ = stopping.changed() => {
            http.as_mut().graceful_shutdown();
            http.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke off");
    }
}
