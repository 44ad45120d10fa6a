//! Checks the archive: reads every file completely. Nothing is changed.

use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use crate::folder::{Contents, Part, contents, keep};
use crate::inspection::{Damaged, Inspected, inspect, open};
use crate::part_name::PartName;

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file, below the folder of the archive. Anybody may have named it.
    pub path: PathBuf,
    /// What is wrong with it.
    pub problem: String,
}

impl Finding {
    pub(crate) fn foreign(path: PathBuf) -> Self {
        let problem =
            "it is not of the archive, but other programs read it as if it were: move it elsewhere".to_owned();
        Self { path, problem }
    }
}

/// What was checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Files.
    pub files: u64,
    /// Their rows, as far as they could be read.
    pub rows: u64,
    /// Their octets.
    pub octets: u64,
    /// What is wrong.
    pub findings: u64,
}

/// What happens during a check.
#[derive(Debug)]
pub enum CheckEvent {
    /// A file is read now, and this was checked before.
    Reading(PartName, Checked),
    /// Something is wrong.
    Found(Finding),
}

/// Checks all files; ends early if the visitor wants it.
///
/// # Errors
/// When the folder cannot be read.
pub fn check(folder: &Path, visit: &mut dyn FnMut(CheckEvent) -> ControlFlow<()>) -> io::Result<Checked> {
    let _kept = keep(folder);
    let contents = contents(folder)?;
    let mut checked = Checked::default();
    for finding in findings_of_names(folder, &contents) {
        checked.findings += 1;
        if visit(CheckEvent::Found(finding)).is_break() {
            return Ok(checked);
        }
    }
    for Part { name, octets } in contents.parts.into_iter().chain(contents.superseded) {
        if visit(CheckEvent::Reading(name, checked)).is_break() {
            return Ok(checked);
        }
        let read = open(folder, name).and_then(|part| inspect(&part, |_| {}));
        let path = name.path();
        match read {
            Ok(Inspected { rows, .. }) => checked.rows += rows,
            // Retention may delete it meanwhile.
            Err(_) if !folder.join(&path).exists() => continue,
            Err(Damaged(problem)) => {
                checked.findings += 1;
                if visit(CheckEvent::Found(Finding { path, problem })).is_break() {
                    return Ok(checked);
                }
            }
        }
        checked.files += 1;
        checked.octets += octets;
    }
    Ok(checked)
}

/// What is wrong without any file being read.
fn findings_of_names(folder: &Path, contents: &Contents) -> Vec<Finding> {
    let foreign = contents.foreign.iter().map(|path| path.strip_prefix(folder).unwrap_or(path));
    let foreign = foreign.map(|path| Finding::foreign(path.to_owned()));
    let superseded = contents.superseded.iter().map(|part| Finding {
        path: part.name.path(),
        problem: "its flows are also in a file that was joined from it: `netflow archive compact` removes it"
            .to_owned(),
    });
    let pairs = contents.parts.iter().zip(contents.parts.iter().skip(1));
    let overlapping = pairs.filter(|(before, part)| before.name.overlaps(&part.name)).map(|(before, part)| Finding {
        path: part.name.path(),
        problem: format!("it has flushes in common with {}: flows may be there twice", before.name),
    });
    foreign.chain(superseded).chain(overlapping).collect()
}
