//! The client of the REST interface: its address, keys, and errors. Requests are signed with version 2. Keys come from the
//! environment, a file or the configuration, never from the command line, where other users could see them.

mod encryption;
pub(crate) mod reasons;
pub(crate) mod trust;

use std::env;
use std::io::{self, BufRead, BufReader};
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, anyhow, bail};
use serde_json::Value;
use ureq::Agent;
use ureq::http::Request;
use ureq::http::request::Builder;

use crate::config::{Config, Secret};
use crate::exit_code::{ExitCode, Failure, OrExit};
use crate::keys;

/// The options that select a collector.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Connection {
    /// URL of the collector [default: http.listen of the configuration]
    #[arg(long, env = "NETFLOW_URL", value_name = "URL", value_parser = reasons::url, global = true, help_heading = "Connection")]
    url: Option<String>,
    /// File with authKey and signKey [default: NETFLOW_AUTH_KEY and NETFLOW_SIGN_KEY, else the configuration]
    #[arg(long, env = "NETFLOW_KEYS", value_name = "FILE", global = true, help_heading = "Connection")]
    keys: Option<PathBuf>,
    /// Certificate of the authority, or of the collector if it signed itself: a PEM file [default: the system trust store]
    #[arg(long, env = "NETFLOW_CA", value_name = "FILE", global = true, help_heading = "Connection")]
    ca: Option<PathBuf>,
}

impl Connection {
    /// With these options.
    pub(crate) fn of(url: Option<String>, keys: Option<PathBuf>, ca: Option<PathBuf>) -> Self {
        let url = url.map(|url| reasons::url(&url).unwrap_or(url));
        Self { url, keys, ca }
    }
}

/// The longest wait for an answer: longer than the limit of the collector.
const TIMEOUT: Duration = Duration::from_secs(75);
/// The largest answer.
const ANSWER_LIMIT_BYTES: u64 = 256 * 1024 * 1024;

/// A client of a collector.
pub(crate) struct Client {
    agent: Agent,
    url: String,
    auth_key: Secret,
    sign_key: Secret,
}

/// An answer.
pub(crate) struct Answer {
    /// The HTTP status.
    pub(crate) status: u16,
    /// The Date header: the clock of the collector (RFC 9110, section 6.6.1).
    date: Option<String>,
    /// The content.
    pub(crate) body: String,
}

impl Client {
    /// A client for these options, with defaults from the configuration.
    ///
    /// # Errors
    /// When there are no keys, or a file cannot be read.
    pub(crate) fn new(connection: &Connection, config: &Config) -> Result<Self, Failure> {
        Self::with_patience(connection, config, TIMEOUT)
    }

    /// One that waits this long for an answer.
    ///
    /// # Errors
    /// As [`Client::new`].
    pub(crate) fn with_patience(connection: &Connection, config: &Config, patience: Duration) -> Result<Self, Failure> {
        let (auth_key, sign_key) = keys_of(connection, config).or_exit(ExitCode::Config)?;
        let url = match &connection.url {
            Some(url) => url.clone(),
            None => config.url(),
        };
        let settings =
            Agent::config_builder().timeout_global(Some(patience)).http_status_as_error(false).max_redirects(0);
        let settings = settings.allow_non_standard_methods(true);
        let settings = settings.user_agent(concat!("netflow/", env!("CARGO_PKG_VERSION"))).build();
        let agent = match url.starts_with("https:") {
            true => encryption::agent(settings, connection.ca.as_deref()).or_exit(ExitCode::Config)?,
            false => settings.into(),
        };
        Ok(Self { agent, url, auth_key, sign_key })
    }

    /// The URL of the collector.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Sends a request and returns the answer.
    ///
    /// # Errors
    /// When the collector is unreachable.
    pub(crate) fn exchange(&self, method: &str, target: &str, body: &str) -> Result<Answer, Failure> {
        self.try_exchange(method, target, body).or_exit(ExitCode::Unreachable)
    }

    /// The lines of an answer without an end.
    ///
    /// # Errors
    /// When the collector is unreachable, or refuses.
    pub(crate) fn lines(&self, target: &str) -> Result<impl Iterator<Item = io::Result<String>> + use<>, Failure> {
        let request = self.signed("GET", target, "").and_then(|request| Ok(request.body(())?));
        let request = request.or_exit(ExitCode::Failure)?;
        let request = self.agent.configure_request(request).timeout_global(None).timeout_recv_response(Some(TIMEOUT));
        let response = self.agent.run(request.build());
        let mut response = response.map_err(|error| self.unreachable(error)).or_exit(ExitCode::Unreachable)?;
        let status = response.status().as_u16();
        if status >= 300 {
            let content = response.body_mut().read_to_string();
            Answer { status, date: None, body: content.unwrap_or_default() }.refusal()?;
        }
        Ok(BufReader::new(response.into_body().into_reader()).lines())
    }

    fn try_exchange(&self, method: &str, target: &str, body: &str) -> anyhow::Result<Answer> {
        let request = self.signed(method, target, body)?;
        let response = if body.is_empty() {
            self.agent.run(request.body(())?)
        } else {
            self.agent.run(request.body(body.as_bytes())?)
        };
        let mut response = response.map_err(|error| self.unreachable(error))?;
        let status = response.status().as_u16();
        let date = response.headers().get("date").and_then(|date| date.to_str().ok()).map(str::to_owned);
        let content = response.body_mut().with_config().limit(ANSWER_LIMIT_BYTES).read_to_string();
        Ok(Answer { status, date, body: content.map_err(|error| self.unreachable(error))? })
    }

