//! The rules for Prometheus in `packaging/`, tested with Prometheus' own tool: rates are right, and each alert fires when it
//! should, and only then. `end_to_end/prometheus.rs` runs them on what a collector exports; `end_to_end/metrics.rs` proves that it
//! exports every metric that the alerts use.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a helper of a test fails the test")]

mod dashboard;

use std::fs;
use std::path::Path;
use std::process::Command;

#[test]
fn rates_are_right_and_alerts_fire_when_they_should() {
    let folder = tempfile::tempdir().unwrap();
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (rules, tests) in [("prometheus-alerts.yml", "alerts.test.yml"), ("prometheus-rules.yml", "rules.test.yml")] {
        for (from, name) in [("../../packaging", rules), ("tests/alerts", tests)] {
            fs::copy(here.join(from).join(name), folder.path().join(name)).unwrap();
        }
        for arguments in [["check", "rules", rules], ["test", "rules", tests]] {
            let output = Command::new("promtool").args(arguments).current_dir(folder.path()).output().unwrap();
            let printed = [output.stdout, output.stderr].concat();
            assert!(output.status.success(), "{arguments:?}\n{}", String::from_utf8_lossy(&printed));
        }
    }
}
