//! Generates the tables under `crates/wire/src/information_element` from `xtask/elements.csv`: one Rust file for each
//! enterprise, one row a line, sorted by id, and one file with the reverse elements of RFC 5103.
//!
//! The columns of the CSV file, without quotes and without commas in a value:
//!
//! | column | content |
//! | --- | --- |
//! | `pen` | Private Enterprise Number; 0 is IANA; `v9` for field types that only NetFlow v9 has |
//! | `id` | element id without the enterprise bit; for `v9` the whole field type |
//! | `name`, `type`, `semantics`, `units` | as in IANA's registry (RFC 7012, RFC 5610) |
//! | `source` | who publishes it: IANA, or the vendor, in documents or in an open-source exporter |
//! | `reference` | RFCs that define the element, separated by spaces |

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};

/// The generated files: value of the column `pen`, file name, owner of the elements.
const TABLES: &[(&str, &str, &str)] = &[
    ("0", "iana", "IANA's registry"),
    ("v9", "netflow_v9", "NetFlow v9 field types that IANA's registry does not have"),
    ("9", "cisco", "Cisco"),
    ("637", "nokia", "Nokia, formerly Alcatel-Lucent"),
    ("2011", "huawei", "Huawei"),
    ("2636", "juniper", "Juniper Networks"),
    ("3054", "ixia", "Ixia"),
    ("5951", "netscaler", "NetScaler"),
    ("6871", "cert", "CERT, as YAF sends them"),
    ("6876", "vmware", "VMware, and Open vSwitch under its number"),
    ("8057", "cesnet", "CESNET"),
    ("15397", "procera", "Procera Networks"),
    ("16982", "masaryk_university", "Masaryk University"),
    ("26866", "gigamon", "Gigamon"),
    ("35632", "ntop", "ntop, by the labels of nProbe"),
    ("39499", "flowmon", "Flowmon Networks"),
    ("41916", "viptela", "Viptela"),
];

/// RFC 5103, section 6.1: the enterprise of the reverse of IANA's elements.
const REVERSE: &str = "29305";

/// CERT numbers the reverse of its own elements by setting this bit, as RFC 5103, section 6.2, suggests.
const CERT: &str = "6871";
const CERT_REVERSE_BIT: u16 = 0x4000;

/// As in rustfmt.toml. The tables skip rustfmt, which would put a table of one row on one line.
const LINE_WIDTH: usize = 120;

/// One line of the CSV file.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Element {
    id: u16,
    name: String,
    data_type: String,
    semantics: String,
    units: String,
}

