//! The commands that query a running collector, with real flows, the real program and real signatures.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::process::Command;
use std::time::Instant;

use serde_json::{Value, json};

use crate::collector::{Collector, PATIENCE};
use crate::thirty_flows;

/// The output of a command that must succeed.
pub(crate) fn run(collector: &Collector, arguments: &[&str]) -> String {
    let (printed, stderr, code) = collector.command(arguments);
    assert_eq!((code, stderr.as_str()), (Some(0), ""), "{arguments:?}\n{printed}");
    printed
}

/// Registers the sender with the command and waits until thirty flows of it are stored.
pub(crate) fn counted() -> Collector {
    let collector = Collector::start();
    let added = run(&collector, &["senders", "add", "127.0.0.1", "192.0.2.0/24", "2001:db8::/32"]);
    assert!(added.contains("127.0.0.1  never          192.0.2.0/24\n"), "{added}");
    let (socket, end) = (UdpSocket::bind("127.0.0.1:0").unwrap(), Instant::now() + PATIENCE);
    // The collector learns of the sender a moment later: earlier datagrams are not counted.
    loop {
        socket.send_to(&thirty_flows(), collector.receiving).unwrap();
        let status: Value = serde_json::from_str(&run(&collector, &["curl", "GET", "/status"])).unwrap();
        if status["counters"]["flows"]["matched"].as_u64().unwrap() > 0 {
            break;
        }
        assert!(Instant::now() < end, "{status}");
    }
    while run(&collector, &["top", "127.0.0.1", "192.0.2.0/24", "--csv"]).lines().count() < 2 {
        assert!(Instant::now() < end, "{}", collector.log());
    }
    collector
}

