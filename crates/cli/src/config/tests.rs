use std::collections::BTreeSet;

use super::*;

/// The configuration from a file with this text, and these variables.
fn load(text: &str, variables: &[(&str, &str)]) -> Result<Config, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("netflow.toml");
    fs::write(&path, text).unwrap();
    let environment = variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
    match Config::load(Some(&path), environment) {
        Ok(loaded) => {
            assert_eq!(loaded.file.as_deref(), Some(path.as_path()));
            Ok(loaded.config)
        }
        Err(error) => Err(error.to_string().replace(&format!("{}/", folder.path().display()), "")),
    }
}

fn reference() -> String {
    fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../packaging/netflow.toml")).unwrap()
}

/// The reference file with every setting: `#key = value` without the `#`.
fn uncommented() -> String {
    let line = |line: &str| match line.strip_prefix('#') {
        Some(setting) if setting.starts_with(|letter: char| letter.is_ascii_alphabetic()) => setting.to_owned() + "\n",
        _ => line.to_owned() + "\n",
    };
    reference().lines().map(line).collect()
}

#[test]
fn the_reference_file_holds_every_key_with_its_default() {
    assert_eq!(load(&reference(), &[]).unwrap(), Config::default());
    assert_eq!(load(&uncommented(), &[]).unwrap(), Config::default());
    let text = uncommented();
    let table: toml::Table = text.parse().unwrap();
    let mut written = BTreeSet::new();
    let mut tables = vec![(String::new(), &table)];
    while let Some((section, table)) = tables.pop() {
        for (name, value) in table {
            match value.as_table() {
                Some(inner) => tables.push((format!("{section}{name}."), inner)),
                None => _ = written.insert(format!("{section}{name}")),
            }
        }
    }
    let known: BTreeSet<String> = KEYS.iter().map(|key| key.name.to_owned()).collect();
    assert_eq!(written, known);
}

