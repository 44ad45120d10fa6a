//! Links between the documents of this repository: the files exist, and have the headings.
#![expect(clippy::unwrap_used, reason = "a test that cannot continue has failed")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Directories with documents, from the root.
const FOLDERS: [&str; 5] = [".", "docs", "docs/exporters", "docs/decisions", "packaging"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn documents() -> Vec<PathBuf> {
    let files = FOLDERS.iter().flat_map(|folder| fs::read_dir(root().join(folder)).unwrap());
    let documents =
        files.map(|file| file.unwrap().path()).filter(|path| path.extension().is_some_and(|end| end == "md"));
    documents.collect()
}

/// The text without what is between fences.
fn prose(text: &str) -> String {
    let mut is_fenced = false;
    let mut is_prose = |line: &&str| {
        let is_fence = line.trim_start().starts_with("```");
        is_fenced ^= is_fence;
        !is_fenced && !is_fence
    };
    text.lines().filter(|line| is_prose(line)).collect::<Vec<_>>().join("\n")
}

/// The anchors of headings, as GitHub makes them.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    let letter = |letter: char| match letter {
        ' ' => Some('-'),
        letter if letter.is_alphanumeric() || letter == '-' || letter == '_' => Some(letter.to_ascii_lowercase()),
        _ => None,
    };
    headings.map(|heading| heading.chars().filter_map(letter).collect()).collect()
}

/// The targets of links and pictures.
fn targets(text: &str) -> impl Iterator<Item = String> {
    text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target.replace('\n', ""))
}

#[test]
fn every_link_between_documents_has_its_file_and_heading() {
    let documents = documents();
    assert!(documents.len() > 40, "{} documents", documents.len());
    let mut links = 0;
    for document in &documents {
        let text = prose(&fs::read_to_string(document).unwrap());
        for target in targets(&text).filter(|target| !target.starts_with("http") && !target.contains(' ')) {
            let (file, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let path = if file.is_empty() { document.clone() } else { document.parent().unwrap().join(file) };
            assert!(path.exists(), "{}: {target} does not exist", document.display());
            if !anchor.is_empty() {
                let found = anchors(&prose(&fs::read_to_string(&path).unwrap()));
                assert!(found.contains(anchor), "{}: {target} has no such heading", document.display());
            }
            links += 1;
        }
    }
    assert!(links > 200, "{links} links");
}

#[test]
fn every_document_is_in_the_index() {
    let index = fs::read_to_string(root().join("docs/index.md")).unwrap();
    let linked: BTreeSet<_> = targets(&index).collect();
    for document in documents().iter().filter(|path| path.parent().unwrap().ends_with("docs")) {
        let name = document.file_name().unwrap().to_str().unwrap();
        assert!(name == "index.md" || linked.contains(name), "docs/index.md does not have {name}");
    }
}
