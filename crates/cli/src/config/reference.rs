//! Every configuration key in one table, with its documentation, and how to find one. A new key is one row. After a change
//! `make bless` rewrites `packaging/netflow.toml` and `docs/configuration.md`.

use std::ops::RangeInclusive;
use std::time::Duration;

use api::Signatures;
use collector::NamedByDns;
use journal::Sync;
use kafka::{Compression, Format, Mechanism};
use strsim::damerau_levenshtein;
use udp::Steering;

use super::key::{ENVIRONMENT_PREFIX, Key, last, section};
use super::value_kind::{Choice, ValueKind, Words};
use super::{Config, DAY, HOUR, LogFormat, LogLevel, MINUTE, Query, SECOND, Storage, YEAR};

impl Words for Query {
    const WORDS: &'static [(&'static str, Self)] = &[("local", Self::Local), ("clickhouse", Self::Clickhouse)];
}

impl Words for Signatures {
    const WORDS: &'static [(&'static str, Self)] =
        &[("compat", Self::Compat), ("compat-read", Self::CompatRead), ("strict", Self::Strict)];
}

impl Words for Steering {
    const WORDS: &'static [(&'static str, Self)] = &[("source", Self::Source), ("spread", Self::Spread)];
}

impl Words for NamedByDns {
    const WORDS: &'static [(&'static str, Self)] =
        &[("all", Self::All), ("registered", Self::Registered), ("none", Self::None)];
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

impl Words for LogFormat {
    const WORDS: &'static [(&'static str, Self)] = &[("text", Self::Text), ("json", Self::Json)];
}

impl Storage {
    /// Its word in the configuration, which is also the name of its cargo feature.
    pub(crate) fn name(&self) -> &'static str {
        self.chosen()
    }
}

impl Words for Storage {
    const WORDS: &'static [(&'static str, Self)] =
        &[("sqlite", Self::Sqlite), ("redis", Self::Redis), ("cassandra", Self::Cassandra)];
    /// Cassandra is "cql" in netflow.io.
    const ALIASES: &'static [(&'static str, Self)] = &[("cql", Self::Cassandra)];
}

impl Words for Format {
    const WORDS: &'static [(&'static str, Self)] =
        &[("delimited", Self::Delimited), ("single", Self::Single), ("json", Self::Json)];
}

impl Words for Compression {
    const WORDS: &'static [(&'static str, Self)] = &[
        (Self::None.name(), Self::None),
        (Self::Gzip.name(), Self::Gzip),
        (Self::Lz4.name(), Self::Lz4),
        (Self::Zstd.name(), Self::Zstd),
    ];
}

impl Words for clickhouse::Compression {
    const WORDS: &'static [(&'static str, Self)] = &[(Self::None.name(), Self::None), (Self::Zstd.name(), Self::Zstd)];
}

impl Words for Mechanism {
    const WORDS: &'static [(&'static str, Self)] = &[
        (Self::Plain.name(), Self::Plain),
        (Self::Scram256.name(), Self::Scram256),
        (Self::Scram512.name(), Self::Scram512),
    ];
}

const TEMPLATE_TIMES: RangeInclusive<Duration> = seconds(SECOND, 366 * DAY);
const MIB: usize = 1024 * 1024;
const GIB: usize = 1024 * MIB;

const fn seconds(from: u64, to: u64) -> RangeInclusive<Duration> {
    Duration::from_secs(from)..=Duration::from_secs(to)
}

/// A retention: at least until the next coarser period, which it is summed into, has ended.
fn age(place: &mut Option<Duration>, least_seconds: u64) -> ValueKind<'_> {
    ValueKind::DurationOr(place, "forever", seconds(least_seconds, 100 * YEAR))
}

/// A key that takes effect at a reload; `Config::with_live_of` must take it as well.
const fn live(name: &'static str, value: fn(&mut Config) -> ValueKind<'_>, text: &'static str) -> Key {
    Key { name, value, is_live: true, text }
}

/// A key that takes effect at a restart.
const fn fixed(name: &'static str, value: fn(&mut Config) -> ValueKind<'_>, text: &'static str) -> Key {
    Key { name, value, is_live: false, text }
}