    fn unreachable(&self, error: ureq::Error) -> anyhow::Error {
        let what = format!("cannot reach the collector at {}", self.url);
        match reasons::of_connection(&error) {
            Some(reason) => anyhow!("{what}: {reason}"),
            None => anyhow::Error::new(error).context(what),
        }
    }

    /// A signed request without its body.
    fn signed(&self, method: &str, target: &str, body: &str) -> anyhow::Result<Builder> {
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let mut nonce = [0; 16];
        getrandom::fill(&mut nonce).map_err(|error| anyhow!("cannot get random numbers: {error}"))?;
        let nonce: String = nonce.iter().map(|octet| format!("{octet:02x}")).collect();
        let signature = api::sign(self.sign_key.expose(), method, target, seconds, &nonce, body.as_bytes());
        Ok(Request::builder()
            .method(method)
            .uri(format!("{}{target}", self.url))
            .header("X-Io-Auth", self.auth_key.expose())
            .header("X-Io-Sign", signature))
    }

    /// Sends a request and returns the JSON of the answer.
    ///
    /// # Errors
    /// When the collector is unreachable, refuses, or answers something else.
    pub(crate) fn ask(&self, method: &str, target: &str, body: &str) -> Result<Value, Failure> {
        self.read(&self.exchange(method, target, body)?)
    }

    /// The JSON of an answer.
    ///
    /// # Errors
    /// When it is a refusal, or something else.
    pub(crate) fn read(&self, answer: &Answer) -> Result<Value, Failure> {
        answer.refusal()?;
        serde_json::from_str(&answer.body)
            .with_context(|| format!("{} is not a netflow collector", self.url))
            .or_exit(ExitCode::Unreachable)
    }
}

impl Answer {
    /// By how many seconds the clock of this machine is ahead of the collector's.
    pub(crate) fn clock_off_seconds(&self) -> Option<i64> {
        let theirs = jiff::fmt::rfc2822::parse(self.date.as_deref()?).ok()?.timestamp().as_second();
        let ours = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        Some(i64::try_from(ours).ok()? - theirs)
    }

    /// The error of a refusal, with the reason that the collector gives.
    pub(crate) fn refusal(&self) -> Result<(), Failure> {
        if self.status < 300 {
            return Ok(());
        }
        let body = serde_json::from_str::<Value>(&self.body).ok();
        let reason = body.as_ref().and_then(|body| body.get("message")?.as_str());
        let reason = reasons::of_refusal(reason.unwrap_or("no reason given"));
        let error = anyhow!("the collector refuses ({}): {reason}", self.status);
        let code = if self.status >= 500 { ExitCode::Unreachable } else { ExitCode::Refused };
        Err(Failure::new(code, error))
    }
}

/// A path with its query string: values are escaped, absent ones omitted.
pub(crate) fn target(path: &str, parameters: &[(&str, Option<String>)]) -> String {
    let mut target = path.to_owned();
    let mut separator = '?';
    for (name, value) in parameters {
        let Some(value) = value else { continue };
        target.push(separator);
        target.push_str(name);
        target.push('=');
        for octet in value.bytes() {
            match octet {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b':' | b'/' => {
                    target.push(char::from(octet));
                }
                _ => target.push_str(&format!("%{octet:02X}")),
            }
        }
        separator = '&';
    }
    target
}

fn keys_of(connection: &Connection, config: &Config) -> anyhow::Result<(Secret, Secret)> {
    if let Some(path) = &connection.keys {
        let kept = keys::read_pair(path)?;
        return kept.ok_or_else(|| anyhow!("no keys: {} does not exist", path.display()));
    }
    let variable = |name| env::var(name).ok().filter(|key| !key.is_empty()).map(Secret::new);
    match (variable("NETFLOW_AUTH_KEY"), variable("NETFLOW_SIGN_KEY")) {
        (Some(auth), Some(sign)) => return Ok((auth, sign)),
        (None, None) => {}
        _ => bail!("NETFLOW_AUTH_KEY and NETFLOW_SIGN_KEY belong together: set both or none"),
    }
    if let Some(found) = keys::find(&config.admin, &config.data_dir)? {
        return Ok(found);
    }
    bail!(
        "no keys: set NETFLOW_AUTH_KEY and NETFLOW_SIGN_KEY, or use --keys with a file of keys, or --config with the \
         configuration of the collector (no keys in its dataDir {})",
        config.data_dir.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_a_query_are_escaped_and_absent_ones_omitted() {
        let parameters = [
            ("prefix", Some("2001:db8::/32".to_owned())),
            ("from", None),
            ("to", Some("2026-11-23 10:00&n=1".to_owned())),
        ];
        assert_eq!(
            target("/top/10.0.0.1", &parameters),
            "/top/10.0.0.1?prefix=2001:db8::/32&to=2026-11-23%2010:00%26n%3D1"
        );
        assert_eq!(target("/senders", &[]), "/senders");
    }
}
