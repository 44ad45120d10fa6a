//! Requests to ClickHouse's HTTP interface. Nothing waits beyond the patience that a request states, whatever the server does.

use std::fmt::Write as _;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rustls::crypto::ring;
use ureq::http::{self, Response};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, Body, BodyReader};

use crate::connection::{self, NotConnected};
use crate::error::Error;
use crate::settings::Settings;

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(4);
/// How long an answer is waited for if a request states nothing else.
const PATIENCE: Duration = Duration::from_secs(10);
/// Connections are not used again after this long: servers close them after 10 seconds, and a request that meets the end of
/// its connection has an unknown outcome.
const IDLE: Duration = Duration::from_secs(3);
/// What is read of an answer that is an error.
const LONGEST_ERROR: u64 = 16 * 1024;
/// What is shown of it, in letters.
const SHOWN_ERROR: usize = 400;
/// The longest answer that is taken as one text.
const LONGEST_TEXT: u64 = 4 << 20;

/// All headers that only ClickHouse sends begin so.
const HEADERS: &str = "x-clickhouse-";

/// A client of one ClickHouse, which may have several hosts.
#[derive(Debug)]
pub struct Client {
    agent: Agent,
    settings: Settings,
    /// The host that is asked first.
    preferred: AtomicUsize,
}

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Request<'r> {
    /// The statement. What comes from outside is never a part of it: it is a parameter, `{name:Type}`.
    pub sql: &'r str,
    /// The values of its parameters by their names, as texts.
    pub parameters: &'r [(&'r str, &'r str)],
    /// Settings of ClickHouse for this request.
    pub settings: &'r [(&'r str, &'r str)],
    /// The identity of the request: none with the same one runs at the same time.
    pub id: Option<&'r str>,
    /// Data after the statement.
    pub data: &'r [u8],
    /// What the data are compressed with, as a `Content-Encoding`.
    pub encoding: Option<&'r str>,
    /// How long the whole answer is waited for.
    pub patience: Duration,
}

impl<'r> Request<'r> {
    /// A statement without anything else.
    #[must_use]
    pub const fn new(sql: &'r str) -> Self {
        Self { sql, parameters: &[], settings: &[], id: None, data: &[], encoding: None, patience: PATIENCE }
    }

    /// With these parameters.
    #[must_use]
    pub const fn with(self, parameters: &'r [(&'r str, &'r str)]) -> Self {
        Self { parameters, ..self }
    }
}

/// An answer, in the format that the statement names.
pub struct Answer {
    host: String,
    reader: BodyReader<'static>,
}

