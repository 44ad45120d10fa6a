//! Where ClickHouse is, and who we are.

use std::fmt;

use rustls::pki_types::CertificateDer;

/// How to reach ClickHouse, and the table there.
#[derive(Clone)]
pub struct Settings {
    /// Servers, each `host:port` of its HTTP interface. If one cannot be reached, the next one is asked.
    pub hosts: Vec<String>,
    /// The authorities whose certificates are trusted; `None` if connections are not encrypted.
    pub authorities: Option<Vec<CertificateDer<'static>>>,
    /// The database. It must exist.
    pub database: String,
    /// The table of flows in it.
    pub table: String,
    /// The user; `None` for ClickHouse's own default.
    pub user: Option<String>,
    /// The password of the user.
    pub password: Option<String>,
}

/// What inserts are compressed with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// Zstandard.
    Zstd,
}

impl Compression {
    /// All.
    pub const ALL: [Self; 2] = [Self::None, Self::Zstd];

    /// The name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Zstd => "zstd",
        }
    }
}

/// Without the password.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { hosts, authorities, database, table, user, password: _ } = self;
        f.debug_struct("Settings")
            .field("hosts", hosts)
            .field("authorities", &authorities.as_ref().map(Vec::len))
            .field("database", database)
            .field("table", table)
            .field("user", user)
            .finish_non_exhaustive()
    }
}
