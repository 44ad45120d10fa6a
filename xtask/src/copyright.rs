//! The copyright file of packages: our licence, and those of all crates and of all libraries of the web interface in the program.
//!
//! A crate that offers Apache-2.0 is used under it: this requires only its NOTICE, and Debian has the text. For other
//! crates the file contains their licence. A crate without a licence file is accepted if it declares MIT and its authors,
//! which is all that this licence leaves open. Everything else is an error.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

const HEAD: &str = "\
Copyright: the authors of netflow.

netflow is licensed under the Apache License, Version 2.0. On Debian systems its text is in
/usr/share/common-licenses/Apache-2.0.

The program holds the libraries below. Where one may be taken under Apache-2.0, it is.
SQLite, which comes with libsqlite3-sys, is in the public domain.
";

/// The MIT licence after its copyright line.
const MIT: &str = include_str!("../MIT.txt");

/// What the licences of the web interface are.
const SCRIPTS: [&str; 5] = ["Apache-2.0", "BSD-3-Clause", "ISC", "MIT", "Zlib"];

/// A crate or a library of the web interface in the program.
struct Library {
    name: String,
    version: String,
    licence: String,
    source: String,
    /// Texts that must accompany it.
    texts: Vec<String>,
}

/// Writes the copyright file.
pub(crate) fn write(path: &Path) -> Result<()> {
    let mut all = libraries()?;
    all.extend(scripts(Path::new("web"))?);
    fs::write(path, text(&all)).with_context(|| path.display().to_string())
}

/// The libraries in the script of the web interface: those of its lock file that are not for its development only.
fn scripts(web: &Path) -> Result<Vec<Library>> {
    let lock = web.join("package-lock.json");
    let lock: Value = serde_json::from_str(&fs::read_to_string(&lock).with_context(|| lock.display().to_string())?)?;
    let packages = at(&lock, "packages").as_object().context("a lock file has packages")?;
    let is_shipped = |folder: &str, package: &Value| !folder.is_empty() && at(package, "dev") != true;
    let shipped = packages.iter().filter(|(folder, package)| is_shipped(folder, package));
    shipped.map(|(folder, package)| script(&web.join(folder), package)).collect()
}

fn script(folder: &Path, package: &Value) -> Result<Library> {
    let at_folder = || format!("{}: run make web", folder.display());
    let manifest = fs::read_to_string(folder.join("package.json")).with_context(at_folder)?;
    let manifest: Value = serde_json::from_str(&manifest).with_context(at_folder)?;
    let (name, version) = (text_of(at(&manifest, "name")), text_of(at(&manifest, "version")));
    if version != text_of(at(package, "version")) {
        bail!("{name} {version} is not that of web/package-lock.json: run make web");
    }
    let licence = text_of(at(&manifest, "license"));
    if !SCRIPTS.contains(&licence.as_str()) {
        bail!("{name} has the licence {licence:?}, which is none of {}", SCRIPTS.join(", "));
    }
    let texts = texts(folder, &["LICEN", "COPYING", "NOTICE"])?;
    if texts.is_empty() {
        bail!("{name} ({licence}) has no file with its licence");
    }
    let repository = at(&manifest, "repository");
    let source = repository.as_str().unwrap_or_else(|| at(repository, "url").as_str().unwrap_or_default());
    Ok(Library { name, version, licence, source: source.to_owned(), texts })
}

/// The texts of files whose names begin with one of these words. Debian has that of Apache-2.0.
fn texts(folder: &Path, wanted: &[&str]) -> Result<Vec<String>> {
    let mut texts = Vec::new();
    let mut files: Vec<_> = fs::read_dir(folder)?.collect::<Result<_, _>>()?;
    files.sort_by_key(fs::DirEntry::file_name);
    for file in files.iter().filter(|file| file.path().is_file()) {
        let file_name = file.file_name().to_string_lossy().to_uppercase();
        if wanted.iter().any(|start| file_name.starts_with(start)) {
            let text = fs::read_to_string(file.path())?.trim().to_owned();
            if !text.starts_with("Apache License") {
                texts.push(text);
            }
        }
    }
    Ok(texts)
}