impl Client {
    /// Nothing is connected yet.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let authorities = settings.authorities.iter().flatten();
        let roots: RootCerts = authorities.map(|it| Certificate::from_der(it.as_ref()).to_owned()).into();
        let tls = TlsConfig::builder()
            .root_certs(roots)
            .unversioned_rustls_crypto_provider(Arc::new(ring::default_provider()))
            .build();
        let agent = Agent::config_builder()
            .timeout_connect(Some(CONNECT))
            .timeout_resolve(Some(CONNECT))
            .max_idle_age(IDLE)
            .max_redirects(0)
            .http_status_as_error(false)
            .proxy(None)
            .user_agent(concat!("netflow/", env!("CARGO_PKG_VERSION")))
            .tls_config(tls)
            .build();
        Self { agent: connection::agent(agent), settings, preferred: AtomicUsize::new(0) }
    }

    /// Where it is, and the table.
    #[must_use]
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The host that is asked first.
    pub(crate) fn host(&self) -> String {
        let index = self.preferred.load(Ordering::Relaxed);
        self.settings.hosts.get(index).cloned().unwrap_or_default()
    }

    /// The answer to a question with bound parameters. It comes when all of it is known (`wait_end_of_query`), so that an error is
    /// always an error and never the end of an answer.
    ///
    /// # Errors
    /// If no host answers, or ClickHouse refuses.
    pub fn query(&self, sql: &str, parameters: &[(&str, &str)]) -> Result<Answer, Error> {
        self.send(&Request::new(sql).with(parameters))
    }

    /// The answer as one short text.
    ///
    /// # Errors
    /// As [`query`](Self::query), and if the answer is long or not in UTF-8.
    pub fn text(&self, request: &Request<'_>) -> Result<String, Error> {
        let mut answer = self.send(request)?;
        let mut octets = Vec::new();
        let read = answer.by_ref().take(LONGEST_TEXT + 1).read_to_end(&mut octets);
        let Answer { host, .. } = answer;
        read.map_err(|source| Error::Lost { host: host.clone(), source })?;
        if octets.len() as u64 > LONGEST_TEXT {
            return Err(Error::Unreadable { host, text: shown(&octets) });
        }
        String::from_utf8(octets).map_err(|error| Error::Unreadable { host, text: shown(error.as_bytes()) })
    }

    /// Sends any request. Another host is tried only if one cannot be reached, so that nothing is carried out twice.
    ///
    /// # Errors
    /// As [`query`](Self::query). Only after [`Error::Lost`], what was asked for may have been carried out.
    pub fn send(&self, request: &Request<'_>) -> Result<Answer, Error> {
        let hosts = &self.settings.hosts;
        let first = self.preferred.load(Ordering::Relaxed);
        let mut unreachable = Error::Unreachable { host: String::new(), why: "there are no hosts".to_owned() };
        for index in (first..first + hosts.len()).map(|index| index % hosts.len()) {
            let Some(host) = hosts.get(index) else { continue };
            match self.exchange(host, request) {
                Err(error @ Error::Unreachable { .. }) => unreachable = error,
                outcome => {
                    // What is silent is tried last the next time.
                    let next = index + usize::from(matches!(outcome, Err(Error::Lost { .. })));
                    self.preferred.store(next % hosts.len(), Ordering::Relaxed);
                    return outcome;
                }
            }
        }
        Err(unreachable)
    }

    fn exchange(&self, host: &str, request: &Request<'_>) -> Result<Answer, Error> {
        let response = self.post(host, request)?;
        let status = response.status().as_u16();
        let headers = response.headers();
        let is_clickhouse = headers.keys().any(|name| name.as_str().starts_with(HEADERS));
        let code = headers.get("x-clickhouse-exception-code");
        let code = code.and_then(|code| code.to_str().ok()?.parse().ok());
        let mut reader = response.into_body().into_reader();
        if status == 200 && is_clickhouse && code.is_none() {
            return Ok(Answer { host: host.to_owned(), reader });
        }
        let mut octets = Vec::new();
        // What was read until an error is the better reason.
        _ = reader.by_ref().take(LONGEST_ERROR).read_to_end(&mut octets);
        let (host, text) = (host.to_owned(), shown(&octets));
        match code.or_else(|| exception(&octets)) {
            Some(code) => Err(Error::Refused { host, code, text }),
            None => Err(Error::Nonsense { host, status, text }),
        }
    }

    fn post(&self, host: &str, request: &Request<'_>) -> Result<Response<Body>, Error> {
        let Settings { authorities, database, user, password, .. } = &self.settings;
        let scheme = if authorities.is_some() { "https" } else { "http" };
        let mut target = format!("{scheme}://{host}/?wait_end_of_query=1");
        add(&mut target, "", "database", database);
        for (name, value) in request.settings {
            add(&mut target, "", name, value);
        }
        for (name, value) in request.parameters {
            add(&mut target, "param_", name, &escaped(value));
        }
        if let Some(id) = request.id {
            add(&mut target, "", "query_id", id);
        }
        let mut post = http::Request::post(&target);
        let mut data = request.sql.as_bytes();
        if !request.data.is_empty() {
            add(&mut target, "", "query", request.sql);
            post = http::Request::post(&target);
            data = request.data;
        }
        for (name, value) in [("x-clickhouse-user", user), ("x-clickhouse-key", password)] {
            if let Some(value) = value {
                post = post.header(name, value);
            }
        }
        if let Some(encoding) = request.encoding {
            post = post.header("content-encoding", encoding);
        }
        let unusable = |error: http::Error| Error::Unreachable { host: host.to_owned(), why: error.to_string() };
        let post = post.body(data).map_err(unusable)?;
        let post = self.agent.configure_request(post).timeout_global(Some(request.patience)).build();
        self.agent.run(post).map_err(|error| failure(host, error))
    }
}

