//! Every key in one table: a key that is not here does not exist, neither in the file nor in the environment, and what
//! is told of it anywhere stands here. A new key is one row. After a change `make bless` writes
//! `packaging/netflow.toml` and `docs/configuration.md` anew.

use std::ops::RangeInclusive;
use std::time::Duration;

use api::Signatures;
use journal::Sync;
use strsim::damerau_levenshtein;
use udp::Steering;

use super::key::{ENVIRONMENT_PREFIX, Key, last, section};
use super::value_kind::{ValueKind, Words};
use super::{Config, DAY, HOUR, LogLevel, MINUTE, SECOND, Storage, YEAR};

impl Words for Signatures {
    const WORDS: &'static [(&'static str, Self)] =
        &[("compat", Self::Compat), ("compat-read", Self::CompatRead), ("strict", Self::Strict)];
}

impl Words for Steering {
    const WORDS: &'static [(&'static str, Self)] = &[("source", Self::Source), ("spread", Self::Spread)];
}

impl Words for Sync {
    const WORDS: &'static [(&'static str, Self)] =
        &[("off", Self::Off), ("interval", Self::Interval), ("batch", Self::Batch)];
}

impl Words for LogLevel {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("error", Self::Error),
        ("warn", Self::Warn),
        ("info", Self::Info),
        ("debug", Self::Debug),
        ("trace", Self::Trace),
    ];
}

impl Words for Storage {
    const WORDS: &'static [(&'static str, Self)] =
        &[("sqlite", Self::Sqlite), ("redis", Self::Redis), ("cassandra", Self::Cassandra)];
}

const TEMPLATE_TIMES: RangeInclusive<Duration> = seconds(SECOND, 366 * DAY);
const MIB: usize = 1024 * 1024;
const GIB: usize = 1024 * MIB;

const fn seconds(from: u64, to: u64) -> RangeInclusive<Duration> {
    Duration::from_secs(from)..=Duration::from_secs(to)
}

/// How long something is kept: at least until the next coarser period that it is summed into has ended.
fn age(place: &mut Option<Duration>, least_seconds: u64) -> ValueKind<'_> {
    ValueKind::DurationOr(place, "forever", seconds(least_seconds, 100 * YEAR))
}

/// A key that a running collector takes at a reload. It has to be in `Config::with_live_of` as well.
const fn live(name: &'static str, value: fn(&mut Config) -> ValueKind<'_>, text: &'static str) -> Key {
    Key { name, value, is_live: true, text }
}

/// A key that is read at the start only.
const fn fixed(name: &'static str, value: fn(&mut Config) -> ValueKind<'_>, text: &'static str) -> Key {
    Key { name, value, is_live: false, text }
}

/// Each section and what it is about.
pub(super) const SECTIONS: &[(&str, &str)] = &[
    ("server", "The process as a whole."),
    ("admin", "Who may use the REST interface. Requests carry the authKey and are signed with the signKey."),
    (
        "admin.tls",
        "Encryption of the REST interface. Both files are read again at a reload, so a renewed certificate needs no restart.",
    ),
    ("http", "The REST interface."),
    ("netflow", "NetFlow and IPFIX."),
    ("sflow", "sFlow."),
    (
        "retention",
        "How long counters are kept for each minute, hour, day, month and year. Each is summed into the next before it goes, so it is kept at least until the next has ended. Where Cassandra is the storage, a change needs a restart.",
    ),
    ("redis", "How to reach Redis, where it is the storage."),
    ("cassandra", "How to reach Cassandra, where it is the storage."),
    ("spool", "What was counted and waits for a store on the network that does not answer."),
    (
        "journal",
        "What was received and is not stored yet stands on disk, below \"journal\" in dataDir, so that a crash of netflow loses nothing that it had read.",
    ),
];

