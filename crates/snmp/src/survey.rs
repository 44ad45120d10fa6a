//! Everything that is asked of one router: its name, since when it runs, and its interfaces.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use interfaces::{Details, MOST_INTERFACES};
use tokio::time::timeout;

use crate::access::Access;
use crate::conversation::{AskError, Conversation, Patience};
use crate::oid::{self, Oid};
use crate::pdu::{Request, Response, Value};

/// How many rows of a table a request asks for. An agent leaves out what does not fit into its messages.
const ROWS: u32 = 10;
/// The agent could not fit an answer into its messages (RFC 3416, section 3).
const TOO_BIG: i64 = 1;
/// Speeds of up to this are exact in ifSpeed only (RFC 2863, section 3.1.6).
const EXACT_MEGABITS: u64 = 20;
/// What of a text is looked at, in octets.
const LONGEST: usize = 1024;

/// What a router answers.
#[derive(Debug, Default)]
pub struct Survey {
    /// sysName.
    pub name: Option<String>,
    /// sysUpTime: for how long its indexes are what they are.
    pub uptime: Option<Duration>,
    /// Each interface, by its index.
    pub interfaces: Vec<(u32, Details)>,
    /// Why not everything is here.
    pub ended: Option<AskError>,
}

/// Asks an agent for everything.
///
/// # Errors
/// If it answers nothing.
pub async fn survey(agent: SocketAddr, access: &Access, patience: Patience) -> Result<Survey, AskError> {
    let mut survey = Survey::default();
    let mut rows = BTreeMap::new();
    let asking = async {
        let mut conversation = Conversation::begin(agent, access, patience).await?;
        survey.begin(&conversation.ask(&Request::Get(&[oid::SYS_UP_TIME.to_vec(), oid::SYS_NAME.to_vec()])).await?)?;
        walk(&mut conversation, &mut rows).await
    };
    let ended = timeout(patience.survey, asking).await.unwrap_or(Err(AskError::Slow)).err();
    survey.interfaces = rows.into_iter().map(|(index, row)| (index, row.details())).collect();
    match ended {
        Some(error) if survey.uptime.is_none() && survey.name.is_none() && survey.interfaces.is_empty() => Err(error),
        ended => Ok(Survey { ended, ..survey }),
    }
}