/// Every key with a value that is not its default, in a file and in a variable.
const CHANGED: &[(&str, &str, &str)] = &[
    ("storage", "\"redis\"", "redis"),
    ("dataDir", "\"/x\"", "/x"),
    ("flushInterval", "\"1s\"", "1s"),
    ("firstFlush", "\"2s\"", "2s"),
    ("clockLimit", "\"1h\"", "1h"),
    ("server.cores", "2", "2"),
    ("server.statuslog", "\"never\"", "never"),
    ("server.logLevel", "\"warn\"", "warn"),
    ("server.logFormat", "\"json\"", "json"),
    ("server.steering", "\"spread\"", "spread"),
    ("server.receiveBuffer", "\"1MiB\"", "1MiB"),
    ("server.nameMemory", "\"1GiB\"", "1GiB"),
    ("accounting.fields", "[\"proto\", \"inif\"]", "inif,proto"),
    ("networks.own", "[\"10.0.0.0/8\"]", "10.0.0.0/8"),
    (
        "networks.named",
        "[{ prefix = \"192.0.2.0/24\", name = \"office\", customer = \"customer-a\", tags = [\"b\", \"a\"], as = 64500, senders = [] }, { prefix = \"2001:db8::/32\" }]",
        "192.0.2.0/24 name=office customer=customer-a tags=a,b as=64500 senders=none; 2001:db8::/32",
    ),
    (
        "senders.known",
        "[{ address = \"192.0.2.1\", name = \"edge-1\", prefixes = [\"198.51.100.0/24\", \"2001:db8::/32\"], tags = [\"b\", \"a\"], certificateName = \"edge-1.example.net\", samplingRate = 1000, flowDirection = \"ingress\" }, { address = \"2001:db8::1\" }]",
        "192.0.2.1 name=edge-1 prefixes=198.51.100.0/24,2001:db8::/32 tags=a,b certificateName=edge-1.example.net samplingRate=1000 flowDirection=ingress; 2001:db8::1",
    ),
    ("senders.accept", "[\"10.0.0.0/8\", \"2001:db8::/32\"]", "10.0.0.0/8, 2001:db8::/32"),
    ("senders.acceptLimit", "7", "7"),
    ("senders.dnsNames", "\"registered\"", "registered"),
    ("senders.dnsServers", "[\"192.0.2.1:53\", \"[::1]:53\"]", "192.0.2.1:53, [::1]:53"),
    ("origins.files", "[\"/a.mmdb\", \"b c.tsv\"]", "/a.mmdb, b c.tsv"),
    ("origins.order", "[\"files\", \"exporter\"]", "files, exporter"),
    ("interfaces.known", "[\"192.0.2.1 5 wan 1G to X\", \"::1 2 lo\"]", "192.0.2.1 5 wan 1G to X, ::1 2 lo"),
    ("snmp.agentsFile", "\"/a\"", "/a"),
    ("snmp.interval", "\"1h\"", "1h"),
    ("admin.authKey", "\"a\"", "a"),
    ("admin.signKey", "\"s\"", "s"),
    ("admin.keysFile", "\"/k\"", "/k"),
    ("admin.signature", "\"strict\"", "strict"),
    ("admin.openMetrics", "false", "false"),
    ("admin.tls.certificate", "\"/c\"", "/c"),
    ("admin.tls.key", "\"/k\"", "/k"),
    ("http.listen", "\"[::1]:1\"", "[::1]:1"),
    ("http.web", "false", "false"),
    ("http.trustedProxies", "[\"127.0.0.1/32\", \"2001:db8::/64\"]", "127.0.0.1/32,2001:db8::/64"),
    ("metrics.prefixes", "7", "7"),
    ("metrics.names", "true", "true"),
    ("netflow.listen", "[\"192.0.2.1:1\", \"[::1]:2\"]", "192.0.2.1:1, [::1]:2"),
    ("netflow.calculateSamples", "false", "false"),
    ("netflow.templateLifetime", "\"1d\"", "1d"),
    ("netflow.templateWait", "\"1h\"", "1h"),
    ("netflow.tcp.listen", "[\"192.0.2.1:4739\", \"[::1]:4739\"]", "192.0.2.1:4739, [::1]:4739"),
    ("netflow.tls.listen", "[\"192.0.2.1:4740\", \"[::1]:4740\"]", "192.0.2.1:4740, [::1]:4740"),
    ("netflow.tls.certificate", "\"/c\"", "/c"),
    ("netflow.tls.key", "\"/k\"", "/k"),
    ("netflow.tls.ca", "\"/ca\"", "/ca"),
    ("sflow.listen", "[]", ""),
    ("bmp.listen", "[\"192.0.2.1:5000\", \"[::1]:5000\"]", "192.0.2.1:5000, [::1]:5000"),
    ("bmp.memory", "\"2GiB\"", "2GiB"),
    (
        "forward.targets",
        "[{ address = \"192.0.2.9:2055\" }, { address = \"[::1]:9\", exporters = [\"10.0.0.0/8\", \"2001:db8::1\"], source = \"exporter\" }]",
        "192.0.2.9:2055; [::1]:9 exporters=10.0.0.0/8,2001:db8::1 source=exporter",
    ),
    ("retention.minutes", "\"forever\"", "forever"),
    ("retention.hours", "\"2d\"", "2d"),
    ("retention.days", "\"40d\"", "40d"),
    ("retention.months", "\"2y\"", "2y"),
    ("retention.years", "\"3y\"", "3y"),
    ("redis.hosts", "[\"a\", \"b:1\"]", "a,b:1"),
    ("redis.master", "\"m\"", "m"),
    ("redis.user", "\"u\"", "u"),
    ("redis.password", "\"p\"", "p"),
    ("redis.tls", "true", "true"),
    ("redis.tlsAuthority", "\"/ca\"", "/ca"),
    ("redis.namespace", "\"n\"", "n"),
    ("cassandra.hosts", "[\"a\"]", "a"),
    ("cassandra.datacenter", "\"d\"", "d"),
    ("cassandra.user", "\"u\"", "u"),
    ("cassandra.password", "\"p\"", "p"),
    ("cassandra.tls", "true", "true"),
    ("cassandra.tlsAuthority", "\"/ca\"", "/ca"),
    ("cassandra.keyspace", "\"k\"", "k"),
    ("cassandra.keyspaceConfig", "\"WITH x\"", "WITH x"),
    ("spool.maxBytes", "\"1GiB\"", "1GiB"),
    ("journal.sync", "\"off\"", "off"),
    ("journal.maxBytes", "\"2GiB\"", "2GiB"),
    ("log.maxBytes", "\"1GiB\"", "1GiB"),
    ("archive.enabled", "false", "false"),
    ("archive.keep", "\"30d\"", "30d"),
    ("archive.maxBytes", "\"100GiB\"", "100GiB"),
    ("archive.freePercent", "20", "20"),
    ("archive.query", "\"clickhouse\"", "clickhouse"),
    ("archive.queryMemory", "\"1GiB\"", "1GiB"),
    ("kafka.brokers", "[\"a\", \"b:1\"]", "a,b:1"),
    ("kafka.topic", "\"t\"", "t"),
    ("kafka.format", "\"json\"", "json"),
    ("kafka.compression", "\"zstd\"", "zstd"),
    ("kafka.user", "\"u\"", "u"),
    ("kafka.password", "\"p\"", "p"),
    ("kafka.mechanism", "\"PLAIN\"", "PLAIN"),
    ("kafka.tls", "true", "true"),
    ("kafka.tlsAuthority", "\"/ca\"", "/ca"),
    ("clickhouse.hosts", "[\"a\", \"b:1\"]", "a,b:1"),
    ("clickhouse.database", "\"d\"", "d"),
    ("clickhouse.table", "\"t\"", "t"),
    ("clickhouse.compression", "\"zstd\"", "zstd"),
    ("clickhouse.user", "\"u\"", "u"),
    ("clickhouse.password", "\"p\"", "p"),
    ("clickhouse.tls", "true", "true"),
    ("clickhouse.tlsAuthority", "\"/ca\"", "/ca"),
];

