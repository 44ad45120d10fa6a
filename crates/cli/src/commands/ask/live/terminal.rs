//! The terminal of `netflow live`, and its main loop. It restores the terminal whichever way the command ends.

use std::io::{self, IsTerminal};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use accounting::zone::Zone;
use anyhow::anyhow;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::answers::{self, Answers, Question};
use super::screen;
use super::state::{Action, Key, State};
use crate::client::{Client, Connection};
use crate::commands::interrupt::Interrupt;
use crate::config::Config;
use crate::exit_code::{ExitCode, Failure, OrExit};

/// How long to wait for a key before the next look at answers and signals.
const LOOK: Duration = Duration::from_millis(50);

/// Runs until a key or a signal ends it.
pub(super) fn run(config: &Config, connection: &Connection, zone: Zone) -> Result<ExitCode, Failure> {
    if !io::stdout().is_terminal() {
        return Err(Failure::new(
            ExitCode::Failure,
            anyhow!(
                "netflow live needs a terminal; programs get the same from netflow curl GET /status and GET /exporters"
            ),
        ));
    }
    let client = Client::new(connection, config)?;
    let mut state = State::new(client.url(), zone);
    // Before the terminal changes: refused keys are reported as in every other command.
    client.exchange("GET", "/exporters", "").and_then(|answer| answer.refusal())?;
    let interrupt = Interrupt::watch().or_exit(ExitCode::Failure)?;
    let (questions, asked) = channel();
    let (answered, answers) = channel();
    // A running request cannot be cancelled: this thread may end only with the process.
    std::thread::spawn(move || answers::keep_asking(&client, &asked, &answered));
    let mut terminal = ratatui::try_init().or_exit(ExitCode::Failure)?;
    let ended = follow(&mut terminal, &mut state, &interrupt, &questions, &answers);
    // Not `restore`: it prints its error, and panics where it cannot.
    let restored = ratatui::try_restore();
    ended.and(restored).or_exit(ExitCode::Failure)?;
    Ok(ExitCode::Success)
}

/// Draws after every change.
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
        // Keys and answers both change what is selected and open.
        let question = Some(state.question());
        if question != asked {
            drop(questions.send(state.question()));
            asked = question;
        }
        if !event::poll(LOOK)? {
            continue;
        }
        // Any event may be a new size of the terminal.
        changed = true;
        let Event::Key(key) = event::read()? else { continue };
        if key_of(key).is_some_and(|key| state.press(key) == Action::Quit) {
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