impl Read for Answer {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reader.read(buffer)
    }
}

impl Answer {
    /// The host that gave it.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }
}

/// The number in the text of an exception, `Code: 60. DB::Exception: …`, for servers and proxies without the header.
fn exception(octets: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(octets.get(..32)?).ok()?;
    text.strip_prefix("Code: ")?.split(['.', ',']).next()?.parse().ok()
}

/// The first line of an answer, shortened, for messages.
fn shown(octets: &[u8]) -> String {
    let text = String::from_utf8_lossy(octets);
    let line = text.trim().lines().next().unwrap_or_default();
    let line = line.strip_prefix("Code: ").and_then(|line| line.split_once("DB::Exception: ")).map_or(line, |it| it.1);
    let mut short: String = line.chars().take(SHOWN_ERROR).filter(|letter| !letter.is_control()).collect();
    if line.chars().nth(SHOWN_ERROR).is_some() {
        short.push('…');
    }
    short
}

/// Whether nothing was sent, or what was sent may have been carried out.
fn failure(host: &str, error: ureq::Error) -> Error {
    let host = host.to_owned();
    match error {
        ureq::Error::Other(error) => match error.downcast::<NotConnected>() {
            Ok(why) => Error::Unreachable { host, why: why.to_string() },
            Err(error) => Error::Lost { host, source: io::Error::other(error) },
        },
        ureq::Error::BadUri(why) => Error::Unreachable { host, why },
        ureq::Error::Io(source) => Error::Lost { host, source },
        ureq::Error::Timeout(_) => Error::Lost { host, source: io::ErrorKind::TimedOut.into() },
        error => Error::Lost { host, source: io::Error::other(error) },
    }
}

/// A value as ClickHouse reads it in a parameter: tab-separated text.
fn escaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for letter in value.chars() {
        match letter {
            '\\' => text.push_str("\\\\"),
            '\t' => text.push_str("\\t"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\0' => text.push_str("\\0"),
            letter => text.push(letter),
        }
    }
    text
}

/// Adds `&name=value` to a URL.
fn add(target: &mut String, before: &str, name: &str, value: &str) {
    target.push('&');
    target.push_str(before);
    percent(target, name);
    target.push('=');
    percent(target, value);
}

/// Percent-encoded where that is needed.
fn percent(target: &mut String, text: &str) {
    for octet in text.bytes() {
        if is_plain(octet) {
            target.push(char::from(octet));
        } else {
            // Writing to a string does not fail.
            _ = write!(target, "%{octet:02X}");
        }
    }
}

/// Whether an octet may be in a query as it is (RFC 3986, section 3.4): those of lists of numbers and addresses, which are long.
pub(crate) const fn is_plain(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'.' | b'_' | b'~' | b':' | b',' | b'(' | b')')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_in_a_url_are_percent_encoded() {
        let mut target = String::new();
        add(&mut target, "param_", "name", "a b&c=ä'\\");
        assert_eq!(target, "&param_name=a%20b%26c%3D%C3%A4%27%5C");
        assert_eq!(escaped("a\tb\\c\n"), "a\\tb\\\\c\\n");
    }

    #[test]
    fn what_is_shown_of_an_exception_is_its_first_line_and_short() {
        let text = b"Code: 60. DB::Exception: Table d.t does not exist. (UNKNOWN_TABLE) (version 26.9.2.1)\n<stack>";
        assert_eq!(exception(text), Some(60));
        assert_eq!(shown(text), "Table d.t does not exist. (UNKNOWN_TABLE) (version 26.9.2.1)");
        assert_eq!(exception(b"<html><body>It works!</body></html>"), None);
        assert_eq!(shown("ä\u{7}".repeat(1_000).as_bytes()).chars().filter(|letter| *letter == 'ä').count(), 200);
    }
}
