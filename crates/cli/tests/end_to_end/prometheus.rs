//! What Prometheus and Grafana read of a running collector, as docs/grafana.md describes it: Debian's Prometheus with the
//! configuration of that document, the rules, every expression of the dashboard, and every request of Grafana's plugin.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use flow::Counters;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::collector::{Collector, PATIENCE};
use crate::commands::run;
use crate::load::Running;
use crate::reloads::free_tcp;
use crate::traffic::PREFIXES;

/// The time between two readings here.
const INTERVAL: &str = "1s";
/// What Grafana would put for variables: a time that contains some readings.
const RATE_INTERVAL: &str = "1m";

/// One counter by router, prefix and direction.
type Totals = BTreeMap<[String; 3], u64>;

/// How one counter is read.
type Counter = fn(&Counters) -> u64;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn packaged(name: &str) -> String {
    fs::read_to_string(repository().join("packaging").join(name)).unwrap()
}

/// The blocks of docs/grafana.md in this language.
fn blocks(language: &str) -> Vec<String> {
    let document = fs::read_to_string(repository().join("docs/grafana.md")).unwrap();
    let start = format!("```{language}\n");
    let blocks = document.split(&start).skip(1).filter_map(|rest| rest.split_once("\n```"));
    blocks.map(|(block, _)| block.to_owned()).collect()
}

/// The blocks that configure Prometheus: without and with credentials.
fn configurations(collector: &Collector) -> [String; 2] {
    let blocks = blocks("yaml").into_iter().filter(|block| block.starts_with("scrape_configs:"));
    let blocks: Vec<_> = blocks
        .map(|block| block.replace("15s", INTERVAL).replace("127.0.0.1:8080", &collector.serving.to_string()))
        .collect();
    blocks.try_into().unwrap()
}

