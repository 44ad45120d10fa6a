//! From where the AS numbers of a router's flows are, and what is wrong with the files that have them.

use serde_json::Value;

use super::answers::Answers;
use super::finding::Finding;
use super::router::seconds_since;
use super::traffic::each;
use crate::commands::ask::{moment, number, text};

/// A file that is older than this is reported. Publishers have new ones at least every month.
const OLD_DAYS: i64 = 100;
const DAY_SECONDS: i64 = 24 * 3600;

/// What the sources of AS numbers are called, by their names in the answer.
const SOURCES: [(&str, &str); 6] = [
    ("exporter", "the router"),
    ("network", "your networks"),
    ("bmp", "its routes (BMP)"),
    ("other-bmp", "routes of other routers (BMP)"),
    ("file", "files"),
    ("none", "unknown"),
];

/// Elements with the AS of an address.
const AS_ELEMENTS: [&str; 2] = ["bgpSourceAsNumber", "bgpDestinationAsNumber"];

/// Adds the problems of the files.
pub(super) fn examine(answers: &Answers, findings: &mut Vec<Finding>) {
    let files = &answers.status["originFiles"];
    findings.extend(unusable(files));
    findings.extend(old(files));
}

fn unusable(files: &Value) -> Option<Finding> {
    let failing: Vec<&Value> = each(&files["files"]).filter(|file| file["error"].is_string()).collect();
    failing.first()?;
    let state = match files["read"].as_str() {
        Some(_) => format!("what was read at {} remains in use", moment(&files["read"])),
        None => "no AS numbers, names or countries are from files".to_owned(),
    };
    let what = format!("files of origins.files cannot be used: {state}");
    let mut finding = Finding::new("origin_file_unusable", what);
    for file in failing {
        finding = finding.evidence(format!("since {}: {}", moment(&file["failingSince"]), text(&file["error"])));
    }
    Some(finding.run("netflow check-config  # on the machine of the collector, after the file is replaced"))
}

fn old(files: &Value) -> Option<Finding> {
    let age = |file: &Value| seconds_since(&file["modified"]).map(|seconds| seconds / DAY_SECONDS);
    let old: Vec<_> = each(&files["files"]).filter_map(|file| Some((file, age(file)?))).collect();
    let old: Vec<_> = old.into_iter().filter(|(_, days)| *days > OLD_DAYS).collect();
    old.first()?;
    let what = "files of origins.files are old: addresses have other holders by now";
    let mut finding = Finding::new("origin_file_old", what);
    for (file, days) in old {
        finding = finding.evidence(format!("{}: last modified {days} days ago", text(&file["path"])));
    }
    Some(finding.run("# download them regularly: docs/origins.md"))
}

/// From where the AS numbers of a router's flows are, a line; none if nothing was looked up and the router sends some.
pub(super) fn shares(heard: &Value, has_files: bool) -> Option<String> {
    let ends = &heard["counters"]["flow_ends"];
    let total: u64 = SOURCES.iter().map(|(name, _)| number(&ends[*name])).sum();
    if total == 0 {
        return (!has_files && has_no_as(heard)).then(|| {
            "its records have no AS numbers; files can have them: set origins.files, docs/origins.md".to_owned()
        });
    }
    let mut shares: Vec<(u64, &str)> = SOURCES.iter().map(|(name, what)| (number(&ends[*name]), *what)).collect();
    shares.retain(|(count, _)| *count > 0);
    // Stable: equal shares stay in the order of the sources.
    shares.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
    let share = |(count, what): &(u64, &str)| match *what {
        "unknown" => format!("{} unknown", percent(*count, total)),
        what => format!("{} from {what}", percent(*count, total)),
    };
    let shares: Vec<_> = shares.iter().map(share).collect();
    Some(shares.join(", "))
}

/// Whole percents, unless that would be 0 or 100 of what is neither.
fn percent(count: u64, total: u64) -> String {
    match u128::from(count) * 100 / u128::from(total.max(1)) {
        0 => "< 1 %".to_owned(),
        99 if count < total => "> 99 %".to_owned(),
        percent => format!("{percent} %"),
    }
}

/// Whether all data templates of a router are without AS numbers. Other protocols have a place for them in every record.
fn has_no_as(heard: &Value) -> bool {
    let data = || each(&heard["templates"]).filter(|template| template["kind"] == "data");
    let names_as =
        |template: &Value| each(&template["fields"]).any(|field| AS_ELEMENTS.contains(&&*text(&field["name"])));
    data().next().is_some() && !data().any(names_as)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn heard(ends: Value, fields: &[&str]) -> Value {
        let fields: Vec<_> = fields.iter().map(|name| json!({"name": name})).collect();
        json!({"counters": {"flow_ends": ends}, "templates": [{"kind": "data", "fields": fields}]})
    }

    #[test]
    fn shares_are_in_percent_and_the_largest_first() {
        let ends = json!({"none": 5, "exporter": 12, "network": 0, "bmp": 0, "other-bmp": 0, "file": 83});
        let line = shares(&heard(ends, &[]), true);
        assert_eq!(line.as_deref(), Some("83 % from files, 12 % from the router, 5 % unknown"));
        let ends = json!({"none": 1, "file": 1_000_000});
        assert_eq!(shares(&heard(ends, &[]), true).as_deref(), Some("> 99 % from files, < 1 % unknown"));
        assert_eq!(shares(&heard(json!({"bmp": 3}), &[]), true).as_deref(), Some("100 % from its routes (BMP)"));
    }

    #[test]
    fn files_are_proposed_where_records_have_no_as_and_no_file_is_set() {
        let without = heard(Value::Null, &["sourceIPv4Address"]);
        assert!(shares(&without, false).unwrap().contains("set origins.files"));
        assert_eq!(shares(&without, true), None);
        assert_eq!(shares(&heard(Value::Null, &["bgpSourceAsNumber"]), false), None);
        assert_eq!(shares(&json!({"counters": {}}), false), None);
    }

    #[test]
    fn unusable_and_old_files_are_found_and_documented() {
        let file = |error: Value, modified: &str| json!({"path": "/a", "error": error, "failingSince": "2026-11-30T01:02:03.5Z", "modified": modified});
        let found = |files: Value| {
            let status = json!({"originFiles": {"read": null, "files": files}});
            let mut findings = Vec::new();
            let answers = Answers { status, senders: None, exporters: Vec::new(), unknown: Vec::new() };
            examine(&answers, &mut findings);
            findings.iter().map(|finding| serde_json::to_value(finding).unwrap()).collect::<Vec<_>>()
        };
        let both = found(json!([
            file(json!("/a, line 2: x"), "2999-01-01T00:00:00Z"),
            file(Value::Null, "2020-01-01T00:00:00Z")
        ]));
        let names: Vec<_> = both.iter().map(|finding| finding["finding"].as_str().unwrap()).collect();
        assert_eq!(names, ["origin_file_unusable", "origin_file_old"]);
        assert_eq!(both[0]["evidence"][0], "since 2026-11-30T01:02:03Z: /a, line 2: x");
        assert_eq!(found(json!([file(Value::Null, "2999-01-01T00:00:00Z")])).len(), 0);
        let document = include_str!("../../../../../docs/troubleshooting.md");
        assert!(names.iter().all(|name| document.contains(&format!("\n| `{name}` | "))));
    }
}