#[test]
fn commands_show_what_was_counted_and_agree_with_each_other() {
    let collector = counted();
    let prefix = "192.0.2.0/24";
    let top = run(&collector, &["top", "127.0.0.1", prefix, "--csv"]);
    let row: Vec<&str> = top.lines().nth(1).unwrap().split(',').collect();
    assert_eq!(row[0], "srcip:198.51.100.1");
    let flows: u64 = row[3].parse().unwrap();
    assert!(flows >= 30 && flows.is_multiple_of(30), "{top}");
    assert_eq!((row[1], row[2]), (&*(flows * 100).to_string(), &*(flows * 2).to_string()));

    let shown = run(&collector, &["top", "127.0.0.1", prefix, "--field", "dstip"]);
    let heading = shown.lines().next().unwrap();
    assert!(
        heading.starts_with("name ") && heading.contains(" mean over ") && heading.contains("  share  "),
        "{shown}"
    );
    assert!(shown.contains("dstip:192.0.2.1") && shown.contains("\ntotal "), "{shown}");
    assert!(shown.contains("bit/s  100.0 %  "), "{shown}");

    // Flows of NetFlow v5 without a protocol count under 0.
    let shown = run(&collector, &["top", "127.0.0.1", prefix, "--field", "proto"]);
    let csv = run(&collector, &["top", "127.0.0.1", prefix, "--field", "proto", "--csv"]);
    let row_of = |name: &str| format!("name,bytes,pkts,flows\n{name},{},{},{flows}\n", row[1], row[2]);
    assert!(shown.contains("\nproto:0 (hopopt) ") && csv == row_of("proto:0"), "{shown}{csv}");
    let named = run(&collector, &["top", "127.0.0.1", prefix, "--field", "proto", "--csv", "--names"]);
    assert_eq!(named, row_of("proto:0,hopopt").replace("name,", "name,value_name,"));
    let json = |more: &[&str]| {
        let asked = [&["series", "127.0.0.1", prefix, "--name", "proto:HOPOPT", "--json"][..], more].concat();
        serde_json::from_str::<Value>(&run(&collector, &asked)).unwrap()
    };
    assert_eq!((&json(&[])["name"], json(&[]).get("names")), (&json!("proto:0"), None));
    assert_eq!(json(&["--names"])["names"], json!({"proto": "hopopt"}));
    let shown = run(&collector, &["series", "127.0.0.1", prefix, "--name", "proto:hopopt"]);
    assert!(shown.ends_with("\nproto:0 (hopopt)\n"), "{shown}");
    let (_, stderr, code) = collector.command(&["series", "127.0.0.1", prefix, "--name", "proto:hopop"]);
    assert!(code != Some(0) && stderr.contains("did you mean proto:hopopt?"), "{stderr}");

    let year = collector.shell("date -u +%Y").trim().to_owned();
    let shown = run(&collector, &["stats", "127.0.0.1", prefix, &year, "--name", "proto:hopopt"]);
    assert!(shown.contains("  proto:0 (hopopt)  in "), "{shown}");
    let named = run(&collector, &["stats", "127.0.0.1", prefix, &year, "--name", "proto:hopopt", "--csv", "--names"]);
    assert!(named.contains(&format!("\n{year},proto:0,hopopt,in,")), "{named}");
    let stats = run(&collector, &["stats", "127.0.0.1", prefix, &year, "--csv"]);
    assert_eq!(stats, format!("date,name,direction,bytes,pkts,flows\n{year},all,in,{},{},{flows}\n", row[1], row[2]));

    let series = run(&collector, &["series", "127.0.0.1", prefix, "--direction", "in", "--json"]);
    let series: Value = serde_json::from_str(&series).unwrap();
    let points = series["points"].as_array().unwrap();
    let counted: u64 = points.iter().filter_map(|point| point["counters"]["in"]["flows"].as_u64()).sum();
    assert_eq!((counted, points.len()), (flows, 25));
    let shown = run(&collector, &["series", "127.0.0.1", prefix]);
    assert!(shown.contains('█') && shown.contains("\nin ") && shown.contains("bit/s\n"), "{shown}");
    // Only what is asked for has rates for programs: those of whole seconds of this collector, which runs for less than an hour.
    let of_unit = |command: &[&str]| {
        let csv = run(&collector, &[command, &["127.0.0.1", prefix, "--unit", "packets", "--csv"]].concat());
        let last = |line: &str| line.rsplit(',').next().unwrap().to_owned();
        let rates: Vec<String> = csv.lines().map(last).collect();
        assert!(rates[0] == "packets_per_second" && rates[1..].iter().any(|rate| rate.parse::<u64>().is_ok()), "{csv}");
    };
    of_unit(&["top"]);
    of_unit(&["series"]);
    of_unit(&["series", "--field", "srcip"]);
    let top: Value = serde_json::from_str(&run(&collector, &["top", "127.0.0.1", prefix, "--json"])).unwrap();
    // Of the hour of the question, this collector ran in the last minutes only.
    assert!((1..2000).contains(&top["seconds"].as_u64().unwrap()), "{top}");

    let billing = run(&collector, &["billing", "127.0.0.1", prefix]);
    assert!(billing.starts_with("month    direction") && billing.contains("nearest rank"), "{billing}");
    let senders = run(&collector, &["senders", "--url", &format!("http://{}", collector.serving)]);
    assert!(senders.contains("2001:db8::/32") && !senders.contains("never"), "{senders}");
    collector.terminate();
}

