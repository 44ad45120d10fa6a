//! `netflow curl`: a signed request to the REST interface.

use std::io::{self, Read};

use crate::client::{Client, Connection};
use crate::commands::progress::Waiting;
use crate::config::Config;
use crate::exit_code::{ExitCode, Failure, OrExit};
use crate::output;

/// The request.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  netflow curl GET /status
  netflow curl PUT /senders/192.0.2.1 '{\"prefixes\":[{\"prefix\":\"172.16.1.0\",\"prefixLen\":24}]}'
  netflow curl POST /stats/192.0.2.1 - < question.json")]
pub(crate) struct Arguments {
    /// The method, such as GET
    #[arg(value_parser = ["GET", "PUT", "POST", "DELETE"], ignore_case = true)]
    method: String,
    /// The path with its query string
    path: String,
    /// The request body; - reads it from standard input
    body: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

/// Sends it and prints the answer; a refusal is the error.
pub(crate) fn run(config: &Config, arguments: Arguments) -> Result<ExitCode, Failure> {
    let Arguments { method, path, body, connection } = arguments;
    let body = match body.as_deref() {
        None => String::new(),
        Some("-") => {
            let mut body = String::new();
            io::stdin().read_to_string(&mut body).or_exit(ExitCode::Input)?;
            body
        }
        Some(body) => body.to_owned(),
    };
    let path = if path.starts_with('/') { path } else { format!("/{path}") };
    let client = Client::new(&connection, config)?;
    let waiting = Waiting::show("waiting for the collector");
    let answer = client.exchange(&method.to_uppercase(), &path, &body)?;
    drop(waiting);
    if answer.status < 300 {
        output::print_line(answer.body.trim_end())?;
    }
    answer.refusal()?;
    Ok(ExitCode::Success)
}
