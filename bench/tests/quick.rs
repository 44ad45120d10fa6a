//! The comparison runs, and at a rate that all of them take, all of them count what was sent.

use std::path::Path;
use std::process::Command;

#[test]
fn at_a_low_rate_everybody_counts_what_was_sent() {
    // The collector stands beside the bench; a test of this package alone has not built it.
    let profile = Path::new(env!("CARGO_BIN_EXE_bench")).parent().unwrap();
    if !profile.join("netflow").exists() {
        assert!(Command::new(env!("CARGO")).args(["build", "-q", "-p", "cli"]).status().unwrap().success());
    }
    let output = Command::new(env!("CARGO_BIN_EXE_bench"))
        .args(["compare", "--protocols", "v9", "--rounds", "1", "--rate", "20000", "--seconds", "0.5"])
        .args(["--search-seconds", "0", "--addresses", "1000", "--exporters", "3"])
        .output()
        .unwrap();
    let (table, said) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{table}\n{said}");
    assert_eq!(table.matches(" right ").count(), 6, "{table}\n{said}");
}
