//! Counts the phrases that the style sheet (CONTRIBUTING.md) bans, by phrase and by top-level path. Text only: it does not
//! judge whether a use is legitimate (*behind a proxy*).

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// Lower-case words; `*` ends a stem.
const BANNED: &str = "a cassandra, a redis, anew, away, behind, by and by, come back, comes back, for ever, go on, goes on, \
    goes wrong, going on, in place of, is not there, lets go of, likewise, look on, looks on, mend*, nobody, onlooker*, \
    said, says, so long as, so many, somebody, stand in, stands, tell, tells, told, whoever, wholly, whom, whose turn";

/// Those that the repository no longer has, and that must not return.
const GONE: &[&str] = &[
    "anew",
    "by and by",
    "come back",
    "comes back",
    "for ever",
    "goes wrong",
    "going on",
    "in place of",
    "lets go of",
    "likewise",
    "look on",
    "looks on",
    "mend*",
    "onlooker*",
    "so long as",
    "so many",
    "stand in",
    "stands",
    "tells",
    "told",
    "whoever",
    "wholly",
    "whom",
    "whose turn",
];

/// Files that quote the phrases, or whose words are others'.
const EXEMPT: &[&str] = &["CONTRIBUTING.md", "xtask/src/style.rs", "LICENSE", "xtask/MIT.txt", "xtask/elements.csv"];

/// Prints the counts of a checkout; fails when a phrase of [`GONE`] is back.
pub(crate) fn check(root: &Path) -> Result<()> {
    let listed = Command::new("git").args(["ls-files", "-z"]).current_dir(root).output().context("git ls-files")?;
    let listed = String::from_utf8(listed.stdout)?;
    let mut counts = BTreeMap::<&str, BTreeMap<String, usize>>::new();
    for file in listed.split('\0').filter(|file| !EXEMPT.contains(file) && !file.ends_with(".lock")) {
        // Neither binary files nor those that were removed but not yet from the index.
        let Ok(text) = std::fs::read_to_string(root.join(file)) else { continue };
        let text = words(&text);
        let components: Vec<&str> = file.split('/').collect();
        let path = match components.as_slice() {
            ["crates", name, ..] => format!("crates/{name}"),
            [directory, _, ..] => (*directory).to_owned(),
            _ => file.to_owned(),
        };
        for (phrase, count) in
            BANNED.split(", ").map(|phrase| (phrase, count(&text, phrase))).filter(|(_, count)| *count > 0)
        {
            *counts.entry(phrase).or_default().entry(path.clone()).or_default() += count;
        }
    }
    for (phrase, paths) in &counts {
        let paths_text: Vec<String> = paths.iter().map(|(path, count)| format!("{path} {count}")).collect();
        println!("{:>5}  {phrase:<14} {}", paths.values().sum::<usize>(), paths_text.join(", "));
    }
    let back: Vec<&&str> = GONE.iter().filter(|phrase| counts.contains_key(*phrase)).collect();
    ensure!(back.is_empty(), "the style sheet of CONTRIBUTING.md bans {back:?}");
    Ok(())
}

/// The text as lower-case words with one space between them and around all; comment marks and line ends are no words.
fn words(text: &str) -> String {
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.fold(" ".to_owned(), |text, word| text + &word.to_lowercase() + " ")
}

fn count(text: &str, phrase: &str) -> usize {
    match phrase.strip_suffix('*') {
        Some(stem) => text.matches(&format!(" {stem}")).count(),
        None => text.matches(&format!(" {phrase} ")).count(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phrases_are_found_over_line_ends_and_only_as_words() {
        let text = words("/// It goes\n    /// on: the Behind; behindhand. mended");
        assert_eq!(["goes on", "behind", "mend*", "go on"].map(|phrase| count(&text, phrase)), [1, 1, 1, 0]);
    }
}