/// The sections and their descriptions.
pub(super) const SECTIONS: &[(&str, &str)] = &[
    ("server", "The process as a whole."),
    ("accounting", "What flows are counted by."),
    ("networks", "The networks of the operator."),
    (
        "senders",
        "Routers that are registered without a request. docs/senders.md describes the ways to register routers.",
    ),
    (
        "origins",
        "AS numbers, AS names and countries of addresses. docs/origins.md describes what files can be used, and where to get them.",
    ),
    ("interfaces", "What interfaces of routers are called, by SNMP index."),
    (
        "snmp",
        "SNMP agents of registered routers, which are asked what the interfaces are called and how fast they are.",
    ),
    ("admin", "Access to the REST interface. Requests carry the authKey and are signed with the signKey."),
    (
        "admin.tls",
        "TLS for the REST interface. A reload reads both files again, so a renewed certificate needs no restart.",
    ),
    ("http", "The REST interface."),
    ("metrics", "What /metrics has of monitored prefixes: docs/grafana.md."),
    ("netflow", "NetFlow and IPFIX."),
    ("netflow.tcp", "Export connections: IPFIX over TCP (RFC 7011). docs/export-connections.md describes them."),
    (
        "netflow.tls",
        "Export connections with TLS 1.2 or 1.3, in which exporters show certificates too. A reload reads the files again; connections that are open continue.",
    ),
    ("sflow", "sFlow."),
    (
        "bmp",
        "Routes that routers send by BMP (RFC 7854): where a router exports no AS numbers, they are those of its routes.",
    ),
    ("forward", "Copies of received datagrams for other collectors: docs/forward.md."),
    (
        "retention",
        "How long counters of minutes, hours, days, months and years are kept. Each period is summed into the next before it is deleted, so it is kept at least until the next has ended. With Cassandra, a change needs a restart.",
    ),
    ("redis", "The connection to Redis, with storage = \"redis\"."),
    ("cassandra", "The connection to Cassandra, with storage = \"cassandra\"."),
    ("spool", "Flushes on disk for a store on the network that is unreachable."),
    (
        "journal",
        "Received datagrams are kept on disk until their flows are stored, in the directory \"journal\" in dataDir. A crash of netflow loses nothing that it had read.",
    ),
    ("log", "Datagrams that were counted and that a reader, such as the archive, has not read yet."),
    (
        "archive",
        "Every flow with all its columns, in Parquet files in the directory \"flows\" in dataDir, which other programs can read.",
    ),
    ("kafka", "Every flow with all its columns, sent to Kafka. docs/kafka.md describes what is sent."),
    (
        "clickhouse",
        "Every flow with all its columns, once in a table of ClickHouse. docs/clickhouse.md describes the table.",
    ),
];