/// softflowd and others send to 2055, VPP and others to the port that IANA assigned to IPFIX.
#[test]
fn the_ports_that_exporters_send_to_are_listened_on_by_default() {
    let config = Config::default();
    let listened = |addresses: &[SocketAddr]| addresses.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(listened(&config.netflow.listen), ["0.0.0.0:2055", "[::]:2055", "0.0.0.0:4739", "[::]:4739"]);
    assert_eq!(listened(&config.sflow.listen), ["0.0.0.0:6343", "[::]:6343"]);
}

#[test]
fn a_reload_takes_live_keys_and_no_others() {
    let text: String = CHANGED.iter().map(|(key, value, _)| format!("{key} = {value}\n")).collect();
    let (started, read) = (Config::default(), load(&text, &[]).unwrap());
    let taken = started.with_live_of(read.clone());
    for key in KEYS {
        assert!(key.differs(&started, &read), "{} has its default in CHANGED", key.name);
        assert_eq!(key.differs(&started, &taken), key.is_live, "{}", key.name);
        assert_eq!(key.differs(&read, &taken), !key.is_live, "{}", key.name);
    }
    let in_cassandra = Config { storage: Storage::Cassandra, ..started };
    assert_eq!(in_cassandra.with_live_of(read).retention, in_cassandra.retention);
}

#[test]
fn the_examples_of_variables_in_the_reference_file_work() {
    let reference = reference();
    let examples: Vec<(&str, &str)> =
        reference.lines().filter_map(|line| line.split_once("NETFLOW__")?.1.split_once('=')).collect();
    assert_eq!(examples.len(), 4);
    let named: Vec<String> = examples.iter().map(|(name, _)| format!("NETFLOW__{name}")).collect();
    let variables: Vec<(&str, &str)> =
        named.iter().zip(&examples).map(|(name, (_, value))| (name.as_str(), *value)).collect();
    let config = load("", &variables).unwrap();
    assert_eq!(config.data_dir, PathBuf::from("/var/lib/netflow"));
    assert_eq!(config.netflow.listen[1].to_string(), "[2001:db8::1]:2055");
    assert!(!config.netflow.calculate_samples);
}

#[test]
fn every_key_can_be_set_in_the_file_and_in_the_environment() {
    assert_eq!(CHANGED.len(), KEYS.len());
    for &(key, in_file, in_environment) in CHANGED {
        // What some keys need.
        let needed = if key == "archive.query" { "clickhouse.hosts = [\"localhost\"]\n" } else { "" };
        let from_file = load(&format!("{needed}{key} = {in_file}"), &[]).unwrap();
        let variable = reference::find(key).unwrap().variable();
        let from_environment = load(needed, &[(&variable, in_environment)]).unwrap();
        assert_eq!(from_file, from_environment, "{key}");
        assert_ne!(from_file, load(needed, &[]).unwrap(), "{key}");
    }
}

#[test]
fn the_environment_overrides_the_file_and_other_variables_are_ignored() {
    let variables = [("NETFLOW__SERVER__CORES", "3"), ("NETFLOW_SERVICE_HOST", "10.0.0.1"), ("HOME", "/")];
    assert_eq!(load("server.cores = 2", &variables).unwrap().server.cores, NonZero::new(3));
}

