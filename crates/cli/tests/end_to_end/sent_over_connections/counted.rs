//! What both send into the real collector: it counts the same over UDP, TCP and TLS.

use super::*;

/// A collector that listens for all transports, and verifies exporters over TLS; with its address for each, and the options.
fn collector(certificates: &Path) -> (Collector, [(String, Vec<String>); 3]) {
    let (udp, tcp, tls, http) = (free_udp(), free_tcp(), free_tcp(), free_tcp());
    let directory = certificates.display();
    let collector = Collector::start_configured(&format!(
        "[netflow]\nlisten = [\"{udp}\"]\n[netflow.tcp]\nlisten = [\"{tcp}\"]\n[netflow.tls]\nlisten = [\"{tls}\"]\n\
         certificate = \"{directory}/collector.pem\"\nkey = \"{directory}/collector.key\"\nca = \"{directory}/ca.pem\"\n\
         [sflow]\nlisten = []\n[http]\nlisten = \"{http}\"\n"
    ));
    register(&collector);
    let file = |name: &str| certificates.join(name).to_str().unwrap().to_owned();
    let [ca, certificate, key] = ["ca.pem", "exporter.pem", "exporter.key"].map(file);
    let encrypted = ["--tls", "--ca", &ca, "--certificate", &certificate, "--key", &key].map(str::to_owned);
    let transports = [
        (udp.to_string(), Vec::new()),
        (tcp.to_string(), vec!["--tcp".to_owned()]),
        (tls.to_string(), encrypted.to_vec()),
    ];
    (collector, transports)
}

/// What is expected in sum, so that it can be asked for.
fn sum(parts: &[&Totals]) -> Totals {
    let mut sum = Totals::new();
    for (key, counters) in parts.iter().copied().flatten() {
        sum.entry(key.clone()).or_default().add(*counters);
    }
    sum
}

#[test]
fn a_collector_counts_what_generate_prints_over_udp_tcp_and_tls() {
    let certificates = certificates();
    let (collector, transports) = collector(certificates.path());
    let mut counted = Totals::new();
    for (number, (to, options)) in transports.iter().enumerate() {
        let seed = number.to_string();
        let mut arguments = vec!["generate", "--protocol", "ipfix", "--to", to, "--rate", "20000", "--flows", "4000"];
        arguments.extend([
            "--addresses",
            "60",
            "--client-ports",
            "30",
            "--as-numbers",
            "20",
            "--local",
            "10",
            "--json",
        ]);
        arguments.extend([
            "--seed",
            &seed,
            "--ports",
            "2",
            "--prefix",
            PREFIXES[0],
            "--prefix",
            PREFIXES[2],
            "--ipv6",
            "40",
        ]);
        arguments.extend(PREFIXES.iter().flat_map(|prefix| ["--names", prefix]));
        arguments.extend(options.iter().map(String::as_str));
        let (printed, errors, code) = netflow(certificates.path(), &arguments);
        assert_eq!(code, Some(0), "{options:?} {printed}{errors}{}", collector.log());
        let sent: Value = serde_json::from_str(&printed).unwrap();
        let names = sent["names"].as_array().unwrap().iter();
        let text = |name: &Value, key: &str| name[key].as_str().unwrap().to_owned();
        let expected: Totals = names
            .map(|name| ((text(name, "prefix"), text(name, "direction"), text(name, "name")), counters(name)))
            .collect();
        assert!(expected.len() > 200, "{expected:?}");
        let all = sum(&[&counted, &expected]);
        let answered = answered_in_time(&collector, &all);
        let wrong = all.iter().find(|(key, counters)| answered.get(*key) != Some(counters));
        assert_eq!(wrong.map(|(key, it)| (key, it, answered.get(key))), None, "{options:?} {}", collector.log());
        counted = all;
    }
    collector.terminate();
}

#[test]
fn a_capture_has_the_same_totals_over_udp_tcp_and_tls() {
    let certificates = certificates();
    let (collector, transports) = collector(certificates.path());
    let path = certificates.path().join("export.pcap");
    let mut writer = capture::Writer::new(File::create(&path).unwrap()).unwrap();
    let start = Timestamp::from(std::time::SystemTime::now());
    let mut names = Totals::new();
    // Templates with the same id are of IPv4 in one and of both families in the other.
    for (host, ipv6_percent) in [(1, 0), (2, 50)] {
        let prefixes = PREFIXES.iter().map(|prefix| prefix.parse().unwrap()).collect();
        let traffic = Traffic { prefixes, ipv6_percent, addresses: 50, ..Traffic::default() };
        let load = Load { protocol: Protocol::Ipfix, traffic, repeat: Some(1200), ..Load::default() };
        let mut generator = Generator::new(load).unwrap();
        for made in generator.batch(start, 40) {
            let source = SocketAddr::from(([192, 0, 2, host], 40_000));
            writer.write(start, source, "198.51.100.1:4739".parse().unwrap(), made.payload).unwrap();
        }
        let prefixes = PREFIXES.map(|prefix| prefix.parse().unwrap());
        let wanted = &mut |name: &Name| matches!(name.field, Field::All | Field::Protocol);
        for (key, counters) in generator.names(&prefixes, wanted) {
            let key = (key.prefix.to_string(), key.direction.name().to_owned(), key.name.to_string());
            names.entry(key).or_default().add(counters);
        }
    }
    writer.flush().unwrap();
    let mut counted = Totals::new();
    for (to, options) in &transports {
        let mut arguments = vec!["replay", "export.pcap", "--to", to, "--rate", "2000"];
        arguments.extend(options.iter().map(String::as_str));
        let (printed, errors, code) = netflow(certificates.path(), &arguments);
        assert_eq!(code, Some(0), "{options:?} {printed}{errors}{}", collector.log());
        counted = sum(&[&counted, &names]);
        assert_eq!(answered_in_time(&collector, &counted), counted, "{options:?} {}", collector.log());
    }
    collector.terminate();
}
