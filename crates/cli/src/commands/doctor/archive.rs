//! Problems of the archive of flows: its disk is too full, it cannot be written, or it lacks flows that were counted.

use super::answers::Answers;
use super::collecting::gauge;
use super::finding::Finding;
use crate::config::unit::show_size;
use crate::table::duration;

/// Adds its problems.
pub(super) fn examine(answers: &Answers, findings: &mut Vec<Finding>) {
    let positive = |name| gauge(answers, name).filter(|value| *value > 0.0);
    if let Some(lacking) = positive("archive_lacking_bytes") {
        let what = "the disk of the archive is too full: no new files of flows are begun";
        let finding = Finding::new("archive_disk_full", what)
            .evidence(format!("{} more have to be free (archive.freePercent)", show_size(lacking as usize)))
            .evidence("all older flows of the archive were deleted to make room; counting continues")
            .run("df -h  # on the machine of the collector: what else is on the disk of dataDir?")
            .run("# free some space, or lower archive.freePercent in the configuration file");
        findings.push(finding);
    } else if let Some(seconds) = positive("archive_failing_seconds") {
        let what = format!("the archive of flows cannot be written, for {}", duration(seconds as u64));
        let finding = Finding::new("archive_failing", what)
            .evidence("counting continues; the log keeps new flows for the archive, up to log.maxBytes")
            .run("journalctl -u netflow | grep 'reader=\"archive\"'  # on the machine of the collector: the reason")
            .run("df -h; df -i  # is the disk of dataDir full?");
        findings.push(finding);
    }
    if let Some(losses) = positive("archive_losses") {
        let what = "the archive lacks flows that are counted";
        let finding = Finding::new("archive_incomplete", what)
            .evidence(format!("{losses} losses are noted, each with its time; answers about that time state them"))
            .run("cat flows/missing.txt  # in dataDir, on the machine of the collector");
        findings.push(finding);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(lacking: f64, failing: f64, losses: f64) -> Vec<String> {
        let values = [("lacking_bytes", lacking), ("failing_seconds", failing), ("losses", losses)];
        let gauges = values.map(|(name, value)| (format!("archive_{name}"), json!({ "value": value })));
        let gauges: serde_json::Map<_, _> = gauges.into_iter().collect();
        let status = json!({"gauges": gauges});
        let answers = Answers { status, senders: None, exporters: Vec::new(), unknown: Vec::new() };
        let mut findings = Vec::new();
        examine(&answers, &mut findings);
        let names = findings.iter().map(|finding| serde_json::to_value(finding).unwrap()["finding"].to_string());
        names.map(|name| name.trim_matches('"').to_owned()).collect()
    }

    #[test]
    fn a_full_disk_failures_and_losses_are_found_and_documented() {
        assert_eq!(found(0.0, 0.0, 0.0), [""; 0]);
        // A full disk is why it cannot be written.
        let all = [found(4096.0, 5.0, 2.0), found(0.0, 5.0, 0.0)].concat();
        assert_eq!(all, ["archive_disk_full", "archive_incomplete", "archive_failing"]);
        let document = include_str!("../../../../../docs/troubleshooting.md");
        assert!(all.iter().all(|name| document.contains(&format!("\n| `{name}` | "))));
    }
}