/// All keys in the order of the reference, grouped by section.
#[rustfmt::skip]
pub(crate) const KEYS: &[Key] = &[
    fixed("storage", |config| ValueKind::Choice(&mut config.storage),
        "Where registered senders and counters are stored: \"sqlite\" is a file in dataDir; \"redis\" and \"cassandra\" are servers that several collectors can share, see [redis] and [cassandra]."),
    fixed("dataDir", |config| ValueKind::Path(&mut config.data_dir),
        "The directory for everything on disk; created if missing. A relative path starts at the working directory of netflow. The service uses /var/lib/netflow."),
    live("flushInterval", |config| ValueKind::Duration(&mut config.flush_interval, seconds(SECOND, 5 * MINUTE)),
        "How often counters are stored."),
    live("firstFlush", |config| ValueKind::Duration(&mut config.first_flush, seconds(SECOND, 5 * MINUTE)),
        "How long the first flows of a newly registered router or prefix wait to be stored, if that is less than flushInterval. Flows are stored for this reason every 10 seconds at most."),
    live("clockLimit", |config| ValueKind::Duration(&mut config.clock_limit, seconds(SECOND, 366 * DAY)),
        "How far the export time in a datagram may differ from its receive time. Beyond that, its flows are counted at the receive time. A prefix has at most 128 minutes that are more than 10 minutes off between two flushes; flows of further ones are also counted at the receive time."),
    fixed("server.cores", |config| ValueKind::Count(&mut config.server.cores, 0..=1024),
        "Number of threads that receive and count; 0 is one per core."),
    live("server.statuslog", |config| ValueKind::DurationOr(&mut config.server.statuslog, "never", seconds(SECOND, DAY)),
        "How often a line with the rates since the last such line is logged: datagrams, flows, bits and losses a second. What changes is logged when it changes; that is looked for every 10 seconds, or as often as this line if that is more often, and also with \"never\"."),
    live("server.logLevel", |config| ValueKind::Choice(&mut config.server.log_level),
        "The log level. The variable RUST_LOG, if set, overrides this and can set levels per module."),
    live("server.logFormat", |config| ValueKind::Choice(&mut config.server.log_format),
        "The form of the lines of the log: \"text\" is for people; \"json\" makes each an object with timestamp, level, message, target and the fields of the line."),
    fixed("server.steering", |config| ValueKind::Choice(&mut config.server.steering),
        "How datagrams are distributed to threads: \"source\" gives all datagrams of a router to one thread, in order; \"spread\" gives each to any thread, for a router that sends more than one thread can count. With \"spread\" datagrams can overtake each other: data sent just after a template change may be decoded with the old template."),
    fixed("server.receiveBuffer", |config| ValueKind::Size(&mut config.server.receive_buffer, 64 * 1024..=GIB),
        "Receive buffer to request for each socket. The kernel grants at most net.core.rmem_max."),
    fixed("server.nameMemory", |config| ValueKind::Size(&mut config.server.name_memory, 8 * MIB..=64 * GIB),
        "Approximate memory limit for counters not yet flushed: values such as addresses and ports, of all prefixes. Beyond it, the smallest values of the largest tables are summed as \"other\"; totals stay exact. Where the control group of the process limits memory, as in a container or with MemoryMax= of systemd, it is at most half of what that leaves beside 24 MiB and what the archive needs."),
    fixed("accounting.fields", |config| ValueKind::Fields(&mut config.accounting.fields),
        "The fields that flows are counted by, in addition to the total, which is always counted. inif and outif are the SNMP indices of the input and output interface, srccountry and dstcountry the countries of the ends by the files of origins. Each field takes memory and disk space for its values. Traffic from the time before a field was added is part of the total, but of no value of the field: answers show it as \"other\"."),
    live("networks.own", |config| ValueKind::Prefixes(&mut config.networks.own),
        "Your own networks. A flow between two of their addresses is local: it counts as in:local and out:local. If there are none, also none with names, these are the monitored prefixes of its router, without 0.0.0.0/0 and ::/0."),
    live("networks.named", |config| ValueKind::Networks(&mut config.networks.named),
        "Own networks with names: docs/networks.md. Each is a table [[networks.named]] with its prefix, and any of name, customer, tags, the AS of its addresses (as), and the senders that count it (senders; default: [\"all\"]). All are own networks like those of networks.own. In the variable, networks are separated by semicolons: 192.0.2.0/24 name=office customer=customer-a; 2001:db8::/32."),
    live("senders.known", |config| ValueKind::Senders(&mut config.senders.known),
        "Registered routers. Each is a table [[senders.known]] with its address, and any of name, the prefixes that it counts beside the networks (prefixes), tags, and its settings (docs/rest.md). Requests cannot change them. In the variable, routers are separated by semicolons: 192.0.2.1 name=edge-1 prefixes=198.51.100.0/24,2001:db8::/32 samplingRate=1000; 192.0.2.2."),
    live("senders.accept", |config| ValueKind::Ranges(&mut config.senders.accept),
        "Routers in these ranges register themselves with their first valid export datagram, which is counted too, and count the networks that select them. A datagram from such an address is counted, also a forged one: list the loopbacks of your routers, not your customers. netflow senders shows which were accepted; one that is removed is not accepted again until it is registered by a request."),
    live("senders.acceptLimit", |config| ValueKind::Count(&mut config.senders.accept_limit, 1..=100_000),
        "The most routers that register themselves. Beyond it, the datagrams of others are unregistered; the log, /status and netflow doctor report it."),
    live("senders.dnsNames", |config| ValueKind::Choice(&mut config.senders.dns_names),
        "Whether DNS is asked for the names of routers, by their addresses (PTR), once a day and in the background: \"all\" are those that send, also unregistered ones, so that netflow doctor recognises a router that sends from another address than its registered one; \"registered\" are registered ones only; \"none\" asks for none. The servers learn the addresses of routers, never those of flows."),
    live("senders.dnsServers", |config| ValueKind::Addresses(&mut config.senders.dns_servers),
        "The DNS servers that are asked. If the list is empty, they are those of the machine (/etc/resolv.conf)."),
    live("origins.files", |config| ValueKind::Paths(&mut config.origins.files, origin::limits::FILES),
        "Files with AS numbers, AS names or countries, the most trusted first: MaxMind databases (GeoLite2, IPinfo, DB-IP), the TSV files of iptoasn.com, and lists of AS names. They are read again when they change, and at a reload. If one of them cannot be used, the collector keeps what it read last; at a start it counts without them. A relative path starts at the working directory of netflow."),
    live("origins.order", |config| ValueKind::Order(&mut config.origins.order),
        "Who is asked for the AS of an address, in this order, until one knows it: \"networks\" are your own, \"exporter\" is the flow itself, unless it has AS 0, AS 23456, a private AS or only a default route, \"bmp\" are the routes of the router, then those of others, and \"files\" are origins.files. What is left out is not asked."),
    live("interfaces.known", |config| ValueKind::Interfaces(&mut config.interfaces.known),
        "Interfaces whose name, speed or description their routers do not send in options data: router, SNMP index, name; then, if known, speed in bits a second (10G, 100M, or - if unknown) and description, such as \"192.0.2.1 5 ge-0/0/1 10G to the exchange\"."),
    live("snmp.agentsFile", |config| ValueKind::PathOrNone(&mut config.snmp.agents_file),
        "A file with the SNMP agents to ask and their credentials; only its owner may be able to read it. docs/interfaces.md shows an example. If empty, no agent is asked. A reload reads it again."),
    live("snmp.interval", |config| ValueKind::Duration(&mut config.snmp.interval, seconds(10 * SECOND, DAY)),
        "How often each router is asked."),
    live("admin.authKey", |config| ValueKind::Secret(&mut config.admin.auth_key),
        "The key that requests carry. If empty, a random key is generated at the first start and kept in the file \"keys\" in dataDir."),
    live("admin.signKey", |config| ValueKind::Secret(&mut config.admin.sign_key),
        "The key that requests are signed with. If empty, it is generated like authKey."),
    live("admin.keysFile", |config| ValueKind::PathOrNone(&mut config.admin.keys_file),
        "A file with more keys, each with a name and a role; only its owner may be able to read it. docs/rest.md shows an example."),
    live("admin.signature", |config| ValueKind::Choice(&mut config.admin.signature),
        "Accepted signatures of requests: \"compat\" accepts both versions; \"compat-read\" accepts version 1, that of the original, for read requests only; \"strict\" accepts only version 2, which cannot be replayed."),
    live("admin.openMetrics", |config| ValueKind::Switch(&mut config.admin.open_metrics),
        "Whether /metrics needs no credentials, as is usual for Prometheus. It shows counts, the addresses of exporters, and the traffic of monitored prefixes (see metrics.prefixes)."),
    live("admin.tls.certificate", |config| ValueKind::PathOrNone(&mut config.admin.tls.certificate),
        "PEM file with the certificate and its intermediate certificates. If empty, TLS is off."),
    live("admin.tls.key", |config| ValueKind::PathOrNone(&mut config.admin.tls.key),
        "PEM file with the private key of the certificate."),
    live("http.listen", |config| ValueKind::Address(&mut config.http.listen),
        "Listen address of the REST interface. Requests are signed, but encrypted only with [admin.tls] or a TLS proxy: use either when clients connect over a network."),
    live("http.web", |config| ValueKind::Switch(&mut config.http.web),
        "Whether the web interface is served there; its users log in with a key."),
    live("http.trustedProxies", |config| ValueKind::Prefixes(&mut config.http.trusted_proxies),
        "Networks of proxies that log the users of the web interface in: a request from there with the header Remote-User has the rights of the key of that name in admin.keysFile. Such a proxy must remove this header, and X-Forwarded-Proto, from what its clients send."),
    live("metrics.prefixes", |config| ValueKind::Count(&mut config.metrics.prefixes, 0..=10_000),
        "The most monitored prefixes, over all routers, for which /metrics has counters of bytes, packets and flows: each has 13 time series. Beyond it none has, and the log and netflow doctor report it; 0 turns them off."),
    live("metrics.names", |config| ValueKind::Switch(&mut config.metrics.names),
        "Whether these counters also have what the router and the network are called, and whose network it is, as labels router_name, network and customer. Each change of a name begins other time series."),
    live("netflow.listen", |config| ValueKind::Addresses(&mut config.netflow.listen),
        "Listen addresses for NetFlow and IPFIX."),
    live("netflow.calculateSamples", |config| ValueKind::Switch(&mut config.netflow.calculate_samples),
        "Whether bytes and packets of sampled flows are multiplied by the sampling rate."),
    live("netflow.templateLifetime", |config| ValueKind::DurationOr(&mut config.netflow.template_lifetime, "forever", TEMPLATE_TIMES),
        "How long a NetFlow v9 or IPFIX template is valid without being repeated; \"forever\" is until the router restarts. Routers repeat templates every few minutes."),
    live("netflow.templateWait", |config| ValueKind::Duration(&mut config.netflow.template_wait, TEMPLATE_TIMES),
        "How long data waits for a missing template. It is counted at its receive time."),
    live("netflow.tcp.listen", |config| ValueKind::Addresses(&mut config.netflow.tcp.listen),
        "Listen addresses for export connections without encryption; port 4739 is usual. They are accepted from the addresses of registered routers only. If empty, there are none."),
    live("netflow.tls.listen", |config| ValueKind::Addresses(&mut config.netflow.tls.listen),
        "Listen addresses for export connections with TLS; port 4740 is usual. They are accepted from the addresses of registered routers only. If empty, there are none."),
    live("netflow.tls.certificate", |config| ValueKind::PathOrNone(&mut config.netflow.tls.own.certificate),
        "PEM file with the certificate of the collector and its intermediate certificates."),
    live("netflow.tls.key", |config| ValueKind::PathOrNone(&mut config.netflow.tls.own.key),
        "PEM file with the private key of the certificate."),
    live("netflow.tls.ca", |config| ValueKind::PathOrNone(&mut config.netflow.tls.ca),
        "PEM file with the certificates of the authorities that sign those of exporters. An exporter whose certificate none of them has signed, or that shows none, is refused; the setting certificateName of a sender also requires a name."),
    live("sflow.listen", |config| ValueKind::Addresses(&mut config.sflow.listen),
        "Listen addresses for sFlow."),
    live("bmp.listen", |config| ValueKind::Addresses(&mut config.bmp.listen),
        "Listen addresses for BMP sessions (TCP); port 5000 is usual. Sessions are accepted from the addresses of registered routers only. If empty, BMP is off."),
    live("bmp.memory", |config| ValueKind::Size(&mut config.bmp.memory, 16 * MIB..=64 * GIB),
        "Approximate memory limit for the routes of all routers; a full table of 1,000,000 routes takes about 90 MiB. Those of one router may take half of it. The session of a router that exceeds it ends with an error."),
    live("forward.targets", |config| ValueKind::ForwardTargets(&mut config.forward.targets),
        "Collectors that get copies of everything that is received, or of what \"exporters\" (addresses or prefixes) send, registered or not. With source = \"collector\", the default, copies have the address of this host; with \"exporter\", they keep address and port of the exporter, which needs CAP_NET_RAW. In the variable, tables are separated by semicolons: 192.0.2.9:2055 exporters=10.0.0.0/8,2001:db8::1 source=exporter."),
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
        "The server, or nodes of a cluster, or sentinels; netflow detects which."),
    fixed("redis.master", |config| ValueKind::TextOrNone(&mut config.redis.master),
        "The name of the master, if the sentinels monitor several."),
    fixed("redis.user", |config| ValueKind::TextOrNone(&mut config.redis.access.user),
        "The user, if the servers require one."),
    fixed("redis.password", |config| ValueKind::Secret(&mut config.redis.access.password),
        "The password, if the servers require one."),
    fixed("redis.tls", |config| ValueKind::Switch(&mut config.redis.access.tls),
        "Whether to use TLS and verify the certificates of the servers."),
    fixed("redis.tlsAuthority", |config| ValueKind::PathOrNone(&mut config.redis.access.tls_authority),
        "PEM file with the CA certificates. If empty, the system trust store is used."),
    fixed("redis.namespace", |config| ValueKind::Text(&mut config.redis.namespace),
        "Prefix of all keys in Redis."),
    fixed("cassandra.hosts", |config| ValueKind::Hosts(&mut config.cassandra.hosts),
        "Some nodes of the cluster, through which the others are discovered."),
    fixed("cassandra.datacenter", |config| ValueKind::TextOrNone(&mut config.cassandra.datacenter),
        "The data center to connect to, if there are several."),
    fixed("cassandra.user", |config| ValueKind::TextOrNone(&mut config.cassandra.access.user),
        "The user, if the nodes require one."),
    fixed("cassandra.password", |config| ValueKind::Secret(&mut config.cassandra.access.password),
        "The password, if the nodes require one."),
    fixed("cassandra.tls", |config| ValueKind::Switch(&mut config.cassandra.access.tls),
        "Whether to use TLS and verify the certificates of the nodes."),
    fixed("cassandra.tlsAuthority", |config| ValueKind::PathOrNone(&mut config.cassandra.access.tls_authority),
        "PEM file with the CA certificates. If empty, the system trust store is used."),
    fixed("cassandra.keyspace", |config| ValueKind::Text(&mut config.cassandra.keyspace),
        "The keyspace; created at the start if missing."),
    fixed("cassandra.keyspaceConfig", |config| ValueKind::Text(&mut config.cassandra.keyspace_config),
        "The replication of a keyspace that netflow creates."),
    live("spool.maxBytes", |config| ValueKind::Size(&mut config.spool.max_bytes, MIB..=1024 * GIB),
        "Size limit of the spool. When it is full, counting continues in memory, with fewer values per field."),
    live("journal.sync", |config| ValueKind::Choice(&mut config.journal.sync),
        "When the journal is synced to disk, which decides what a power failure can lose: \"interval\" loses at most the last 500 ms; \"batch\" loses nothing, at the price of a sync for every few datagrams; \"off\" leaves syncing to the operating system."),
    live("journal.maxBytes", |config| ValueKind::Size(&mut config.journal.max_bytes, MIB..=1024 * GIB),
        "Size limit of the journal. Datagrams beyond it are counted, but would be lost in a crash."),
    live("log.maxBytes", |config| ValueKind::Size(&mut config.log.max_bytes, MIB..=1024 * GIB),
        "Size limit of the log. Beyond it the oldest segments are deleted, and what a reader has missed is counted and reported."),
    fixed("archive.enabled", |config| ValueKind::Switch(&mut config.archive.enabled),
        "Whether flows are kept. Flows are personal data in many countries: set archive.keep to what you may keep."),
    fixed("archive.keep", |config| ValueKind::Duration(&mut config.archive.keep, seconds(DAY, 10 * YEAR)),
        "How long flows are kept, in whole days; the present one is kept too."),
    fixed("archive.maxBytes", |config| ValueKind::Size(&mut config.archive.max_bytes, MIB..=1024 * 1024 * GIB),
        "Size limit of the archive. Beyond it, the oldest hours are deleted."),
    fixed("archive.freePercent", |config| ValueKind::Count(&mut config.archive.free_percent, 0..=90),
        "How much of the disk the archive leaves free. When less is free, the oldest hours are deleted, and if that is not enough, nothing more is written."),
    fixed("archive.query", |config| ValueKind::Choice(&mut config.archive.query),
        "What answers questions about flows: \"local\" is the archive of this collector, \"clickhouse\" the table that it sends flows to (clickhouse.hosts), with the flows of all collectors that send to it."),
    fixed("archive.queryMemory", |config| ValueKind::Size(&mut config.archive.query_memory, 64 * MIB..=1024 * GIB),
        "Memory of a question in ClickHouse at most. Groups that need more than half of it are on its disk."),
    fixed("kafka.brokers", |config| ValueKind::Hosts(&mut config.kafka.brokers),
        "Some brokers of the cluster, through which the others are discovered; none for no stream. The port is 9092 if none is stated."),
    fixed("kafka.topic", |config| ValueKind::Text(&mut config.kafka.topic),
        "The topic. It must exist."),
    fixed("kafka.format", |config| ValueKind::Choice(&mut config.kafka.format),
        "How a flow is written: \"delimited\" is a protobuf message with its length before it, as goflow2 writes it and ClickHouse reads Protobuf; \"single\" is the message alone, as most libraries read it; \"json\" is an object."),
    fixed("kafka.compression", |config| ValueKind::Choice(&mut config.kafka.compression),
        "What batches of flows are compressed with."),
    fixed("kafka.user", |config| ValueKind::TextOrNone(&mut config.kafka.access.user),
        "The user, if the brokers require one."),
    fixed("kafka.password", |config| ValueKind::Secret(&mut config.kafka.access.password),
        "The password, if the brokers require one."),
    fixed("kafka.mechanism", |config| ValueKind::Choice(&mut config.kafka.mechanism),
        "The SASL mechanism, with kafka.user. PLAIN sends the password as it is: use it with kafka.tls only."),
    fixed("kafka.tls", |config| ValueKind::Switch(&mut config.kafka.access.tls),
        "Whether to use TLS and verify the certificates of the brokers."),
    fixed("kafka.tlsAuthority", |config| ValueKind::PathOrNone(&mut config.kafka.access.tls_authority),
        "PEM file with the CA certificates. If empty, the system trust store is used."),
    fixed("clickhouse.hosts", |config| ValueKind::Hosts(&mut config.clickhouse.hosts),
        "The server, or replicas of one table; none for no stream. If one cannot be reached, the next one is asked. The port is that of the HTTP interface, 8123 or with TLS 8443 if none is stated."),
    fixed("clickhouse.database", |config| ValueKind::Text(&mut config.clickhouse.database),
        "The database. It must exist."),
    fixed("clickhouse.table", |config| ValueKind::Text(&mut config.clickhouse.table),
        "The table. It is created if it is missing."),
    fixed("clickhouse.compression", |config| ValueKind::Choice(&mut config.clickhouse.compression),
        "What inserts are compressed with, for a slow network."),
    fixed("clickhouse.user", |config| ValueKind::TextOrNone(&mut config.clickhouse.access.user),
        "The user. If empty, ClickHouse's user \"default\"."),
    fixed("clickhouse.password", |config| ValueKind::Secret(&mut config.clickhouse.access.password),
        "The password of the user."),
    fixed("clickhouse.tls", |config| ValueKind::Switch(&mut config.clickhouse.access.tls),
        "Whether to use TLS and verify the certificates of the servers."),
    fixed("clickhouse.tlsAuthority", |config| ValueKind::PathOrNone(&mut config.clickhouse.access.tls_authority),
        "PEM file with the CA certificates. If empty, the system trust store is used."),
];

/// The key with this name.
pub(super) fn find(path: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == path)
}

/// The key that this environment variable sets.
pub(super) fn find_variable(variable: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.variable() == variable)
}

/// Whether this is the name of a section.
pub(super) fn is_section(path: &str) -> bool {
    KEYS.iter().any(|key| key.section() == Some(path))
}

/// The end of an "unknown key" message: the nearest key, or all keys of the section.
pub(super) fn suggestion(path: &str) -> String {
    let wanted = path.to_lowercase();
    let distance = |name: &str| {
        let name = name.to_lowercase();
        // A key in the wrong section counts as one wrong letter.
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

/// The end of an "unknown variable" message.
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