#[test]
fn the_collector_shows_its_status_and_its_exporters() {
    let collector = counted();
    let get = |path: &str| serde_json::from_str::<Value>(&run(&collector, &["curl", "GET", path])).unwrap();
    let exporter = get("/exporters/127.0.0.1");
    assert_eq!(exporter["protocols"].as_object().unwrap().keys().collect::<Vec<_>>(), ["netflow-v5"]);
    assert!(exporter["counters"]["flows"]["matched"].as_u64().unwrap() >= 30, "{exporter}");
    assert_eq!(exporter["streams"][0]["protocol"], "netflow-v5");
    assert_eq!(get("/exporters")[0]["address"], "127.0.0.1");
    let metrics = collector.shell("curl -sS http://127.0.0.1:8080/metrics http://127.0.0.1:8080/readyz");
    assert!(metrics.contains(r#"netflow_exporter_flows_total{exporter="127.0.0.1",fate="matched"}"#), "{metrics}");
    assert!(metrics.contains("netflow_flushes_total ") && metrics.ends_with(r#"{"status":"OK","reasons":[]}"#));
    collector.terminate();
}

#[test]
fn what_was_counted_balances_and_selfcheck_shows_it() {
    let collector = counted();
    let shown = run(&collector, &["selfcheck"]);
    assert_eq!(shown.lines().count(), 9, "{shown}");
    assert!(shown.lines().skip(1).all(|line| line.ends_with("  ok")), "{shown}");
    let datagrams = run(&collector, &["selfcheck", "--csv"]);
    let datagrams = datagrams.lines().find(|line| line.starts_with("datagrams,read,")).unwrap().to_owned();
    let count: u64 = datagrams.split(',').nth(2).unwrap().parse().unwrap();
    assert_eq!(datagrams, format!("datagrams,read,{count},fates of datagrams,{count},ok"));
    assert!(count > 0);
    let metrics = collector.shell("curl -sS http://127.0.0.1:8080/metrics");
    for ledger in ["drops", "datagrams", "records", "flows", "values", "blocks", "journal", "store"] {
        assert!(metrics.contains(&format!("netflow_ledger_difference{{ledger=\"{ledger}\"}} 0.0\n")), "{metrics}");
    }
    collector.terminate();
}

/// A collector that answers every request with its status, one flush later each time.
fn made_up(ledgers: Value) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for (flush, stream) in listener.incoming().map_while(Result::ok).enumerate() {
            let asked = BufReader::new(&stream).lines().map_while(Result::ok).find(String::is_empty);
            assert!(asked.is_some());
            let body = json!({"ledgersChecked": format!("2026-01-01T00:00:0{flush}Z"), "ledgers": ledgers}).to_string();
            let length = body.len();
            write!(&stream, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}").unwrap();
        }
    });
    address
}

/// A collector whose ledgers do not balance.
pub(crate) fn unbalanced() -> SocketAddr {
    made_up(
        json!([{"name": "a", "sides": ["read", "fates"], "left": 7, "right": 9, "difference": -2, "violations": 1}]),
    )
}

#[test]
fn selfcheck_reports_an_imbalance_with_its_own_exit_code() {
    let ledger = |name, left, difference, violations| {
        json!({"name": name, "sides": ["read", "fates"], "left": left, "right": left - difference,
            "difference": difference, "violations": violations})
    };
    for (ledgers, verdicts, code) in [
        (json!([ledger("a", 7, 0, 0), ledger("b", 7, -2, 1)]), ["ok", "off by -2"], 11),
        (json!([ledger("a", 7, 0, 3), ledger("b", 0, 0, 0)]), ["ok, was off 3 times", "ok"], 0),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_netflow"))
            .args(["selfcheck", "--url", &format!("http://{}", made_up(ledgers))])
            .envs([("NETFLOW_AUTH_KEY", "a"), ("NETFLOW_SIGN_KEY", "s")])
            .output()
            .unwrap();
        let shown = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(code), "{shown}");
        let last = |line: &str| line.rsplit("  ").next().unwrap().to_owned();
        assert_eq!(shown.lines().skip(1).map(last).collect::<Vec<_>>(), verdicts, "{shown}");
    }
}

