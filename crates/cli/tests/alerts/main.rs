//! `packaging/prometheus-alerts.yml`, tried by Prometheus' own tool: each alert fires when it should and is silent when all
//! is well. That the collector tells every number which they ask for is in `end_to_end/metrics.rs`.

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
        let said = [output.stdout, output.stderr].concat();
        assert!(output.status.success(), "{arguments:?}\n{}", String::from_utf8_lossy(&said));
    }
}