#[test]
fn every_setting_has_its_origin() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("netflow.toml");
    fs::write(&path, "dataDir = \"x\"\n\n[server]\ncores = 2\nstatuslog = \"1m\"\n").unwrap();
    let variables = [("NETFLOW__SERVER__STATUSLOG".into(), "2m".into())];
    let Loaded { config, origins, .. } = Config::load(Some(&path), variables).unwrap();
    let expected =
        [("dataDir", Origin::Line(1)), ("server.cores", Origin::Line(4)), ("server.statuslog", Origin::Environment)];
    assert_eq!(origins, Origins::from(expected));
    assert_eq!(reference::find("server.statuslog").unwrap().literal(&config).unwrap(), "\"2m\"");
}

#[test]
fn written_values_are_read_back_the_same() {
    let config =
        load(&uncommented().replace("cores = 0", "cores = 3").replace("tls = false", "tls = true"), &[]).unwrap();
    for key in KEYS {
        let text = format!("{} = {}", key.name, key.literal(&config).unwrap());
        let read = load(&text, &[]).unwrap();
        assert_eq!(key.literal(&read), key.literal(&config), "{text}");
    }
    let secret = load("admin.signKey = \"geheim\"", &[]).unwrap();
    assert_eq!(reference::find("admin.signKey").unwrap().literal(&secret), None);
}

#[test]
fn an_unknown_key_is_an_error_that_names_file_line_and_nearest_key() {
    let text = "dataDir = \"x\"\n[netflow]\n  lisen = [\"0.0.0.0:2055\"]\n";
    assert_eq!(
        load(text, &[]).unwrap_err(),
        "netflow.toml:3:3: unknown key 'netflow.lisen'; did you mean 'netflow.listen'?\n\
         3 |   lisen = [\"0.0.0.0:2055\"]\n  \
           |   ^^^^^"
    );
}

#[test]
fn the_nearest_key_is_found_over_case_and_section() {
    let nearest = |key: &str| {
        let message = load(&format!("{key} = 1"), &[]).unwrap_err();
        message.split_once("; ").unwrap().1.lines().next().unwrap().to_owned()
    };
    for (wrong, right) in [
        ("netflow.calculatesamples", "netflow.calculateSamples"),
        ("netflow.calculate_samples", "netflow.calculateSamples"),
        ("http.cores", "server.cores"),
        ("datadir", "dataDir"),
        ("server.dataDir", "dataDir"),
        ("authKey", "admin.authKey"),
        ("retention.minute", "retention.minutes"),
        ("flush_interval", "flushInterval"),
    ] {
        assert_eq!(nearest(wrong), format!("did you mean '{right}'?"), "{wrong}");
    }
    assert_eq!(nearest("retention.weeks"), "the keys of [retention] are minutes, hours, days, months, years");
    assert_eq!(
        nearest("color"),
        "there are storage, dataDir, flushInterval, firstFlush, clockLimit, and the sections [server], [accounting], [networks], [senders], [origins], [interfaces], [snmp], [admin], [admin.tls], [http], [metrics], [netflow], [netflow.tcp], [netflow.tls], \
         [sflow], [bmp], [forward], [retention], [redis], [cassandra], [spool], [journal], [log], [archive], [kafka], [clickhouse]"
    );
}

#[test]
fn an_unknown_variable_is_an_error_that_names_the_nearest() {
    assert_eq!(
        load("", &[("NETFLOW__NETFLOW__CALCULATESAMPLES", "true")]).unwrap_err(),
        "unknown variable NETFLOW__NETFLOW__CALCULATESAMPLES; did you mean NETFLOW__NETFLOW__CALCULATE_SAMPLES?"
    );
    assert_eq!(
        load("", &[("NETFLOW__X", "true")]).unwrap_err(),
        "unknown variable NETFLOW__X; a key such as http.listen is NETFLOW__HTTP__LISTEN"
    );
    // Those of commands, and of others, are none of the configuration.
    for (mistaken, meant) in
        [("NETFLOW_NETFLOW_LISTEN", "NETFLOW__NETFLOW__LISTEN"), ("NETFLOW_DATA_DIR", "NETFLOW__DATA_DIR")]
    {
        let variables = [(mistaken, ""), ("NETFLOW_URL", ""), ("NETFLOW_SERVICE_HOST", "")];
        assert_eq!(load("", &variables).unwrap_err(), format!("unknown variable {mistaken}; did you mean {meant}?"));
    }
}