/// All keys in the order of the reference; those of a section stand together.
#[rustfmt::skip]
pub(crate) const KEYS: &[Key] = &[
    fixed("storage", |config| ValueKind::Choice(&mut config.storage),
        "Where registered senders and counters are kept: \"sqlite\" is a file in dataDir; \"redis\" and \"cassandra\" are servers that several collectors can share, see [redis] and [cassandra]."),
    fixed("dataDir", |config| ValueKind::Path(&mut config.data_dir),
        "The directory of everything that is kept on disk; made when it is not there. A relative path starts at the directory that netflow is started in. Installed as a service, netflow gets /var/lib/netflow."),
    live("flushInterval", |config| ValueKind::Duration(&mut config.flush_interval, seconds(SECOND, 5 * MINUTE)),
        "How often what was counted is stored."),
    live("clockLimit", |config| ValueKind::Duration(&mut config.clock_limit, seconds(SECOND, 366 * DAY)),
        "How far the time that an exporter writes into a datagram may be from the time it was received. Flows of a datagram that is further off are counted at the time it was received."),
    fixed("server.cores", |config| ValueKind::Count(&mut config.server.cores, 0..=1024),
        "How many threads receive and count; 0 is one for each core of the machine."),
    live("server.statuslog", |config| ValueKind::DurationOr(&mut config.server.statuslog, "never", seconds(SECOND, DAY)),
        "How often a line of totals is logged."),
    live("server.logLevel", |config| ValueKind::Choice(&mut config.server.log_level),
        "How much is logged. The variable RUST_LOG, where it is set, says it for each part of the program and wins."),
    fixed("server.steering", |config| ValueKind::Choice(&mut config.server.steering),
        "Which thread gets which datagrams: \"source\" gives all of one router to the same thread, in their order; \"spread\" gives each to any thread, for a router that sends more than one thread can count. Then threads overtake each other: when a router changes a template while it runs, what it sends in that moment may be read by the old one."),
    fixed("server.receiveBuffer", |config| ValueKind::Size(&mut config.server.receive_buffer, 64 * 1024..=GIB),
        "How much the kernel is asked to buffer for each receiving socket. It gives no more than net.core.rmem_max allows."),
    fixed("server.nameMemory", |config| ValueKind::Size(&mut config.server.name_memory, 8 * MIB..=64 * GIB),
        "About how much memory the names may take that are counted under and not stored yet: addresses, ports and so on, of all prefixes. When it is used up, the smallest names of the largest tables are added up as \"other\"; totals stay exact."),
    live("admin.authKey", |config| ValueKind::Secret(&mut config.admin.auth_key),
        "The key that requests carry. An empty one is made at random at the first start and kept in the file \"keys\" in dataDir."),
    live("admin.signKey", |config| ValueKind::Secret(&mut config.admin.sign_key),
        "The key that requests are signed with; likewise."),
    live("admin.keysFile", |config| ValueKind::PathOrNone(&mut config.admin.keys_file),
        "A file with more keys, each with a name and a role, that only its owner may read; docs/rest.md shows one."),
    live("admin.signature", |config| ValueKind::Choice(&mut config.admin.signature),
        "Which signatures of requests are good: \"compat\" is both versions, the original's too; \"compat-read\" takes the original's for requests that change nothing; \"strict\" takes version 2 only, which nobody who reads it can send again."),
    live("admin.openMetrics", |config| ValueKind::Switch(&mut config.admin.open_metrics),
        "Whether /metrics answers without credentials, as Prometheus likes it. It shows counts and the addresses of exporters."),
    live("admin.tls.certificate", |config| ValueKind::PathOrNone(&mut config.admin.tls.certificate),
        "A PEM file: the certificate, then those that lead to one that clients trust. Without it there is no TLS."),
    live("admin.tls.key", |config| ValueKind::PathOrNone(&mut config.admin.tls.key),
        "A PEM file: the private key of the certificate."),
    live("http.listen", |config| ValueKind::Address(&mut config.http.listen),
        "Where the REST interface is served. Requests are signed, and encrypted when [admin.tls] names a certificate: let it, or a proxy with TLS before it, when it has to be reachable from elsewhere."),
    live("netflow.listen", |config| ValueKind::Addresses(&mut config.netflow.listen),
        "Where NetFlow and IPFIX datagrams are received."),
    live("netflow.calculateSamples", |config| ValueKind::Switch(&mut config.netflow.calculate_samples),
        "Whether the bytes and packets of sampled flows are multiplied by the sampling rate."),
    live("netflow.templateLifetime", |config| ValueKind::DurationOr(&mut config.netflow.template_lifetime, "forever", TEMPLATE_TIMES),
        "How long a template of NetFlow v9 or IPFIX holds when it is not announced again; \"forever\" is until the router starts again. Routers repeat them every few minutes."),
    live("netflow.templateWait", |config| ValueKind::Duration(&mut config.netflow.template_wait, TEMPLATE_TIMES),
        "How long data wait for their template. They are counted for the time when they were received."),
    live("sflow.listen", |config| ValueKind::Addresses(&mut config.sflow.listen),
        "Where sFlow datagrams are received."),
    live("retention.minutes", |config| age(&mut config.retention.minutes, HOUR),
        "How long counters of minutes are kept."),
    live("retention.hours", |config| age(&mut config.retention.hours, DAY),
        "How long counters of hours are kept."),
    live("retention.days", |config| age(&mut config.retention.days, 31 * DAY),
        "How long counters of days are kept."),
    live("retention.months", |config| age(&mut config.retention.months, 366 * DAY),
        "How long counters of months are kept."),
    live("retention.years", |config| age(&mut config.retention.years, 366 * DAY),
        "How long counters of years are kept."),
    fixed("redis.hosts", |config| ValueKind::Hosts(&mut config.redis.hosts),
        "The server, or nodes of a cluster, or sentinels; the server itself says which it is."),
    fixed("redis.master", |config| ValueKind::TextOrNone(&mut config.redis.master),
        "The name of the master, where sentinels watch over several."),
    fixed("redis.user", |config| ValueKind::TextOrNone(&mut config.redis.access.user),
        "The user, where the servers ask for one."),
    fixed("redis.password", |config| ValueKind::Secret(&mut config.redis.access.password),
        "The password, where the servers ask for one."),
    fixed("redis.tls", |config| ValueKind::Switch(&mut config.redis.access.tls),
        "Whether to encrypt, and to check the servers' certificates."),
    fixed("redis.tlsAuthority", |config| ValueKind::PathOrNone(&mut config.redis.access.tls_authority),
        "A PEM file of who signed the certificates; without it, the system's own."),
    fixed("redis.namespace", |config| ValueKind::Text(&mut config.redis.namespace),
        "The first part of all keys in Redis."),
    fixed("cassandra.hosts", |config| ValueKind::Hosts(&mut config.cassandra.hosts),
        "Some nodes of the cluster; the others are found through them."),
    fixed("cassandra.datacenter", |config| ValueKind::TextOrNone(&mut config.cassandra.datacenter),
        "The data centre to ask, where there are several."),
    fixed("cassandra.user", |config| ValueKind::TextOrNone(&mut config.cassandra.access.user),
        "The user, where the nodes ask for one."),
    fixed("cassandra.password", |config| ValueKind::Secret(&mut config.cassandra.access.password),
        "The password, where the nodes ask for one."),
    fixed("cassandra.tls", |config| ValueKind::Switch(&mut config.cassandra.access.tls),
        "Whether to encrypt, and to check the nodes' certificates."),
    fixed("cassandra.tlsAuthority", |config| ValueKind::PathOrNone(&mut config.cassandra.access.tls_authority),
        "A PEM file of who signed the certificates; without it, the system's own."),
    fixed("cassandra.keyspace", |config| ValueKind::Text(&mut config.cassandra.keyspace),
        "The keyspace; made at start when it is not there."),
    fixed("cassandra.keyspaceConfig", |config| ValueKind::Text(&mut config.cassandra.keyspace_config),
        "The replication of a keyspace that has to be made."),
    live("spool.maxBytes", |config| ValueKind::Size(&mut config.spool.max_bytes, MIB..=1024 * GIB),
        "How much may wait on disk. When it is full, counting goes on in memory with fewer names."),
    live("journal.sync", |config| ValueKind::Choice(&mut config.journal.sync),
        "When it is forced to the disk, which decides what a loss of power may cost: \"interval\" is what was received in the last 500 ms; \"batch\" is nothing, at the price of a sync for every few datagrams; \"off\" leaves it to the operating system."),
    live("journal.maxBytes", |config| ValueKind::Size(&mut config.journal.max_bytes, MIB..=1024 * GIB),
        "How much there may be. What does not fit is counted, but would be lost in a crash."),
];

