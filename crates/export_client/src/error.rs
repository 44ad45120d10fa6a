//! Why a connection is not opened, or ends before its end. The fix depends on who uses the connection, and is left to them.

use std::io;
use std::net::{IpAddr, SocketAddr};

/// An export connection that was not opened, or that broke.
#[derive(Debug)]
pub struct Error {
    /// The collector.
    pub to: SocketAddr,
    /// The own address; `None` without a connection.
    pub from: Option<SocketAddr>,
    /// The messages that were handed over. How many of them have arrived is not known.
    pub messages: u64,
    /// Why.
    pub reason: Reason,
}

/// Why a connection is not opened, or breaks.
#[derive(Debug, thiserror::Error)]
pub enum Reason {
    /// This machine does not have the source address.
    #[error("this machine cannot send from {0}: {1}")]
    Source(IpAddr, io::Error),
    /// The kernel's reason.
    #[error("{0}")]
    Connect(io::Error),
    /// Neither a connection nor a refusal in time, or an unfinished handshake.
    #[error("no answer")]
    NoAnswer,
    /// The handshake fails, or the collector reports an error of TLS.
    #[error("{0}")]
    Tls(Box<rustls::Error>),
    /// A collector of plain connections, or something else.
    #[error("it does not answer with TLS")]
    NotTls,
    /// A plain connection is answered with TLS.
    #[error("it answers with TLS")]
    IsTls,
    /// The collector has ended the connection.
    #[error("the collector has closed it")]
    Closed,
    /// The kernel's reason, such as a reset.
    #[error("{0}")]
    Broken(io::Error),
    /// The sender has given up, because the collector does not read.
    #[error("the collector does not read what is sent")]
    NotRead,
    /// Everything was sent, but the collector does not end the connection.
    #[error("the collector does not close it after its end")]
    NotClosed,
}

impl std::error::Error for Error {}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { to, from, reason, .. } = self;
        match from {
            None => write!(f, "no export connection to {to}: {reason}"),
            Some(from) => write!(f, "the export connection from {from} to {to} broke: {reason}"),
        }
    }
}
