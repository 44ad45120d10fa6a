//! Where the third-party captures are. They are not part of the repository: tests look for them in `../shared/captures`
//! beside the checkout, or where `NETFLOW_CORPUS` points.

use std::path::PathBuf;

/// The folder of the captures. If they are missing on a developer's machine, prints a line to standard error and returns
/// `None`.
///
/// # Panics
/// When the captures are missing and `CI` is `true`, or `NETFLOW_CORPUS` points to a folder without them: a test that
/// needs them must not pass without having run.
#[must_use]
pub fn captures() -> Option<PathBuf> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/captures");
    let (configured, ci) = (std::env::var_os("NETFLOW_CORPUS"), std::env::var_os("CI"));
    find(configured.map(PathBuf::from), PathBuf::from(beside), ci.is_some_and(|ci| ci == "true"))
}

fn find(configured: Option<PathBuf>, beside: PathBuf, ci: bool) -> Option<PathBuf> {
    let required = ci || configured.is_some();
    let folder = configured.unwrap_or(beside);
    if folder.join("index.json").is_file() {
        return Some(folder);
    }
    let message = format!("no captures in {}: set NETFLOW_CORPUS to their folder", folder.display());
    assert!(!required, "{message}");
    eprintln!("NOT RUN: {message}");
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn captures_may_be_missing_on_a_developers_machine_only() {
        let missing = PathBuf::from("/nowhere");
        assert_eq!(find(None, missing.clone(), false), None);
        assert!(std::panic::catch_unwind(|| find(None, PathBuf::from("/nowhere"), true)).is_err());
        assert!(std::panic::catch_unwind(|| find(Some(PathBuf::from("/nowhere")), missing, false)).is_err());
    }
}
