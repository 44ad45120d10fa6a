//! `netflow package-files`, a hidden command for packages and `make bless`: writes man pages, generated from
//! the definition of the command line, completions, and the configuration reference, generated from its table.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::CommandFactory;

use super::completions::Shell;
use crate::config::document;
use crate::exit_code::{ExitCode, Failure, OrExit};

/// The target.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// The target directory; created if missing
    directory: PathBuf,
}

/// Writes `netflow.toml`, `configuration.md`, `openapi.json`, `man/` and `completions/`.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    write(&arguments.directory).or_exit(ExitCode::Failure)?;
    Ok(ExitCode::Success)
}

fn write(directory: &Path) -> anyhow::Result<()> {
    let (manuals, completions) = (directory.join("man"), directory.join("completions"));
    for made in [&manuals, &completions] {
        fs::create_dir_all(made).with_context(|| made.display().to_string())?;
    }
    for (path, text) in [
        (directory.join("netflow.toml"), document::toml()),
        (directory.join("configuration.md"), document::markdown()),
        (directory.join("openapi.json"), api::openapi().unwrap_or_default()),
        (manuals.join("netflow.toml.5"), document::man()),
    ] {
        fs::write(&path, text).with_context(|| path.display().to_string())?;
    }
    for shell in Shell::ALL {
        let path = completions.join(shell.file_name());
        fs::write(&path, shell.script()).with_context(|| path.display().to_string())?;
    }
    clap_mangen::generate_to(crate::Arguments::command(), &manuals)?;
    Ok(())
}