/// Writes the tables.
pub(crate) fn write() -> Result<()> {
    for (path, content) in tables()? {
        fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// Fails when a table in the tree is not what [`write()`] would write.
pub(crate) fn check() -> Result<()> {
    for (path, content) in tables()? {
        let found = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        ensure!(found == content, "{} is stale: run cargo run -p xtask -- elements", path.display());
    }
    Ok(())
}

/// The content of each file.
fn tables() -> Result<Vec<(PathBuf, String)>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let source = root.join("elements.csv");
    let text = fs::read_to_string(&source).with_context(|| format!("cannot read {}", source.display()))?;
    let mut elements = parse(&text).with_context(|| format!("in {}", source.display()))?;
    let directory = root.join("../crates/wire/src/information_element");
    let mut files = Vec::new();
    if let Some(iana) = elements.get("0") {
        files.push((directory.join("reverse.rs"), render(REVERSE, "the reverse of IANA's", &reverse(iana))?));
    }
    if let Some(cert) = elements.get_mut(CERT) {
        let reversible: Vec<Element> = cert.iter().filter(|element| !is_reverse(element)).cloned().collect();
        cert.extend(reverse(&reversible).into_iter().map(|row| Element { id: row.id | CERT_REVERSE_BIT, ..row }));
    }
    for (enterprise, file, whose) in TABLES {
        let rows = elements.remove(*enterprise).with_context(|| format!("no element of {enterprise}"))?;
        files.push((directory.join(format!("{file}.rs")), render(enterprise, whose, &rows)?));
    }
    ensure!(elements.is_empty(), "no file is named for {:?}", elements.keys());
    Ok(files)
}

/// The elements of each enterprise, sorted by id.
fn parse(text: &str) -> Result<BTreeMap<String, Vec<Element>>> {
    let mut elements: BTreeMap<String, Vec<Element>> = BTreeMap::new();
    for (index, line) in text.lines().enumerate().skip(1) {
        let (enterprise, element) = parse_line(line).with_context(|| format!("line {}", index + 1))?;
        elements.entry(enterprise).or_default().push(element);
    }
    for (enterprise, rows) in &mut elements {
        rows.sort_by_key(|row| row.id);
        let twice = rows.iter().zip(rows.iter().skip(1)).find(|(row, next)| row.id == next.id);
        ensure!(twice.is_none(), "{enterprise} has two elements with one id: {twice:?}");
    }
    Ok(elements)
}

fn parse_line(line: &str) -> Result<(String, Element)> {
    let columns: Vec<&str> = line.split(',').collect();
    let [enterprise, id, name, data_type, semantics, units, _source, _reference] = columns[..] else {
        bail!("{} columns instead of 8", columns.len());
    };
    ensure!(
        name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_'),
        "{name:?} is no name"
    );
    let element = Element {
        id: id.parse().with_context(|| format!("{id:?} is no id"))?,
        name: name.to_owned(),
        data_type: variant(data_type),
        semantics: variant(semantics),
        units: match units {
            "" => "None".to_owned(),
            "4-octet words" => "Words".to_owned(),
            other => variant(other),
        },
    };
    Ok((enterprise.to_owned(), element))
}

/// The Rust name for a name such as `dateTimeSeconds`. One that the enum lacks does not compile.
fn variant(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
}

/// RFC 5103, section 6.1: the same ids, and names with `reverse` before them.
fn reverse(elements: &[Element]) -> Vec<Element> {
    elements
        .iter()
        .map(|element| Element { name: format!("reverse{}", variant(&element.name)), ..element.clone() })
        .collect()
}

/// Whether an element is the reverse of another but has its own number, as CERT's first ones.
fn is_reverse(element: &Element) -> bool {
    element.name.starts_with("reverse") || element.name.starts_with("obsoleteReverse")
}

/// One Rust file.
fn render(enterprise: &str, whose: &str, elements: &[Element]) -> Result<String> {
    // Field types of NetFlow v9 have no enterprise.
    let number: u32 = if enterprise == "v9" { 0 } else { enterprise.parse().context("no enterprise number")? };
    let mut file = format!(
        "//! Information elements: {whose} (enterprise {enterprise}).\n\
         //! Written by `cargo run -p xtask -- elements` from `xtask/elements.csv`: change that file, not this one.\n\
         \n\
         use super::{{DataType, DataType::*, InformationElement, Semantics, Semantics::*, Units, Units::*}};\n\
         \n\
         const fn row(id: u16, name: &'static str, t: DataType, s: Semantics, u: Units) -> InformationElement {{\n    \
             InformationElement::new({number}, id, name, t, s, u)\n\
         }}\n\
         \n\
         #[rustfmt::skip]\n\
         pub(super) static ELEMENTS: &[InformationElement] = &[\n"
    );
    for Element { id, name, data_type, semantics, units } in elements {
        let row = format!("    row({id}, \"{name}\", {data_type}, {semantics}, {units}),");
        ensure!(row.len() <= LINE_WIDTH, "the row of {name} does not fit a line");
        writeln!(file, "{row}")?;
    }
    file.push_str("];\n");
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_in_the_tree_are_those_of_the_csv_file() {
        check().unwrap();
    }

    #[test]
    fn an_invalid_row_is_refused_with_its_line_number() {
        let head = "pen,id,name,type,semantics,units,source,reference\n";
        for bad in ["0,1,a,unsigned8,default,", "0,65536,a,unsigned8,default,,,", "0,1,a\"b,unsigned8,default,,,"] {
            let error = parse(&format!("{head}0,2,b,unsigned8,default,,,\n{bad}\n")).unwrap_err();
            assert_eq!(error.to_string(), "line 3", "{bad}");
        }
    }

    #[test]
    fn two_elements_with_one_id_are_refused() {
        let row = "9,1,a,unsigned8,default,,,\n";
        assert!(parse(&format!("head\n{row}{row}")).is_err());
    }

    #[test]
    fn reverse_elements_keep_everything_but_the_name() {
        let rows = parse("head\n0,1,octetDeltaCount,unsigned64,deltaCounter,octets,IANA,\n").unwrap();
        let forward = &rows["0"][0];
        let expected = Element { name: "reverseOctetDeltaCount".to_owned(), ..forward.clone() };
        assert_eq!(reverse(&rows["0"]), [expected]);
    }
}
