//! `netflow live`: a running collector on the whole screen.
//!
//! | file | what lives there |
//! | --- | --- |
//! | `live/answers.rs` | asking the collector, in a thread of its own, each second |
//! | `live/state.rs` | what is shown, and what keys change: pure |
//! | `live/screen.rs` | drawing it: pure |
//!
//! Here are the terminal and the loop between them. The terminal is put back whichever way the command ends.

mod answers;
mod screen;
mod state;
#[cfg(test)]
mod tests;

use std::io::{self, IsTerminal};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use anyhow::anyhow;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::super::interrupt::Interrupt;
use crate::client::{Client, Connection};
use crate::config::Config;
use crate::exit_code::{ExitCode, Failure, OrExit};
use answers::{Answers, Question};
use state::{Key, State, Wish};

/// Which collector to show.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Keys: arrows and enter go into an exporter, escape comes back, s sorts, / filters, p pauses, ? tells the others, q quits.

Examples:
  netflow live
  netflow live --url https://collector.example:8443 --keys keys")]
pub(crate) struct Arguments {
    #[command(flatten)]
    connection: Connection,
}

/// How long a key is waited for before it is looked whether something else has come.
const LOOK: Duration = Duration::from_millis(50);

/// Shows it until it is told to stop.
pub(crate) fn run(config: &Config, arguments: &Arguments) -> Result<ExitCode, Failure> {
    if !io::stdout().is_terminal() {
        return Err(Failure::new(
            ExitCode::Failure,
            anyhow!(
                "netflow live needs a terminal: netflow curl GET /status and /exporters have the same for programs"
            ),
        ));
    }
    let client = Client::new(&arguments.connection, config)?;
    let mut state = State::new(client.url());
    // Before the screen is taken: a collector that refuses the keys is told in the usual way.
    client.exchange("GET", "/exporters", "").and_then(|answer| answer.refusal())?;
    let interrupt = Interrupt::watch().or_exit(ExitCode::Failure)?;
    let (questions, asked) = channel();
    let (answered, answers) = channel();
    // Ends with the process at the latest: a request cannot be called back.
    std::thread::spawn(move || answers::keep_asking(&client, &asked, &answered));
    let mut terminal = ratatui::try_init().or_exit(ExitCode::Failure)?;
    let ended = follow(&mut terminal, &mut state, &interrupt, &questions, &answers);
    // Not `restore`, which prints its error, and panics where it cannot.
    let restored = ratatui::try_restore();
    ended.and(restored).or_exit(ExitCode::Failure)?;
    Ok(ExitCode::Success)
}

/// Draws after everything that changes something.
fn follow(
    terminal: &mut DefaultTerminal,
    state: &mut State,
    interrupt: &Interrupt,
    questions: &Sender<Question>,
    answers: &Receiver<Result<Answers, String>>,
) -> io::Result<()> {
    let (mut asked, mut changed) = (None, true);
    while !interrupt.came() {
        if std::mem::take(&mut changed) {
            terminal.draw(|frame| screen::draw(frame, state))?;
        }
        for answer in answers.try_iter() {
            state.note(answer);
            changed = true;
        }
        // What is marked and opened may have changed by a key, and by an answer.
        let question = Some(state.question());
        if question != asked {
            drop(questions.send(state.question()));
            asked = question;
        }
        if !event::poll(LOOK)? {
            continue;
        }
        // Whatever it is, the screen may have another size now.
        changed = true;
        let Event::Key(key) = event::read()? else { continue };
        if key_of(key).is_some_and(|key| state.press(key) == Wish::Quit) {
            break;
        }
    }
    Ok(())
}

fn key_of(key: KeyEvent) -> Option<Key> {
    if key.kind == KeyEventKind::Release {
        return None;
    }
    Some(match key.code {
        KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => Key::Interrupt,
        KeyCode::Char(character) => Key::Character(character),
        KeyCode::Up => Key::Up,
        KeyCode::Down => Key::Down,
        KeyCode::Left => Key::Left,
        KeyCode::Right => Key::Right,
        KeyCode::Enter => Key::Enter,
        KeyCode::Esc => Key::Escape,
        KeyCode::Backspace => Key::Erase,
        _ => return None,
    })
}