#[test]
fn commands_take_dates_of_a_time_zone() {
    let collector = counted();
    let prefix = "192.0.2.0/24";
    let of = |command: &str, options: &[&str]| {
        let arguments = [&[command, "127.0.0.1", prefix], options, &["--tz", "Asia/Kolkata", "--json"]].concat();
        serde_json::from_str::<Value>(&run(&collector, &arguments)).unwrap()
    };
    let series = of("series", &["--step", "minute", "--direction", "in"]);
    assert_eq!(series["tz"], "Asia/Kolkata");
    let points = series["points"].as_array().unwrap();
    assert!(points.iter().all(|point| point["start"].as_str().unwrap().ends_with("+05:30")), "{series}");
    let flows = |of: &Value| of["counters"]["in"]["flows"].as_u64();
    let counted: u64 = points.iter().filter_map(flows).sum();
    let first = points.iter().find(|point| flows(point).is_some()).unwrap()["start"].as_str().unwrap();
    let end = series["to"].as_str().unwrap();
    // A time of an answer is also one of a query.
    let top = of("top", &["--from", first, "--to", end]);
    assert_eq!((&top["from"], &top["to"]), (&json!(first), &json!(end)));
    assert_eq!(top["total"]["flows"].as_u64(), Some(counted));
    let local = &first[..16].replace('T', " ");
    let stats = of("stats", &[local]);
    assert_eq!(stats[prefix]["minutes"][0][local][0]["flows"].as_u64(), points.iter().find_map(flows));

    let billing = of("billing", &[]);
    assert_eq!((&billing["tz"], &billing["in"]["flows"]), (&json!("Asia/Kolkata"), &json!(counted)));
    let shown = run(&collector, &["billing", "127.0.0.1", prefix, "--tz", "Asia/Kolkata"]);
    assert!(shown.contains("\ntime zone: Asia/Kolkata\n"), "{shown}");

    let (program, url) = (env!("CARGO_BIN_EXE_netflow"), format!("http://{}", collector.serving));
    let set = format!("NETFLOW_URL={url} NETFLOW_TZ=Asia/Tokyo {program} series 127.0.0.1 {prefix} --json");
    assert_eq!(serde_json::from_str::<Value>(&collector.shell(&set)).unwrap()["tz"], "Asia/Tokyo");
    for command in [&["senders"][..], &["senders", "show", "127.0.0.1"]] {
        let shown = run(&collector, &[command, &["--tz", "Asia/Kolkata"]].concat());
        assert!(shown.contains("+05:30 "), "{shown}");
    }
    let doctor = collector.command(&["doctor", "--all", "--tz", "Kolkata"]);
    assert!(doctor.2 == Some(2) && doctor.1.contains("'Kolkata' is not a time zone"), "{doctor:?}");
    let set = run(&collector, &["series", "127.0.0.1", prefix, "--tz", "-03:30", "--json"]);
    assert_eq!(serde_json::from_str::<Value>(&set).unwrap()["tz"], "-03:30");
    let (_, stderr, code) = collector.command(&["top", "127.0.0.1", prefix, "--tz", "Berlin"]);
    assert_eq!(code, Some(2));
    assert!(stderr.contains("'--tz <ZONE>': 'Berlin' is not a time zone: write a name"), "{stderr}");
    collector.terminate();
}

