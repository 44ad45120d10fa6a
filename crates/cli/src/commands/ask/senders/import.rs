//! `netflow senders import`: registers the routers of a file.

use std::collections::{BTreeSet, HashMap};
use std::io::Read;
use std::net::IpAddr;
use std::path::Path;
use std::{fs, io};

use anyhow::{Context, anyhow};
use flow::Tag;
use serde_json::{Map, Value, json};
use storage::Sender;

use super::{ask, prefixes_member, print, text, warnings};
use crate::client::Client;
use crate::exit_code::{ExitCode, Failure, OrExit};
use crate::output;
use crate::table::{Cell, Format, Table};

/// A line of the file.
struct Line {
    number: usize,
    sender: Sender,
}

/// Registers the routers of a file, `-` for the standard input, or only shows what would change.
pub(super) fn import(client: &Client, file: &Path, is_dry_run: bool, format: Format) -> Result<ExitCode, Failure> {
    let lines = read(file).and_then(|text| lines(&text)).with_context(|| file.display().to_string());
    let lines = lines.or_exit(ExitCode::Input)?;
    let known = ask(client, "GET", "/senders", "")?;
    let known: HashMap<&str, &Value> =
        known.as_array().into_iter().flatten().filter_map(|sender| Some((sender["ip"].as_str()?, sender))).collect();
    let mut table = Table::new(&["sender", "change"]);
    let (mut added, mut changed, mut changes) = (0, 0, Vec::new());
    let mut warned = BTreeSet::new();
    for Line { number, sender } in &lines {
        let address = sender.address.to_string();
        let known = known.get(address.as_str()).copied();
        let members = differences(sender, known);
        if members.is_empty() && known.is_some() {
            continue;
        }
        if !is_dry_run {
            let body = Value::Object(members.clone()).to_string();
            let answer = ask(client, "PUT", &format!("/senders/{address}"), &body);
            let answer = answer.map_err(|Failure { code, error }| {
                let done = format!("{}, line {number}; those before it are done", file.display());
                Failure::new(code, error.context(done))
            })?;
            // Routers often have the same prefixes.
            warned.extend(warnings(&answer));
        }
        *if known.is_some() { &mut changed } else { &mut added } += 1;
        table.push(vec![Cell::Text(address.clone()), Cell::Text(change_of(known.is_some(), &members))]);
        changes.push(json!({ "ip": address, "isNew": known.is_none(), "change": members }));
    }
    let unchanged = lines.len() - added - changed;
    let answer = json!({
        "isDryRun": is_dry_run, "added": added, "changed": changed, "unchanged": unchanged, "senders": changes
    });
    if format.json || format.csv || added + changed > 0 {
        print(format, &answer, |_| table)?;
    }
    warned.iter().for_each(output::report);
    if format.json || format.csv {
        return Ok(ExitCode::Success);
    }
    let would_be = if is_dry_run { " would be" } else { "" };
    output::print_line(format_args!("{added}{would_be} added, {changed}{would_be} changed, {unchanged} as they were"))?;
    Ok(ExitCode::Success)
}

fn read(file: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    match file.as_os_str() == "-" {
        true => io::stdin().read_to_string(&mut text).map(|_| ())?,
        false => text = fs::read_to_string(file)?,
    }
    Ok(text)
}

/// The senders of a file, a line each. Nothing is imported if one of them is wrong.
fn lines(text: &str) -> anyhow::Result<Vec<Line>> {
    let mut lines: Vec<Line> = Vec::new();
    let mut places: HashMap<IpAddr, usize> = HashMap::new();
    for (text, number) in text.lines().zip(1..) {
        let words = text.trim();
        if words.is_empty() || words.starts_with('#') {
            continue;
        }
        let words = words.replace('\t', " ");
        let sender: Sender = words.parse().with_context(|| format!("line {number}"))?;
        if let Some(before) = places.insert(sender.address, number) {
            return Err(anyhow!("line {number}: {} is already in line {before}", sender.address));
        }
        lines.push(Line { number, sender });
    }
    Ok(lines)
}

