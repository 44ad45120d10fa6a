//! Chores of this repository. `cargo run -p xtask -- elements` writes the tables of information elements that are
//! checked in under `crates/wire`; with `--check` it only says whether they are what it would write. `copyright FILE` writes
//! the licences of everything that is built into the program, for packages.

mod copyright;
mod elements;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Result, bail};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments.iter().map(String::as_str).collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[&str]) -> Result<()> {
    match arguments {
        ["elements"] => elements::write(),
        ["elements", "--check"] => elements::check(),
        ["copyright", file] => copyright::write(Path::new(file)),
        _ => bail!("usage: cargo run -p xtask -- elements [--check] | copyright FILE"),
    }
}
