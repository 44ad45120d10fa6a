//! The structure of `packaging/grafana-dashboard.json`, as Grafana imports it. `web/dev/dashboard.mjs` checks it against Grafana's
//! types, `end_to_end/prometheus.rs` sends its expressions to Prometheus.

use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::path::Path;

use serde_json::Value;

/// The width of a dashboard, in columns.
const COLUMNS: u64 = 24;
/// Variables that Grafana has itself.
const BUILT_IN: [&str; 2] = ["__rate_interval", "__range"];

fn dashboard() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging/grafana-dashboard.json");
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().unwrap_or_else(|| panic!("no {key}: {value}"))
}

fn all<'v>(value: &'v Value, key: &str) -> &'v [Value] {
    value[key].as_array().unwrap_or_else(|| panic!("no {key}: {value}"))
}

/// The names after `$` in a text.
fn variables(text: &str) -> impl Iterator<Item = &str> {
    text.split('$').skip(1).map(|rest| {
        let rest = rest.strip_prefix('{').unwrap_or(rest);
        rest.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').next().unwrap()
    })
}

#[test]
fn the_dashboard_has_what_an_import_needs_and_names_no_data_source_of_ours() {
    let dashboard = dashboard();
    assert!(dashboard["schemaVersion"].as_u64().unwrap() >= 36, "sources of data are objects");
    assert!(dashboard.get("id").is_none(), "Grafana gives it one");
    assert_eq!(text(&dashboard, "uid"), "netflow");
    let list = all(&dashboard["templating"], "list");
    let names: Vec<&str> = list.iter().map(|variable| text(variable, "name")).collect();
    assert_eq!(names, ["datasource", "instance", "router", "prefix"]);
    assert_eq!((text(&list[0], "type"), text(&list[0], "query")), ("datasource", "prometheus"));
    for variable in &list[1..] {
        assert_eq!(text(&variable["datasource"], "uid"), "${datasource}");
        assert!(variable["multi"] == true && variable["includeAll"] == true, "{variable}");
        assert!(text(&variable["query"], "query").starts_with("label_values("), "{variable}");
    }
    // Grafana parses the file as it is: nothing is asked at an import.
    assert!(dashboard.get("__inputs").is_none());
}

#[test]
fn each_panel_has_its_place_its_queries_and_only_variables_that_exist() {
    let dashboard = dashboard();
    let declared = all(&dashboard["templating"], "list").iter().map(|variable| text(variable, "name"));
    let known: BTreeSet<&str> = declared.chain(BUILT_IN).collect();
    let (mut ids, mut places) = (HashSet::new(), HashSet::new());
    for panel in all(&dashboard, "panels") {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "two panels have the id of {panel}");
        assert!(!text(panel, "title").is_empty());
        let [x, y, w, h] = ["x", "y", "w", "h"].map(|key| panel["gridPos"][key].as_u64().unwrap());
        assert!(w > 0 && h > 0 && x + w <= COLUMNS, "{panel}");
        for place in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
            assert!(places.insert(place), "{} is over another panel", text(panel, "title"));
        }
        assert!(variables(text(panel, "title")).all(|name| known.contains(name)), "{panel}");
        if text(panel, "type") == "row" {
            continue;
        }
        assert!(["stat", "table", "timeseries"].contains(&text(panel, "type")), "{panel}");
        assert!(text(panel, "description").ends_with('.'), "{panel}");
        assert!(!text(&panel["fieldConfig"]["defaults"], "unit").is_empty());
        let mut refs = HashSet::new();
        assert!(!all(panel, "targets").is_empty(), "{panel}");
        for target in all(panel, "targets") {
            assert!(refs.insert(text(target, "refId")), "{panel}");
            for source in [&panel["datasource"], &target["datasource"]] {
                assert_eq!((text(source, "type"), text(source, "uid")), ("prometheus", "${datasource}"));
            }
            let unknown: Vec<&str> = variables(text(target, "expr")).filter(|name| !known.contains(name)).collect();
            assert!(unknown.is_empty(), "{unknown:?} in {target}");
        }
        for over in all(&panel["fieldConfig"], "overrides") {
            let matcher = &over["matcher"];
            assert!(text(matcher, "id") != "byFrameRefID" || refs.contains(text(matcher, "options")), "{panel}");
        }
    }
}