/// The key of this name.
pub(super) fn find(path: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == path)
}

/// The key that this variable of the environment sets.
pub(super) fn find_variable(variable: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.variable() == variable)
}

/// Whether there are keys below this name.
pub(super) fn is_section(path: &str) -> bool {
    KEYS.iter().any(|key| key.section() == Some(path))
}

/// What to say after "unknown key": the nearest one, or all that stand beside it.
pub(super) fn suggestion(path: &str) -> String {
    let wanted = path.to_lowercase();
    let distance = |name: &str| {
        let name = name.to_lowercase();
        // A key in the wrong section is as near as one wrong letter.
        damerau_levenshtein(&name, &wanted).min(damerau_levenshtein(last(&name), last(&wanted)) + 1)
    };
    let nearest = KEYS.iter().map(|key| (distance(key.name), key.name)).min();
    if let Some((_, name)) = nearest.filter(|(distance, _)| *distance <= 1 + last(path).len() / 3) {
        return format!("; did you mean '{name}'?");
    }
    let beside = section(path).filter(|section| is_section(section));
    let names: Vec<&str> = KEYS.iter().filter(|key| key.section() == beside).map(Key::last).collect();
    match beside {
        Some(section) => format!("; the keys of [{section}] are {}", names.join(", ")),
        None => {
            let mut sections: Vec<String> =
                KEYS.iter().filter_map(Key::section).map(|name| format!("[{name}]")).collect();
            sections.dedup();
            format!("; there are {}, and the sections {}", names.join(", "), sections.join(", "))
        }
    }
}

/// What to say after "unknown variable".
pub(super) fn variable_suggestion(variable: &str) -> String {
    let nearest = KEYS
        .iter()
        .map(Key::variable)
        .map(|name| (damerau_levenshtein(&name, variable), name))
        .min()
        .filter(|(distance, _)| *distance <= 1 + (variable.len() - ENVIRONMENT_PREFIX.len()) / 3);
    match nearest {
        Some((_, name)) => format!("; did you mean {name}?"),
        None => format!("; a key such as http.listen is {ENVIRONMENT_PREFIX}HTTP__LISTEN"),
    }
}
