//! The settings of netflow.io that this program has not, and why. An error names the reason when a file or a variable has
//! one of them; `netflow config import` ([`mod@import`]) converts what has an equivalent.

mod import;

use std::path::Path;

pub(crate) use import::import;

use super::{hocon, key};

/// A setting of netflow.io, or all of a section, that is not one of this program.
struct Dropped {
    /// The setting or section.
    name: &'static str,
    /// What there is instead.
    reason: &'static str,
}

const fn dropped(name: &'static str, reason: &'static str) -> Dropped {
    Dropped { name, reason }
}

const REQUESTS: &str = "the size of requests has fixed limits (docs/rest.md, Limits)";
const HTTP_LIBRARY: &str = "it set the HTTP library of netflow.io";
const SOCKETS: &str = "sockets of the REST interface use the defaults of the kernel, with TCP_NODELAY";
const ARCHIVE: &str = "the archive keeps the flows of all protocols: set archive.enabled and archive.keep";
const CONNECTIONS: &str = "connections to the nodes and requests on them are managed automatically";
const TIMEOUTS: &str =
    "timeouts are fixed, and while the nodes are unreachable, the spool keeps what is to be stored: set spool.maxBytes";

/// All of them, in the order of the reference.conf of netflow.io; at the end those of its first versions.
const DROPPED: &[Dropped] = &[
    dropped("server.debugStackTraces", "errors have no stack traces; server.logLevel = \"debug\" logs more"),
    dropped("server.tcp", SOCKETS),
    dropped(
        "http.ssl",
        "set admin.tls.certificate and admin.tls.key to PEM files, which openssl pkcs12 makes of a p12 file",
    ),
    dropped("http.tcp", SOCKETS),
    dropped("http.sendFile", HTTP_LIBRARY),
    dropped("http.sendBuffer", HTTP_LIBRARY),
    dropped("http.gzip", "answers are compressed for clients that accept gzip"),
    dropped("http.maxContentLength", REQUESTS),
    dropped("http.maxInitialLineLength", REQUESTS),
    dropped("http.maxChunkSize", REQUESTS),
    dropped("http.maxHeaderSize", REQUESTS),
    dropped("cassandra.minConns", CONNECTIONS),
    dropped("cassandra.maxConns", CONNECTIONS),
    dropped("cassandra.minSimRequests", CONNECTIONS),
    dropped("cassandra.maxSimRequests", CONNECTIONS),
    dropped("cassandra.connectTimeout", TIMEOUTS),
    dropped("cassandra.reconnectTimeout", TIMEOUTS),
    dropped("cassandra.readTimeout", TIMEOUTS),
    dropped("elastic", "netflow.io never stored anything there: set storage to \"sqlite\", \"redis\" or \"cassandra\""),
    dropped("netflow.persist", ARCHIVE),
    dropped("netflow.extraFields", "all fields of templates are decoded, and the archive keeps them (docs/columns.md)"),
    dropped("sflow.persist", ARCHIVE),
    dropped("redis.host", "write redis.hosts = [\"<host>:<port>\"]"),
    dropped("redis.port", "write redis.hosts = [\"<host>:<port>\"]"),
    dropped("udp", "write netflow.listen = [\"<address>:<port>\"], a list"),
    dropped("backend", "set flushInterval for how often counters are stored"),
];

/// The end of an "unknown key" message, if it is one of netflow.io.
pub(super) fn reason(path: &str) -> Option<String> {
    Some(format!(", which is of netflow.io: {}", row(path)?.reason))
}

/// The end of an "unknown variable" message, if it is for a key of netflow.io.
pub(super) fn variable_reason(variable: &str) -> Option<String> {
    let row = DROPPED.iter().find(|row| is_within(variable, &key::variable(row.name), "__"))?;
    Some(format!(" of {}, which is of netflow.io: {}", row.name, row.reason))
}

/// The end of a message about a file that is not TOML, if it is HOCON.
pub(super) fn hocon_hint(path: &Path, text: &str) -> String {
    let is_original = |document: &hocon::Document| {
        document.is_unmistakable || document.settings.iter().any(|setting| row(&setting.path).is_some())
    };
    match hocon::parse(text) {
        Ok(document) if is_original(&document) => {
            format!(
                "; the file is HOCON, as those of netflow.io: 'netflow config import {}' converts it",
                path.display()
            )
        }
        _ => String::new(),
    }
}

fn row(path: &str) -> Option<&'static Dropped> {
    DROPPED.iter().find(|row| is_within(path, row.name, "."))
}

fn is_within(name: &str, section: &str, separator: &str) -> bool {
    name.strip_prefix(section).is_some_and(|rest| rest.is_empty() || rest.starts_with(separator))
}

#[cfg(test)]
mod tests;