/// What the line states and the collector does not know yet, as members of a request.
fn differences(sender: &Sender, known: Option<&Value>) -> Map<String, Value> {
    let is_new = known.is_none();
    let known = known.unwrap_or(&Value::Null);
    let has = |prefix: &Value| {
        known["prefixes"].as_array().is_some_and(|prefixes| {
            prefixes
                .iter()
                .any(|other| (&other["prefix"], &other["prefixLen"]) == (&prefix["prefix"], &prefix["prefixLen"]))
        })
    };
    let Value::Array(prefixes) = prefixes_member(&sender.prefixes) else { return Map::new() };
    let prefixes: Vec<Value> = prefixes.into_iter().filter(|prefix| !has(prefix)).collect();
    let mut members = Map::new();
    // A request must have at least one member.
    if is_new || !prefixes.is_empty() {
        members.insert("prefixes".to_owned(), prefixes.into());
    }
    let tags: Vec<String> = sender.tags.iter().map(Tag::to_string).collect();
    let certificate_name = json!(sender.certificate_name.as_ref().map(ToString::to_string));
    let name = json!(sender.name.as_ref().map(ToString::to_string));
    let stated = [("name", name), ("certificateName", certificate_name), ("tags", json!(tags))];
    let settings = sender.settings.changed().map(|setting| (setting.name(), setting.value()));
    let settings = settings.map(|(name, value)| (name, value.parse::<u32>().map_or(Value::from(value), Value::from)));
    for (name, value) in stated.into_iter().chain(settings) {
        let is_stated = !value.is_null() && value != json!([]);
        // What others call it may change.
        let is_configured = name != "name" || known["nameSource"] == "configured";
        if is_stated && !(is_configured && known[name] == value) {
            members.insert(name.to_owned(), value);
        }
    }
    members
}

/// For people: what changes, as `netflow senders set` has it.
fn change_of(is_known: bool, members: &Map<String, Value>) -> String {
    let word = |(name, value): (&String, &Value)| match value {
        Value::Array(values) => format!("{name}={}", values.iter().map(listed).collect::<Vec<_>>().join(",")),
        value => format!("{name}={}", listed(value)),
    };
    let shown = members.iter().filter(|(_, value)| **value != json!([]));
    let words = (!is_known).then(|| "new".to_owned()).into_iter().chain(shown.map(word));
    words.collect::<Vec<_>>().join(" ")
}

fn listed(value: &Value) -> String {
    match value {
        Value::Object(prefix) => format!("{}/{}", text(&prefix["prefix"]), prefix["prefixLen"]),
        Value::String(_) => text(value),
        value => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_line_is_named_and_so_is_a_router_that_is_there_twice() {
        let error = |text: &str| format!("{:#}", lines(text).err().unwrap());
        assert!(error("192.0.2.1\n\n# a comment\n192.0.2.2 nam=x\n").starts_with("line 4: 'nam=x' is none of"));
        assert_eq!(error("192.0.2.1\n::ffff:192.0.2.1 name=a\n"), "line 2: 192.0.2.1 is already in line 1");
        assert_eq!(lines(" \n#\n192.0.2.1\tname=a\n").unwrap().len(), 1);
    }

    #[test]
    fn only_what_differs_is_asked_for() {
        let sender: Sender =
            "192.0.2.1 name=edge prefixes=10.0.0.0/8,192.0.2.0/24 tags=a samplingRate=10".parse().unwrap();
        let known = json!({
            "ip": "192.0.2.1", "name": "edge", "nameSource": "configured", "tags": ["b"], "samplingRate": 10, "flowDirection": "ingress",
            "prefixes": [{"prefix": "10.0.0.0", "prefixLen": 8, "name": "x"}],
        });
        let expected = json!({"prefixes": [{"prefix": "192.0.2.0", "prefixLen": 24}], "tags": ["a"]});
        let members = differences(&sender, Some(&known));
        assert_eq!(Value::Object(members.clone()), expected);
        assert_eq!(change_of(true, &members), "prefixes=192.0.2.0/24 tags=a");
        let found = json!({"ip": "192.0.2.1", "name": "edge", "nameSource": "dns", "prefixes": []});
        assert_eq!(differences(&sender, Some(&found))["name"], json!("edge"));
        let all = differences(&sender, None);
        assert_eq!((all.len(), &all["samplingRate"], &all["name"]), (4, &json!(10), &json!("edge")));
        assert_eq!(change_of(false, &all), "new name=edge prefixes=10.0.0.0/8,192.0.2.0/24 samplingRate=10 tags=a");
        let nothing: Sender = "192.0.2.1".parse().unwrap();
        assert!(differences(&nothing, Some(&known)).is_empty());
        assert_eq!(change_of(false, &differences(&nothing, None)), "new");
    }
}
