//! `packaging/prometheus-alerts.yml`, tested with Prometheus' own tool: each alert fires when it should, and only then.
//! `end_to_end/metrics.rs` proves that the collector exports every metric that they use.

use std::fs;
use std::path::Path;
use std::process::Command;

#[test]
fn alerts_fire_when_they_should() {
    let folder = tempfile::tempdir().unwrap();
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (from, name) in [("../../packaging", "prometheus-alerts.yml"), ("tests/alerts", "alerts.test.yml")] {
        fs::copy(here.join(from).join(name), folder.path().join(name)).unwrap();
    }
    for arguments in [["check", "rules", "prometheus-alerts.yml"], ["test", "rules", "alerts.test.yml"]] {
        let output = Command::new("promtool").args(arguments).current_dir(folder.path()).output().unwrap();
        let stderr = [output.stdout, output.stderr].concat();
        assert!(output.status.success(), "{arguments:?}\n{}", String::from_utf8_lossy(&stderr));
    }
}