/// The signature of version 1 over the authKey, by the line of the document, and the authKey.
fn credentials(collector: &Collector) -> [String; 2] {
    let lines = blocks("sh");
    let line = lines.iter().find(|line| line.contains("# SIGNED_KEY")).unwrap();
    [line, r#"printf %s "$authKey""#].map(|line| collector.shell(line).trim().to_owned())
}

/// A running Prometheus, ended when dropped.
struct Prometheus {
    child: Child,
    address: SocketAddr,
    directory: TempDir,
}

impl Prometheus {
    /// Starts it with this configuration; what it names in the package's folder of examples are these rules.
    fn start(configuration: &str, rules: &[(&str, String)]) -> Self {
        let (directory, address) = (tempfile::tempdir().unwrap(), free_tcp());
        for (name, text) in rules {
            fs::write(directory.path().join(name), text).unwrap();
        }
        let here = format!("{}/", directory.path().display());
        let configuration = configuration.replace("/usr/share/doc/netflow/examples/", &here);
        let configuration = format!("global: {{evaluation_interval: {INTERVAL}}}\n{configuration}\n");
        fs::write(directory.path().join("prometheus.yml"), configuration).unwrap();
        let log = fs::File::create(directory.path().join("log")).unwrap();
        let child = Command::new("prometheus")
            .args(["--config.file=prometheus.yml", "--storage.tsdb.path=data", "--query.lookback-delta=1m"])
            .arg(format!("--web.listen-address={address}"))
            .current_dir(directory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("prometheus, which `make test` installs");
        Self { child, address, directory }
    }

    /// An answer of its interface; `None` while it has none.
    fn ask(&self, path: &str, parameters: &[(&str, &str)]) -> Option<Value> {
        let mut curl = Command::new("curl");
        curl.args(["-sG", &format!("http://{}/api/v1/{path}", self.address)]);
        for (name, value) in parameters {
            curl.args(["--data-urlencode", &format!("{name}={value}")]);
        }
        let answer: Value = serde_json::from_slice(&curl.output().unwrap().stdout).ok()?;
        assert_eq!(answer["status"], "success", "{path} {parameters:?}: {answer}");
        Some(answer["data"].clone())
    }

    /// The present samples of an expression.
    fn query(&self, expression: &str) -> Vec<Value> {
        let data = self.ask("query", &[("query", expression)]).unwrap_or_default();
        data["result"].as_array().cloned().unwrap_or_default()
    }

    /// Waits until this has an answer.
    fn wait_for<T>(&self, what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(answer) = ask() {
                return answer;
            }
            let log = || fs::read_to_string(self.directory.path().join("log")).unwrap();
            assert!(Instant::now() < end, "not {what}\n{}\n{:#?}", log(), self.ask("targets", &[]));
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
    }

    /// Waits until an expression has samples.
    fn samples(&self, expression: &str) -> Vec<Value> {
        self.wait_for(expression, || Some(self.query(expression)).filter(|samples| !samples.is_empty()))
    }

    /// What was counted for each prefix.
    fn totals(&self, counter: &str) -> Totals {
        let samples = self.query(&format!("netflow_prefix_{counter}_total"));
        let value = |sample: &Value| {
            let label = |name: &str| sample["metric"][name].as_str().unwrap().to_owned();
            let value: f64 = sample["value"][1].as_str().unwrap().parse().unwrap();
            (["router", "prefix", "direction"].map(label), value as u64)
        };
        samples.iter().map(value).collect()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the REST interface answers for all prefixes of a router this year, for one counter; only what is not 0.
fn rest(collector: &Collector, router: &str, counter: &str) -> Totals {
    let year = collector.shell("date -u +%Y");
    let year = year.trim();
    let question: Value = PREFIXES[..2].iter().map(|prefix| ((*prefix).to_owned(), json!({"years": [year]}))).collect();
    let answer = collector.rest("POST", &format!("/stats/{router}"), &question.to_string());
    let mut counters = Totals::new();
    for prefix in &PREFIXES[..2] {
        for row in answer[prefix]["years"][0][year].as_array().unwrap() {
            let key = [router, prefix, row["direction"].as_str().unwrap()].map(str::to_owned);
            counters.insert(key, row[counter].as_u64().unwrap());
        }
    }
    counters.retain(|_, value| *value > 0);
    counters
}

/// A collector with two routers that monitor nested prefixes, and a Prometheus that has read their first zeros.
fn read() -> (Collector, Prometheus) {
    let collector = Collector::start_with(&[("NETFLOW__METRICS__NAMES", "true")]);
    for router in ["127.0.0.1", "127.0.0.2"] {
        // It warns that one is within the other.
        let (_, stderr, code) = collector.command(&["senders", "add", router, PREFIXES[0], PREFIXES[1]]);
        assert_eq!(code, Some(0), "{stderr}");
    }
    run(&collector, &["senders", "set", "127.0.0.1", "name=edge-1"]);
    run(&collector, &["networks", "add", PREFIXES[1], "name=office", "customer=customer-a", "senders=none"]);
    // Any traffic is above these limits.
    let rules = packaged("prometheus-rules.yml").replace("vector(800e6)", "vector(1)").replace("for: 5m", "for: 0s");
    let rules = [("prometheus-rules.yml", rules), ("prometheus-alerts.yml", packaged("prometheus-alerts.yml"))];
    let [configuration, _] = configurations(&collector);
    let prometheus = Prometheus::start(&configuration, &rules);
    let zero = r#"netflow_prefix_flows_total{router="127.0.0.1",prefix="192.0.2.128/25",direction="in",router_name="edge-1",network="office",customer="customer-a"} == 0"#;
    prometheus.samples(zero);
    (collector, prometheus)
}

/// The expressions of all panels, and those that give the values of variables, as Grafana would send them.
fn expressions(collector: &Collector) -> Vec<String> {
    let dashboard: Value = serde_json::from_str(&packaged("grafana-dashboard.json")).unwrap();
    let of_panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = of_panels.flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    let mut expressions: Vec<String> = targets.map(|target| target["expr"].as_str().unwrap().to_owned()).collect();
    for variable in dashboard["templating"]["list"].as_array().unwrap() {
        if let Some(query) = variable["query"]["query"].as_str() {
            let values = query.strip_prefix("label_values(").and_then(|rest| rest.strip_suffix(')'));
            let (metric, label) = values.unwrap().rsplit_once(", ").unwrap();
            expressions.push(format!("group by ({label}) ({metric})"));
        }
    }
    // Grafana escapes values for a regular expression, and that for a string.
    let escaped = |value: &str| value.replace('.', "\\\\.");
    let values = [
        ("$__rate_interval", RATE_INTERVAL.to_owned()),
        ("$__range", "5m".to_owned()),
        ("$instance", escaped(&collector.serving.to_string())),
        ("$router", escaped("127.0.0.1")),
        ("$prefix", format!("({}|{})", escaped(PREFIXES[0]), escaped(PREFIXES[1]))),
    ];
    let fill = |expression: String| {
        let filled = values.iter().fold(expression, |expression, (name, value)| expression.replace(name, value));
        assert!(!filled.contains('$'), "{filled}");
        filled
    };
    expressions.into_iter().map(fill).collect()
}

#[test]
fn prometheus_has_the_exact_totals_and_data_for_every_rule_and_panel() {
    let (collector, prometheus) = read();
    let load = Running::start(collector.receiving, 500, 1);
    let expressions = expressions(&collector);
    assert!(expressions.len() > 30, "{expressions:?}");
    for expression in &expressions {
        prometheus.samples(expression);
    }
    let rules = packaged("prometheus-rules.yml");
    let records: Vec<&str> = rules.lines().filter_map(|line| line.trim().strip_prefix("- record: ")).collect();
    assert!(records.len() >= 8, "{records:?}");
    for record in records {
        prometheus.samples(record);
    }
    prometheus.samples(
        r#"ALERTS{alertname="NetflowPrefixAboveLimit",alertstate="firing",router="127.0.0.1",prefix="192.0.2.0/24"}"#,
    );
    let groups = prometheus.ask("rules", &[]).unwrap();
    let groups = groups["groups"].as_array().unwrap();
    assert_eq!(groups.len(), 4, "{groups:?}");
    for rule in groups.iter().flat_map(|group| group["rules"].as_array().unwrap()) {
        assert!(rule["lastError"].is_null() && rule["health"] != "err", "{rule:#}");
        assert!(rule["name"] == "NetflowPrefixAboveLimit" || rule["state"] != "firing", "{rule:#}");
    }
    let sent = load.stop();
    let sent = |counter: Counter| -> Totals {
        let of_all = sent.iter().filter(|((.., name), _)| name == "all");
        let key = |prefix: &str, direction: &str| ["127.0.0.1", prefix, direction].map(str::to_owned);
        of_all.map(|((prefix, direction, _), counters)| (key(prefix, direction), counter(counters))).collect()
    };
    let counters: [(&str, &str, Counter); 3] =
        [("bytes", "bytes", |it| it.bytes), ("packets", "pkts", |it| it.packets), ("flows", "flows", |it| it.flows)];
    for (metric, key, counter) in counters {
        let sent = sent(counter);
        let read = prometheus.wait_for("all that was sent", || {
            let mut read = prometheus.totals(metric);
            // Each direction of each prefix of each router.
            assert_eq!(read.len(), 16, "{read:?}");
            read.retain(|_, value| *value > 0);
            sent.iter().all(|(key, value)| read.get(key) == Some(value)).then_some(read)
        });
        assert!(read.len() > sent.len(), "the prefix within it has counters too: {read:?}");
        assert_eq!(read, rest(&collector, "127.0.0.1", key));
    }
    assert_eq!(rest(&collector, "127.0.0.2", "bytes"), Totals::new());
    collector.terminate();
}

#[test]
fn prometheus_can_send_credentials() {
    let collector = Collector::start_with(&[("NETFLOW__ADMIN__OPEN_METRICS", "false")]);
    let [open, signed] = configurations(&collector);
    let [signature, auth_key] = credentials(&collector);
    let signed = signed.replace("AUTH_KEY", &auth_key).replace("SIGNED_KEY", &signature);
    for (configuration, up) in [(signed, "1"), (open, "0")] {
        let without_rules = configuration.split("rule_files:").next().unwrap();
        let prometheus = Prometheus::start(without_rules, &[]);
        let samples = prometheus.samples(r#"up{job="netflow"}"#);
        assert_eq!(samples[0]["value"][1], up, "{samples:?}");
    }
}

#[test]
fn grafana_reads_series_and_largest_values_with_the_headers_and_times_of_the_document() {
    let collector = Collector::start();
    run(&collector, &["senders", "add", "127.0.0.1", PREFIXES[0]]);
    let load = Running::start(collector.receiving, 500, 1);
    let is_counted = || {
        let top = collector.rest("GET", &format!("/top/127.0.0.1?prefix={}", PREFIXES[0]), "");
        top["total"]["flows"].as_u64().is_some_and(|flows| flows > 0)
    };
    collector.wait_until("counted", is_counted);
    let [signature, auth_key] = credentials(&collector);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
    let values = [
        ("127.0.0.1:8080", collector.serving.to_string()),
        ("${router}", "127.0.0.1".to_owned()),
        ("${prefix}", PREFIXES[0].to_owned()),
        ("${__from}", (now - 3_600_000).to_string()),
        ("${__to}", (now + 60_000).to_string()),
    ];
    let headers = blocks("yaml").into_iter().find(|block| block.starts_with("apiVersion:")).unwrap();
    let header = |number: u8| {
        let of = |key: &str| {
            let line = headers.lines().find_map(|line| line.trim().strip_prefix(&format!("{key}{number}: ")));
            line.unwrap().replace("AUTH_KEY", &auth_key).replace("SIGNED_KEY", &signature)
        };
        format!("{}: {}", of("httpHeaderName"), of("httpHeaderValue"))
    };
    let queries = blocks("json");
    assert_eq!(queries.len(), 4);
    for query in queries {
        let query: Value = serde_json::from_str(&query).unwrap();
        let url = query["url"].as_str().unwrap().to_owned();
        let url = values.iter().fold(url, |url, (name, value)| url.replace(name, value));
        let output = Command::new("curl").args(["-sS", "-H", &header(1), "-H", &header(2), &url]).output().unwrap();
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        let root = &answer[query["root_selector"].as_str().unwrap()];
        let rows = root.as_array().cloned().unwrap_or_else(|| vec![root.clone()]);
        // A minute without counters is a gap; the last one has some.
        let row =
            rows.iter().rfind(|row| row.get("counters") != Some(&Value::Null)).unwrap_or_else(|| panic!("{answer}"));
        for column in query["columns"].as_array().unwrap() {
            let selector = column["selector"].as_str().unwrap();
            let value = selector.split('.').fold(row, |value, key| &value[key]);
            let is_right = match column["type"].as_str().unwrap() {
                "number" => value.is_u64(),
                _ => value.as_str().is_some_and(|text| !text.is_empty()),
            };
            assert!(is_right, "{selector}: {value} in {row}");
        }
    }
    load.stop();
}

#[test]
fn the_share_of_an_as_becomes_a_metric_by_the_line_of_the_document() {
    let collector = Collector::start();
    run(&collector, &["senders", "add", "127.0.0.1", PREFIXES[0]]);
    let load = Running::start(collector.receiving, 500, 1);
    let lines = blocks("sh");
    let line = lines.iter().find(|line| line.contains("as_share.prom")).unwrap();
    let programs = Path::new(env!("CARGO_BIN_EXE_netflow")).parent().unwrap().display();
    let line = format!("export NETFLOW_URL=http://127.0.0.1:8080 PATH={programs}:$PATH\n{line}\ncat as_share.prom");
    let mut shares = String::new();
    collector.wait_until("some share", || {
        shares = collector.shell(&line);
        !shares.is_empty()
    });
    load.stop();
    let share = |line: &str| -> f64 {
        assert!(line.starts_with("netflow_as_share{prefix=\"192.0.2.0/24\",as=\""), "{line}");
        line.rsplit_once(' ').unwrap().1.parse().unwrap()
    };
    let sum: f64 = shares.lines().map(share).sum();
    assert!(sum > 0.0 && sum <= 1.000_001, "{shares}");
}
