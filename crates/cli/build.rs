//! Sets the version of `netflow --version`, with the commit of a build in a repository.

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-env-changed=NETFLOW_COMMIT");
    let version = env!("CARGO_PKG_VERSION");
    let version = match commit() {
        Some(commit) => format!("{version} ({commit})"),
        None => version.to_owned(),
    };
    println!("cargo::rustc-env=NETFLOW_VERSION={version}");
}

/// The commit, from the environment (for builds without a repository) or git. Development builds do not ask git: that would
/// rebuild them after every commit.
fn commit() -> Option<String> {
    if let Ok(commit) = std::env::var("NETFLOW_COMMIT") {
        return Some(commit).filter(|commit| !commit.is_empty());
    }
    if std::env::var("PROFILE").as_deref() != Ok("release") {
        return Some("development build".to_owned());
    }
    // Grows with each commit, and with each change of branch.
    let log = git(&["rev-parse", "--git-path", "logs/HEAD"])?;
    println!("cargo::rerun-if-changed={log}");
    git(&["describe", "--always", "--dirty", "--abbrev=10", "--exclude=*"])
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok().filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (!text.is_empty()).then_some(text)
}
