//! `netflow web`: a link that logs a browser in.

use anyhow::anyhow;
use serde_json::json;

use super::text;
use crate::client::{Client, Connection};
use crate::config::Config;
use crate::exit_code::{ExitCode, Failure};
use crate::output;

/// What the collector answers where it does not serve the web interface.
const NOT_FOUND: u16 = 404;

/// Which collector.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
The link logs in once, within 60 seconds, with the role and the senders of the key that this command uses.

Examples:
  netflow web
  netflow web --url https://collector.example:8443 --keys keys
  xdg-open \"$(netflow web)\"")]
pub(crate) struct Arguments {
    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

/// Asks for a ticket and prints the link with it.
pub(crate) fn run(config: &Config, arguments: &Arguments) -> Result<ExitCode, Failure> {
    let client = Client::new(&arguments.connection, config)?;
    let answer = client.exchange("POST", "/session/ticket", "")?;
    if answer.status == NOT_FOUND {
        let error = anyhow!("the collector at {} serves no web interface: set http.web = true", client.url());
        return Err(Failure::new(ExitCode::Refused, error));
    }
    let ticket = text(&client.read(&answer)?["ticket"]);
    // After the #, so that it is neither sent nor logged with the request for the page.
    let link = format!("{}/web/now#ticket={ticket}", client.url());
    if arguments.json {
        output::print_line(json!({ "link": link }))?
    } else {
        output::print_line(link)?
    }
    Ok(ExitCode::Success)
}