#[test]
fn exit_codes_distinguish_why_a_command_failed() {
    let collector = Collector::start();
    let (printed, stderr, code) = collector.command(&["top", "192.0.2.77", "10.0.0.0/8"]);
    assert_eq!((printed.as_str(), code), ("", Some(9)));
    assert!(stderr.contains("the collector refuses (404): 192.0.2.77 is not a registered sender"), "{stderr}");
    let (_, stderr, code) = collector.command(&["senders", "--url", "http://127.0.0.1:1"]);
    assert_eq!(code, Some(8));
    assert!(stderr.contains("cannot reach the collector at http://127.0.0.1:1"), "{stderr}");
    let (_, stderr, code) = collector.command(&["senders", "--keys", "nowhere"]);
    assert_eq!(code, Some(3));
    assert!(stderr.contains("no keys: nowhere does not exist"), "{stderr}");
    let (_, stderr, code) = collector.command(&["senders", "add", "192.0.2.1", "10.0.0.1/8"]);
    assert_eq!(code, Some(2));
    assert!(stderr.contains("did you mean 10.0.0.0/8?"), "{stderr}");
    let added = run(&collector, &["curl", "put", "senders/192.0.2.1", r#"{"prefixes":[]}"#]);
    assert_eq!(
        serde_json::from_str::<Value>(&added).unwrap(),
        json!({"ip": "192.0.2.1", "last": null, "prefixes": []})
    );
    assert_eq!(
        run(&collector, &["senders", "remove", "192.0.2.1", "--entirely"]),
        "removed 192.0.2.1; its stored data is kept\n"
    );
    collector.terminate();
}

#[test]
fn keys_with_roles_come_from_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("more.toml");
    std::fs::write(&file, "[reader]\nauthKey = \"r\"\nsignKey = \"s\"\nrole = \"read\"\n").unwrap();
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let settings = [("NETFLOW__ADMIN__KEYS_FILE", "more.toml"), ("NETFLOW__ADMIN__SIGNATURE", "strict")];
    let collector = Collector::start_in_with(directory, &settings);
    std::fs::write(collector.path().join("reader"), "authKey=\"r\"\nsignKey=\"s\"\n").unwrap();
    std::fs::set_permissions(collector.path().join("reader"), std::os::unix::fs::PermissionsExt::from_mode(0o600))
        .unwrap();
    run(&collector, &["senders", "add", "192.0.2.1", "10.0.0.0/8"]);
    run(&collector, &["senders", "--keys", "reader"]);
    let (_, stderr, code) = collector.command(&["senders", "add", "192.0.2.1", "11.0.0.0/8", "--keys", "reader"]);
    assert_eq!(code, Some(9));
    assert!(stderr.contains("this needs a key with the role write"), "{stderr}");
    // The README's function signs as the original did.
    let refused = collector.rest("GET", "/senders", "");
    assert_eq!(refused["status"], "UNAUTHORIZED");
    collector.terminate();
}

#[test]
fn the_start_warns_when_repeatable_requests_come_over_the_network() {
    let stderr = |signature: &str| {
        let settings = [("NETFLOW__HTTP__LISTEN", "0.0.0.0:0"), ("NETFLOW__ADMIN__SIGNATURE", signature)];
        Collector::start_with(&settings).startup_log()
    };
    assert!(stderr("compat").contains("set admin.signature = \"strict\" or a certificate in [admin.tls]"));
    assert!(!stderr("strict").contains("admin.signature"));
}

#[test]
fn an_unregistered_sender_is_listed_with_the_command_that_registers_it() {
    let collector = Collector::start();
    let socket = UdpSocket::bind("127.0.0.9:0").unwrap();
    for _ in 0..3 {
        socket.send_to(&thirty_flows(), collector.receiving).unwrap();
    }
    let unknown = || -> Value { serde_json::from_str(&run(&collector, &["curl", "GET", "/unknown"])).unwrap() };
    let end = Instant::now() + PATIENCE;
    while unknown()[0]["datagrams"] != 3 {
        assert!(Instant::now() < end, "{}", unknown());
    }
    let shown = unknown();
    assert_eq!((&shown[0]["address"], &shown[0]["protocol"]), (&json!("127.0.0.9"), &json!("netflow-v5")));
    let command = shown[0]["register"]["command"].as_str().unwrap();
    run(&collector, &command.split(' ').skip(1).collect::<Vec<_>>());
    while unknown() != json!([]) {
        // It is registered a moment later, and forgotten here at its next datagram.
        socket.send_to(&thirty_flows(), collector.receiving).unwrap();
        assert!(Instant::now() < end, "{}", unknown());
    }
}

#[test]
fn routers_of_a_file_are_registered_once_and_not_at_all_if_a_line_is_wrong() {
    let collector = Collector::start();
    let file = collector.path().join("routers.txt");
    let text = "# edge\n192.0.2.1 name=edge-1 prefixes=10.0.0.0/8 tags=edge samplingRate=1000\n\n192.0.2.2\n";
    let import = |text: &str, more: &[&str]| {
        std::fs::write(&file, text).unwrap();
        collector.command(&[&["senders", "import", file.to_str().unwrap()], more].concat())
    };
    let addresses = || {
        let senders = collector.rest("GET", "/senders", "");
        senders.as_array().unwrap().iter().map(|sender| sender["ip"].clone()).collect::<Vec<_>>()
    };

    let (_, error, code) = import(&format!("{text}192.0.2.3 tags=a/b\n"), &[]);
    assert!(error.contains("routers.txt: line 5: 'a/b' is not a tag") && code == Some(4), "{error}");
    let (printed, ..) = import(text, &["--dry-run"]);
    assert!(printed.ends_with("2 would be added, 0 would be changed, 0 as they were\n"), "{printed}");
    assert_eq!(addresses(), [""; 0]);

    let (printed, error, code) = import(text, &[]);
    assert_eq!((code, error.as_str()), (Some(0), ""), "{printed}");
    assert!(printed.contains("new name=edge-1 prefixes=10.0.0.0/8 samplingRate=1000 tags=edge"), "{printed}");
    assert!(printed.ends_with("2 added, 0 changed, 0 as they were\n"), "{printed}");
    assert_eq!(addresses(), ["192.0.2.1", "192.0.2.2"]);
    assert_eq!(collector.rest("GET", "/senders/192.0.2.1", "")["samplingRate"], 1000);
    assert_eq!(import(text, &[]).0, "0 added, 0 changed, 2 as they were\n");
    let nothing = json!({"isDryRun": true, "added": 0, "changed": 0, "unchanged": 2, "senders": []});
    assert_eq!(serde_json::from_str::<Value>(&import(text, &["--dry-run", "--json"]).0).unwrap(), nothing);
}

#[test]
fn options_of_the_output_are_taken_without_the_word_list() {
    let collector = Collector::start();
    run(&collector, &["senders", "add", "192.0.2.1", "10.0.0.0/8"]);
    run(&collector, &["networks", "add", "10.0.0.0/8", "name=office"]);
    for of in ["senders", "networks"] {
        for format in ["--json", "--csv"] {
            assert_eq!(run(&collector, &[of, format]), run(&collector, &[of, "list", format]));
        }
        let listed: Value = serde_json::from_str(&run(&collector, &[of, "--json"])).unwrap();
        assert_eq!(listed.as_array().unwrap().len(), 1);
        assert_eq!(collector.command(&[of, "list", "--json", "--csv"]).2, Some(2));
    }
    let removed = run(&collector, &["senders", "remove", "192.0.2.1", "--entirely", "--json"]);
    assert_eq!(serde_json::from_str::<Value>(&removed).unwrap(), json!({"removed": "192.0.2.1"}));
    assert_eq!(run(&collector, &["networks", "remove", "10.0.0.0/8", "--csv"]), "removed\n10.0.0.0/8\n");
    collector.terminate();
}

#[test]
fn a_question_about_the_future_is_answered_with_a_word() {
    let collector = Collector::start();
    run(&collector, &["senders", "add", "192.0.2.1", "10.0.0.0/8"]);
    for command in [&["top", "192.0.2.1", "10.0.0.0/8"][..], &["series", "192.0.2.1", "10.0.0.0/8"], &["flows"]] {
        let said = |from: &str, to: &str| {
            let (printed, errors, code) = collector.command(&[command, &["--from", from, "--to", to]].concat());
            assert_eq!(code, Some(0), "{command:?}: {errors}");
            printed + &errors
        };
        let future = said("2100-01-01T00:00Z", "2100-01-01T02:00Z");
        assert!(
            future.contains("2100-01-01T00:00:00Z is in the future: nothing is counted yet\n"),
            "{command:?}: {future}"
        );
        let past = said("-2h", "-1h");
        assert!(!past.contains("future"), "{command:?}: {past}");
    }
    collector.terminate();
}

#[test]
fn generated_flows_are_of_the_prefixes_that_the_readme_registers() {
    let directory = tempfile::tempdir().unwrap();
    let receiving = UdpSocket::bind("127.0.0.1:0").unwrap();
    let to = receiving.local_addr().unwrap().to_string();
    let asked = ["generate", "--to", &to, "--flows", "30", "--json", "--names", "192.0.2.0/24"];
    let output = Command::new(env!("CARGO_BIN_EXE_netflow")).args(asked).current_dir(&directory).output().unwrap();
    let sent: Value = serde_json::from_slice(&output.stdout).unwrap();
    let all = sent["names"].as_array().unwrap().iter().filter(|row| row["name"] == "all");
    let flows: u64 = all.map(|row| row["flows"].as_u64().unwrap()).sum();
    assert!(flows >= 30 && sent["flows"] == flows, "{flows} of {}", sent["flows"]);
    assert!(include_str!("../../../../README.md").contains("netflow senders add 127.0.0.1 192.0.2.0/24"));
}
