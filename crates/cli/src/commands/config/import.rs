//! `netflow config import`: a configuration of netflow.io as one of this program, on standard output.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, ensure};
use serde_json::json;

use crate::config::import;
use crate::exit_code::{ExitCode, Failure, OrExit};
use crate::output;

/// The file.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// The configuration of netflow.io, usually called application.conf; - is the standard input
    file: PathBuf,
    /// Print one JSON object with the TOML and its settings
    #[arg(long)]
    json: bool,
}

/// Far beyond any configuration.
const LIMIT_BYTES: u64 = 256 * 1024;

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let path = &arguments.file;
    let toml = read(path)
        .and_then(|text| import(&text).map_err(|error| anyhow!("{}:{error}", path.display())))
        .or_exit(ExitCode::Input)?;
    if arguments.json {
        let settings: toml::Table = toml.parse().or_exit(ExitCode::Failure)?;
        output::print_line(json!({ "settings": settings, "toml": toml }))?;
        return Ok(ExitCode::Success);
    }
    output::print(|out| out.write_all(toml.as_bytes()))?;
    Ok(ExitCode::Success)
}

fn read(path: &Path) -> anyhow::Result<String> {
    let context = || format!("cannot read {}", path.display());
    let source: Box<dyn Read> = match path.to_str() {
        Some("-") => Box::new(io::stdin()),
        _ => Box::new(File::open(path).with_context(context)?),
    };
    let mut text = String::new();
    source.take(LIMIT_BYTES + 1).read_to_string(&mut text).with_context(context)?;
    ensure!(text.len() as u64 <= LIMIT_BYTES, "{} is larger than {} KiB", path.display(), LIMIT_BYTES / 1024);
    Ok(text)
}