/// Third-party crates in the program on Linux, without those that only tests or builds need.
fn libraries() -> Result<Vec<Library>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--filter-platform", "x86_64-unknown-linux-gnu"])
        .output()?;
    if !output.status.success() {
        bail!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    }
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let by_id = |list: &Value| -> BTreeMap<String, Value> {
        items(list).map(|item| (text_of(at(item, "id")), item.clone())).collect()
    };
    let (packages, nodes) = (by_id(at(&metadata, "packages")), by_id(at(at(&metadata, "resolve"), "nodes")));
    let root = packages.iter().find(|(_, package)| at(package, "name") == "cli").context("there is no crate cli")?.0;
    let (mut found, mut waiting) = (BTreeSet::new(), vec![root.clone()]);
    while let Some(id) = waiting.pop() {
        let built_in = |dependency: &&Value| items(at(dependency, "dep_kinds")).any(|kind| at(kind, "kind").is_null());
        let is_macro = |id: &str| {
            packages.get(id).is_some_and(|package| {
                items(at(package, "targets")).any(|target| items(at(target, "kind")).any(|kind| kind == "proc-macro"))
            })
        };
        if !is_macro(&id) && found.insert(id.clone()) {
            let node = nodes.get(&id).with_context(|| id.clone())?;
            waiting.extend(items(at(node, "deps")).filter(built_in).map(|dependency| text_of(at(dependency, "pkg"))));
        }
    }
    let of_others = |package: &&Value| !at(package, "source").is_null();
    found.iter().filter_map(|id| packages.get(id)).filter(of_others).map(library).collect()
}

fn library(package: &Value) -> Result<Library> {
    let name = text_of(at(package, "name"));
    let licence = text_of(at(package, "license"));
    let folder = text_of(at(package, "manifest_path"));
    let folder = Path::new(&folder).parent().context("a manifest is in a folder")?;
    // `A OR B` is a choice; `A/B` is how it was written before SPDX.
    let apache = licence.split(" OR ").flat_map(|part| part.split('/')).any(|part| part.trim() == "Apache-2.0");
    let wanted: &[&str] = if apache { &["NOTICE"] } else { &["LICEN", "COPYING", "UNLICENSE", "NOTICE"] };
    let mut texts = texts(folder, wanted)?;
    if texts.is_empty() && licence == "MIT" {
        let authors: Vec<_> = items(at(package, "authors")).map(text_of).collect();
        if authors.is_empty() {
            bail!("{name} (MIT) has no file with its licence and does not name its authors");
        }
        texts.push(format!("Copyright (c) {}\n\n{}", authors.join(", "), MIT.trim()));
    } else if texts.is_empty() && !apache {
        bail!("{name} ({licence}) has no file with its licence");
    }
    Ok(Library {
        name,
        version: text_of(at(package, "version")),
        licence,
        source: text_of(at(package, "repository")),
        texts,
    })
}

fn text(libraries: &[Library]) -> String {
    let mut document = HEAD.to_owned();
    let mut texts = BTreeMap::<&str, Vec<&str>>::new();
    for library in libraries {
        let _ = write!(document, "\n{} {}: {}", library.name, library.version, library.licence);
        if !library.source.is_empty() {
            let _ = write!(document, "\n  {}", library.source);
        }
        library.texts.iter().for_each(|text| texts.entry(text).or_default().push(&library.name));
    }
    for (text, names) in texts {
        let _ = write!(document, "\n\n{}\n{}:\n\n{text}", "-".repeat(80), names.join(", "));
    }
    document + "\n"
}

fn at<'a>(value: &'a Value, key: &str) -> &'a Value {
    value.get(key).unwrap_or(&Value::Null)
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text_of(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
