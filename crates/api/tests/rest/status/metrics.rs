//! The same collector in `/metrics`.

use super::*;

#[test]
fn promtool_accepts_the_metrics() {
    let server = watched(12.0);
    for path in ["/senders/192.0.2.1", "/nothing"] {
        assert_eq!(ask(server.address, "GET", path, "").status, 404);
    }
    let answer = send(server.address, "GET", "/metrics", "", b"");
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let text = answer.text();
    for line in [
        "# TYPE netflow_datagrams_total counter",
        r#"netflow_datagrams_total{fate="decoded"} 7"#,
        r#"netflow_exporter_flows_total{exporter="192.0.2.1",fate="matched"} 210"#,
        "netflow_kernel_drops_total 2",
        "netflow_spool_bytes 12.0",
        "netflow_spool_bytes_limit 100.0",
        r#"netflow_socket_waiting_bytes{address="[::]:2055",thread="1"} 2304.0"#,
        r#"netflow_socket_drops_total{address="[::]:2055",thread="1"} 2"#,
        r#"netflow_reader_unread_bytes{reader="archive"} 4096.0"#,
        r#"netflow_forward_received_total{target="192.0.2.9:2055"} 20"#,
        r#"netflow_forward_sent_total{target="192.0.2.9:2055"} 10"#,
        r#"netflow_forward_drops_total{target="192.0.2.9:2055",reason="otherFamily"} 3"#,
        r#"netflow_forward_waiting_bytes{target="192.0.2.9:2055"} 6000.0"#,
        r#"netflow_reader_unread_flushes{reader="archive"} 1.0"#,
        r#"netflow_reader_paused{reader="archive"} 1.0"#,
        r#"netflow_reader_skipped_flushes_total{reader="archive"} 5"#,
        r#"netflow_reader_skipped_bytes_total{reader="archive"} 6000"#,
        r#"netflow_origin_ranges{family="ipv6"} 5.0"#,
        "netflow_origin_names 3.0",
        "netflow_origin_bytes 1000.0",
        "netflow_origin_read_timestamp_seconds 1764086400.0",
        "netflow_origin_failures_total 1",
        r#"netflow_origin_file_failing{file="/a.mmdb"} 0.0"#,
        r#"netflow_origin_file_failing{file="/b"} 1.0"#,
        r#"netflow_origin_file_modified_timestamp_seconds{file="/a.mmdb"} 1764086400.0"#,
        r#"netflow_reader_missing_records_total{reader="archive"} 3"#,
        r#"netflow_reader_failing_seconds{reader="archive"} 4.0"#,
        r#"netflow_exporter_export_connections{exporter="192.0.2.1"} 1.0"#,
        "netflow_store_reachable 1.0",
        r#"netflow_ledger_difference{ledger="datagrams"} -2.0"#,
        r#"netflow_ledger_violations_total{ledger="datagrams"} 1"#,
        r#"netflow_exporter_sequence_received_total{exporter="192.0.2.1",unit="datagrams"} 999"#,
        r#"netflow_exporter_sequence_missing_total{exporter="192.0.2.1",unit="datagrams"} 3"#,
        r#"netflow_exporter_sequence_filled_total{exporter="192.0.2.1",unit="datagrams"} 2"#,
        "# TYPE netflow_flush_duration_seconds histogram",
        r#"netflow_flush_duration_seconds_bucket{le="0.005"} 0"#,
        r#"netflow_flush_duration_seconds_bucket{le="0.01"} 1"#,
        r#"netflow_flush_duration_seconds_bucket{le="60"} 1"#,
        r#"netflow_flush_duration_seconds_bucket{le="+Inf"} 2"#,
        "netflow_flush_duration_seconds_sum 120.007",
        "netflow_flush_duration_seconds_count 2",
        r#"netflow_request_duration_seconds_count{path="/senders/{sender}"} 1"#,
        r#"netflow_request_duration_seconds_count{path="other"} 1"#,
        "netflow_store_read_duration_seconds_count 0",
        "# TYPE netflow_prefix_bytes_total counter",
        r#"netflow_prefix_bytes_total{router="192.0.2.1",prefix="192.0.2.0/25",direction="in"} 18446744073709551615"#,
        r#"netflow_prefix_bytes_total{router="192.0.2.1",prefix="192.0.0.0/16",direction="in:local"} 7"#,
        r#"netflow_prefix_packets_total{router="192.0.2.1",prefix="192.0.2.0/25",direction="in"} 3"#,
        r#"netflow_prefix_flows_total{router="192.0.2.1",prefix="192.0.2.0/25",direction="in"} 2"#,
        r#"netflow_prefix_info{router="192.0.2.1",prefix="192.0.2.0/25",within="192.0.0.0/16"} 1.0"#,
        r#"netflow_prefix_info{router="192.0.2.1",prefix="192.0.0.0/16",within=""} 1.0"#,
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool, of the package prometheus: `make test` installs it");
    std::io::Write::write_all(&mut promtool.stdin.take().unwrap(), text.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let printed = [output.stdout, output.stderr].concat();
    assert_eq!(String::from_utf8_lossy(&printed), "", "{text}");
}

#[test]
fn metrics_of_prefixes_can_have_names() {
    let view = Arc::new(MadeUp::default());
    let server = Server::with(keys(), |api| api.showing(view, Taps::default()).with_named_metrics());
    let answer = send(server.address, "GET", "/metrics", "", b"");
    for line in [
        r#"netflow_prefix_bytes_total{router="192.0.2.1",prefix="192.0.2.0/25",router_name="",network="office",customer="customer-a",direction="in"} 18446744073709551615"#,
        r#"netflow_prefix_info{router="192.0.2.1",prefix="192.0.0.0/16",router_name="",network="",customer="",within=""} 1.0"#,
    ] {
        assert!(answer.text().lines().any(|found| found == line), "{line}\n{}", answer.text());
    }
}

#[test]
fn metrics_can_require_credentials() {
    let server = Server::with(keys(), |api| api.with_signed_metrics());
    assert_eq!(send(server.address, "GET", "/metrics", "", b"").status, 401);
    assert_eq!(ask(server.address, "GET", "/metrics", "").status, 200);
    assert_eq!(send(server.address, "GET", "/healthz", "", b"").status, 200);
}