impl Survey {
    fn begin(&mut self, response: &Response) -> Result<(), AskError> {
        if response.error != 0 {
            return Err(AskError::Failed(response.error));
        }
        for (oid, value) in &response.bindings {
            match value {
                Value::Number(ticks) if oid == oid::SYS_UP_TIME => {
                    self.uptime = Some(Duration::from_millis(ticks.saturating_mul(10)));
                }
                Value::Octets(octets) if oid == oid::SYS_NAME => {
                    self.name = Details { name: Some(text(octets)), ..Details::default() }.tidy().name;
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// A row of ifTable and ifXTable.
#[derive(Default)]
struct Row {
    name: Option<String>,
    alias: Option<String>,
    descr: Option<String>,
    speed: Option<u64>,
    megabits: Option<u64>,
}

/// Puts a value into its place in a row.
type Put = fn(&mut Row, Value);

/// A column, and where it has its value in a row.
struct Column {
    oid: &'static [u32],
    put: Put,
    /// The last object that was read.
    last: Oid,
    rows: usize,
}

const COLUMNS: [(&[u32], Put); 5] = [
    (oid::IF_NAME, |row, value| row.name = value.text()),
    (oid::IF_HIGH_SPEED, |row, value| row.megabits = value.number()),
    (oid::IF_ALIAS, |row, value| row.alias = value.text()),
    (oid::IF_DESCR, |row, value| row.descr = value.text()),
    (oid::IF_SPEED, |row, value| row.speed = value.number()),
];

/// Reads all columns side by side. Each request continues all that have not ended; objects must come in their order, so that
/// the walk ends whatever the agent answers.
async fn walk(conversation: &mut Conversation, rows: &mut BTreeMap<u32, Row>) -> Result<(), AskError> {
    let mut columns: Vec<Column> =
        COLUMNS.into_iter().map(|(oid, put)| Column { oid, put, last: oid.to_vec(), rows: 0 }).collect();
    let mut repetitions = ROWS;
    while !columns.is_empty() {
        let asked: Vec<Oid> = columns.iter().map(|column| column.last.clone()).collect();
        let response = conversation.ask(&Request::GetBulk(&asked, repetitions)).await?;
        match response.error {
            0 => {}
            TOO_BIG if repetitions > 1 => {
                repetitions /= 2;
                continue;
            }
            error => return Err(AskError::Failed(error)),
        }
        if response.bindings.is_empty() {
            return Ok(());
        }
        let mut ended = vec![false; columns.len()];
        let (mut bindings, mut has_more) = (response.bindings.into_iter(), true);
        while has_more {
            for (column, ended) in columns.iter_mut().zip(&mut ended) {
                let Some((oid, value)) = bindings.next() else {
                    has_more = false;
                    break;
                };
                *ended = *ended || !column.take(oid, value, rows);
            }
        }
        let mut ended = ended.into_iter();
        columns.retain(|_| !ended.next().unwrap_or(true));
    }
    Ok(())
}

impl Column {
    /// Notes an object; whether the column continues.
    fn take(&mut self, oid: Oid, value: Value, rows: &mut BTreeMap<u32, Row>) -> bool {
        let Some([index]) = oid.strip_prefix(self.oid) else { return false };
        if oid <= self.last || self.rows >= MOST_INTERFACES || value == Value::Missing {
            return false;
        }
        if rows.len() < MOST_INTERFACES || rows.contains_key(index) {
            (self.put)(rows.entry(*index).or_default(), value);
        }
        self.rows += 1;
        self.last = oid;
        true
    }
}

impl Row {
    fn details(self) -> Details {
        // Agents state the largest number if the speed does not fit, or the remainder.
        let exact = self.speed.filter(|speed| (1..u64::from(u32::MAX)).contains(speed));
        let rounded = self.megabits.filter(|megabits| *megabits > 0);
        let speed = match rounded {
            Some(megabits) if megabits > EXACT_MEGABITS => Some(megabits.saturating_mul(1_000_000)),
            rounded => exact.or(rounded.map(|megabits| megabits.saturating_mul(1_000_000))),
        };
        let (name, described) = match self.name {
            Some(name) => (Some(name), self.descr),
            None => (self.descr, None),
        };
        Details { name, description: self.alias.or(described), speed }.tidy()
    }
}

impl Value {
    /// A text of at most [`LONGEST`] octets that is not empty.
    fn text(self) -> Option<String> {
        let Self::Octets(octets) = self else { return None };
        Some(text(&octets)).filter(|text| !text.trim_matches(['\0', ' ']).is_empty())
    }

    fn number(self) -> Option<u64> {
        match self {
            Self::Number(number) => Some(number),
            _ => None,
        }
    }
}

/// What is not UTF-8 is shown as such.
fn text(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets.get(..LONGEST).unwrap_or(octets)).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_speed_is_exact_where_it_can_be() {
        let speed = |speed, megabits| Row { speed, megabits, ..Row::default() }.details().speed;
        assert_eq!(speed(Some(2_048_000), Some(2)), Some(2_048_000));
        // A remainder of a speed that does not fit.
        assert_eq!(speed(Some(1_410_065_408), Some(10_000)), Some(10_000_000_000));
        assert_eq!(speed(Some(u64::from(u32::MAX)), None), None);
        assert_eq!(speed(Some(100_000_000), None), Some(100_000_000));
        assert_eq!(speed(Some(0), Some(0)), None);
        assert_eq!(speed(None, Some(u64::MAX)), Some(u64::MAX));
    }

    #[test]
    fn a_name_is_that_of_if_x_table_and_a_description_its_alias() {
        let text = |text: &str| Some(text.to_owned());
        let row = Row { name: text("ge-0/0/1"), descr: text("Gigabit 1"), ..Row::default() };
        let details = row.details();
        assert_eq!((details.name, details.description), (text("ge-0/0/1"), text("Gigabit 1")));
        let details = Row { alias: text("uplink"), descr: text("eth0"), ..Row::default() }.details();
        assert_eq!((details.name, details.description), (text("eth0"), text("uplink")));
    }
}