#[test]
fn an_invalid_value_is_an_error_that_names_valid_ones() {
    let message = |text: &str| load(text, &[]).unwrap_err().lines().next().unwrap().to_owned();
    for (text, expected) in [
        (
            "http.listen = \"localhost\"",
            "1:15: http.listen is \"localhost\"; it must be <address>:<port>, such as \"0.0.0.0:2055\" or \"[::]:2055\"",
        ),
        (
            "netflow.listen = [\"0.0.0.0:1\", \"::1\"]",
            "1:32: netflow.listen is \"::1\"; it must be <address>:<port>, such as \"[::1]:2055\"",
        ),
        (
            "netflow.listen = [\"::1:2055\"]",
            "1:19: netflow.listen is \"::1:2055\"; it must be <address>:<port>, such as \"[::1]:2055\"",
        ),
        ("netflow.listen = \"0.0.0.0:1\"", "1:18: netflow.listen is text; it must be a list in brackets"),
        ("flushInterval = \"0s\"", "1:17: flushInterval is out of range: 1s to 5m"),
        (
            "flushInterval = 10",
            "1:17: flushInterval is a number; it must be a whole number and a unit of s, m, h, d or y (365 d), such as \"10s\"",
        ),
        ("retention.minutes = \"10m\"", "1:21: retention.minutes is out of range: 1h to 100y; or \"forever\""),
        ("server.cores = -1", "1:16: server.cores is out of range: 0 to 1024"),
        ("server.cores = 99999999999999999999", "1:16: server.cores is out of range: 0 to 1024"),
        ("server.cores = 1.5", "1:16: server.cores is a fraction; it must be a whole number"),
        ("netflow.calculateSamples = \"yes\"", "1:28: netflow.calculateSamples is text; it must be true or false"),
        ("storage = \"oracle\"", "1:11: storage is \"oracle\"; it must be \"sqlite\" or \"redis\" or \"cassandra\""),
        ("dataDir = \"\"", "1:11: dataDir is empty"),
        ("origins.files = \"x\"", "1:17: origins.files is text; it must be a list in brackets"),
        ("origins.files = [\"x\", \"\"]", "1:23: origins.files is empty"),
        (
            "origins.order = [\"file\"]",
            "1:18: origins.order is \"file\"; it must be \"networks\" or \"exporter\" or \"bmp\" or \"files\"",
        ),
        (
            "origins.order = [\"bmp\", \"files\", \"bmp\"]",
            "1:17: origins.order cannot be used: 'bmp' is named twice: name each source once",
        ),
        ("origins.order = []", "1:17: origins.order is empty; it must have some of networks, exporter, bmp, files"),
        (
            "senders.accept = [\"10.0.0.0/8\", \"0.0.0.0/0\"]",
            "1:33: senders.accept has 0.0.0.0/0, which is too wide for the addresses of your routers: use ranges of at least /8",
        ),
        ("[[senders.known]]\nname = \"x\"", "1:1: senders.known has a table without address"),
        (
            "[[senders.known]]\naddress = \"::\"",
            "2:11: senders.known has a wrong address: :: is no source address of datagrams",
        ),
        (
            "[[senders.known]]\naddress = \"::1\"\nprefixes = [\"10.0.0.1/8\"]",
            "3:12: senders.known has a wrong prefixes: 10.0.0.1 is not the first address of its /8: did you mean 10.0.0.0/8?",
        ),
        (
            "[[senders.known]]\naddress = \"::1\"\nsamplingrate = 1",
            "3:1: senders.known has a table with the unknown key 'samplingrate'; its keys are address, name, prefixes, tags, certificateName, samplingRate, flowDirection, outCounters, natAddresses, tunnels, identity",
        ),
        (
            "senders.known = [{address = \"::1\"}, {address = \"0::1\"}]",
            "1:37: senders.known has ::1 twice: write all about it into one table",
        ),
        ("server = 1", "1:1: server is a section: write [server] and its keys below"),
        ("[storage]\nx = 1", "1:1: storage is a table; it must be text in quotes"),
        (
            "server.receiveBuffer = \"8\"",
            "1:24: server.receiveBuffer is \"8\"; it must be a whole number and a unit of KiB, MiB or GiB, such as \"8MiB\"",
        ),
    ] {
        assert_eq!(message(text), format!("netflow.toml:{expected}"));
    }
    let in_environment = load("", &[("NETFLOW__SFLOW__LISTEN", "0.0.0.0:6343,here")]).unwrap_err();
    assert!(in_environment.starts_with("NETFLOW__SFLOW__LISTEN is \"here\"; it must be"), "{in_environment}");
    let cores = load("", &[("NETFLOW__SERVER__CORES", "two")]).unwrap_err();
    assert_eq!(cores, "NETFLOW__SERVER__CORES is text; it must be a whole number");
}

