//! How connections come about: as ureq makes them, but with errors of their own. What fails before there is a connection was
//! never sent; of anything else, the outcome is unknown.

use std::io;

use thiserror::Error;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{ConnectionDetails, Connector, DefaultConnector, NextTimeout, Transport};
use ureq::{Agent, Error};

/// Why there is no connection.
#[derive(Debug, Error)]
#[error("{0}")]
pub(crate) struct NotConnected(String);

/// An agent with these connections.
pub(crate) fn agent(config: ureq::config::Config) -> Agent {
    Agent::with_parts(config, Connections(DefaultConnector::default()), Names(DefaultResolver::default()))
}

#[derive(Debug)]
struct Names(DefaultResolver);

impl Resolver for Names {
    fn resolve(
        &self,
        uri: &Uri,
        config: &ureq::config::Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        self.0.resolve(uri, config, timeout).map_err(not_connected)
    }
}

#[derive(Debug)]
struct Connections(DefaultConnector);

impl Connector<()> for Connections {
    type Out = Box<dyn Transport>;

    fn connect(&self, details: &ConnectionDetails<'_>, chained: Option<()>) -> Result<Option<Self::Out>, Error> {
        self.0.connect(details, chained).map_err(not_connected)
    }
}

fn not_connected(error: Error) -> Error {
    let why = match error {
        Error::Timeout(_) => "timed out".to_owned(),
        Error::HostNotFound => "there is no such host".to_owned(),
        Error::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => "it closed the connection".to_owned(),
        Error::Io(error) => error.to_string(),
        error => error.to_string(),
    };
    Error::Other(Box::new(NotConnected(why)))
}