#[test]
fn an_invalid_target_is_an_error_with_its_place() {
    for (text, expected) in [
        ("[[forward.targets]]\nsource = \"exporter\"", "1:1: forward.targets has a table without address"),
        (
            "[[forward.targets]]\naddress = \"collector-2:2055\"",
            "2:11: forward.targets has a wrong address: it is \"collector-2:2055\"; it must be <address>:<port>, such as \"0.0.0.0:2055\" or \"[::]:2055\"",
        ),
        (
            "[[forward.targets]]\naddress = \"192.0.2.1:1\"\nsource = \"own\"",
            "3:10: forward.targets has a wrong source: it is \"own\"; it must be \"collector\" or \"exporter\"",
        ),
        (
            "[[forward.targets]]\naddress = \"192.0.2.1:1\"\nexporter = \"10.0.0.1\"",
            "3:1: forward.targets has a table with the unknown key 'exporter'; its keys are address, exporters, source",
        ),
    ] {
        let message = load(text, &[]).unwrap_err();
        assert_eq!(message.lines().next().unwrap(), format!("netflow.toml:{expected}"));
    }
}

#[test]
fn all_errors_are_reported_at_once() {
    let message = load("clockLimit = 1\nhttp.liste = 1\n", &[("NETFLOW__X", "")]).unwrap_err();
    assert_eq!(message.matches("netflow.toml:").count(), 2, "{message}");
    assert!(message.contains("NETFLOW__X"));
}

#[test]
fn invalid_toml_is_an_error_with_its_position() {
    let message = load("dataDir = \"x\"\n[http\nlisten = 1\n", &[]).unwrap_err();
    assert!(message.starts_with("netflow.toml:2:6: "), "{message}");
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("none.toml");
    let error = Config::load(Some(&missing), []).unwrap_err().to_string();
    assert!(error.starts_with(&format!("cannot read {}: ", missing.display())), "{error}");
}

#[test]
fn keys_show_neither_in_debug_output_nor_in_errors() {
    let config = load("admin.authKey = \"geheim\"\n[admin]\nsignKey = \"geheim\"", &[]);
    let message = config.unwrap_err();
    assert!(!message.contains("geheim"), "{message}");
    for text in [
        "admin.authKey = 'geheim",
        "admin.authKey = ['geheim']",
        "admin.authkey = 'geheim'",
        "[admin]\nsignKey = geheim",
        "[admin]\nsecret = \"geheim\"",
    ] {
        let message = load(text, &[]).unwrap_err();
        assert!(!message.contains("geheim"), "{message}");
    }
    let config = load("[admin]\nauthKey = \"geheim\"\nsignKey = \"geheim\"", &[]).unwrap();
    assert_eq!(config.admin.auth_key.as_ref().unwrap().expose(), "geheim");
    let shown = format!("{config:?} {config:#?}");
    assert!(!shown.contains("geheim") && shown.contains("hidden"), "{shown}");
}

#[test]
fn mutated_files_are_read_or_rejected_with_a_position() {
    let right = uncommented().into_bytes();
    let mut random = testing::Random::new(7);
    for _ in 0..500 {
        let mut file = right.clone();
        for _ in 0..=random.below(4) {
            testing::mutate(&mut random, &mut file, &right);
        }
        let Ok(text) = String::from_utf8(file) else { continue };
        if let Err(message) = load(&text, &[]) {
            assert!(message.starts_with("netflow.toml:"), "{message}");
        }
    }
}

#[test]
fn questions_to_clickhouse_need_one() {
    let error = load("archive.query = \"clickhouse\"", &[]).unwrap_err().to_string();
    assert!(error.contains("set clickhouse.hosts too"), "{error}");
    let variables = [("NETFLOW__CLICKHOUSE__HOSTS", "localhost")];
    assert_eq!(load("archive.query = \"clickhouse\"", &variables).unwrap().archive.query, super::Query::Clickhouse);
}
