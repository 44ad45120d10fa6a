//! What is shown, and how keys change it. No clock, no queries, no drawing.

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::net::IpAddr;

use accounting::zone::Zone;
use flow::Timestamp;
use serde_json::Value;

use super::super::{number, text};
use super::answers::{Answers, Question, Traffic};

/// Seconds of flow rates that are kept.
const HISTORY: usize = 240;
/// The fields whose top values can be shown.
const FIELDS: [&str; 11] =
    ["srcip", "dstip", "srcport", "dstport", "proto", "srcas", "dstas", "inif", "outif", "srccountry", "dstcountry"];
const DIRECTIONS: [&str; 4] = ["in", "out", "in:local", "out:local"];

/// A key, independent of the terminal library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Up,
    Down,
    Left,
    Right,
    Enter,
    Escape,
    Erase,
    Interrupt,
    Character(char),
}

/// What the main loop does after a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Continue,
    Quit,
}

/// The sort order of exporters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    FlowRate,
    DatagramRate,
    Lost,
    Unmatched,
    Waiting,
    Address,
}

/// An exporter in the list.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ExporterRow {
    pub(super) address: IpAddr,
    pub(super) protocols: String,
    pub(super) datagram_rate: f64,
    pub(super) flow_rate: f64,
    /// By its sequence numbers.
    pub(super) lost: u64,
    pub(super) unmatched: u64,
    /// Data sets without a template, waiting or expired.
    pub(super) waiting: u64,
    pub(super) last: String,
}

/// Totals at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) datagrams: u64,
    pub(super) flows: u64,
}

/// Everything on the screen.
#[derive(Debug)]
pub(super) struct State {
    pub(super) url: String,
    /// The zone of times.
    pub(super) zone: Zone,
    pub(super) answers: Option<Answers>,
    /// Why the last query failed.
    pub(super) trouble: Option<String>,
    /// Datagrams and flows per second, between the last two answers.
    pub(super) rates: Option<Totals>,
    /// Flows per second, the latest last.
    pub(super) history: VecDeque<u64>,
    pub(super) sort: Sort,
    pub(super) filter: String,
    /// Whether keys go into the filter.
    pub(super) typing: bool,
    pub(super) paused: bool,
    pub(super) help: bool,
    /// The exporter whose row is selected.
    pub(super) selected: Option<IpAddr>,
    /// The exporter whose traffic is shown; `None` for the list of exporters.
    pub(super) opened: Option<IpAddr>,
    prefix: usize,
    field: usize,
    direction: usize,
    before: Option<(Timestamp, Totals)>,
}

impl State {
    pub(super) fn new(url: &str, zone: Zone) -> Self {
        Self {
            url: url.to_owned(),
            zone,
            answers: None,
            trouble: None,
            rates: None,
            history: VecDeque::new(),
            sort: Sort::FlowRate,
            filter: String::new(),
            typing: false,
            paused: false,
            help: false,
            selected: None,
            opened: None,
            prefix: 0,
            field: 0,
            direction: 0,
            before: None,
        }
    }

    /// The query for what is shown.
    pub(super) fn question(&self) -> Question {
        let traffic = self.opened.map(|_| Traffic {
            prefix: self.prefix,
            field: FIELDS.get(self.field).copied().unwrap_or("srcip"),
            direction: DIRECTIONS.get(self.direction).copied().unwrap_or("in"),
        });
        Question { exporter: self.opened.or(self.selected), traffic }
    }

    /// Takes an answer, or why there is none.
    pub(super) fn note(&mut self, answer: Result<Answers, String>) {
        if self.paused {
            return;
        }
        match answer {
            // The answer to a view that was left meanwhile.
            Ok(answers) if answers.question.traffic.is_some() != self.opened.is_some() => {}
            Ok(answers) => {
                self.trouble = None;
                self.note_rates(&answers);
                self.answers = Some(answers);
                if self.opened.is_none() && !self.rows().iter().any(|row| Some(row.address) == self.selected) {
                    self.selected = self.rows().first().map(|row| row.address);
                }
            }
            Err(trouble) => {
                self.trouble = Some(trouble);
                (self.before, self.rates) = (None, None);
            }
        }
    }

    #[expect(clippy::cast_precision_loss, clippy::cast_sign_loss, clippy::cast_possible_truncation, reason = "rates")]
    fn note_rates(&mut self, answers: &Answers) {
        let Some(now) = Totals::of(answers) else { return };
        let Some((at, before)) = self.before.replace((answers.at, now)) else { return };
        let seconds = answers.at.abs_diff(at).as_secs_f64();
        // The collector has restarted.
        if seconds <= 0.0 || now.datagrams < before.datagrams || now.flows < before.flows {
            self.rates = None;
            return;
        }
        let rate = |now: u64, before: u64| ((now - before) as f64 / seconds).round() as u64;
        let rates = Totals { datagrams: rate(now.datagrams, before.datagrams), flows: rate(now.flows, before.flows) };
        self.rates = Some(rates);
        self.history.push_back(rates.flows);
        if self.history.len() > HISTORY {
            self.history.pop_front();
        }
    }

    /// The exporters that match the filter, sorted.
    pub(super) fn rows(&self) -> Vec<ExporterRow> {
        let all = self.answers.iter().filter_map(|answers| answers.exporters.as_array()).flatten();
        let mut rows: Vec<ExporterRow> = all.filter_map(row).filter(|row| row.matches(&self.filter)).collect();
        rows.sort_by_key(|row| row.address);
        let thousandths = |rate: f64| Reverse(rate.max(0.0).to_bits());
        match self.sort {
            Sort::FlowRate => rows.sort_by_key(|row| thousandths(row.flow_rate)),
            Sort::DatagramRate => rows.sort_by_key(|row| thousandths(row.datagram_rate)),
            Sort::Lost => rows.sort_by_key(|row| Reverse(row.lost)),
            Sort::Unmatched => rows.sort_by_key(|row| Reverse(row.unmatched)),
            Sort::Waiting => rows.sort_by_key(|row| Reverse(row.waiting)),
            Sort::Address => {}
        }
        rows
    }

    /// Handles a key.
    pub(super) fn press(&mut self, key: Key) -> Action {
        if key == Key::Interrupt {
            return Action::Quit;
        }
        if self.help {
            self.help = false;
            return Action::Continue;
        }
        if self.typing {
            return self.edit(key);
        }
        match (key, self.opened) {
            (Key::Character('q'), _) => Action::Quit,
            (Key::Character('?'), _) => {
                self.help = true;
                Action::Continue
            }
            (Key::Character('p'), _) => {
                self.paused = !self.paused;
                Action::Continue
            }
            (_, Some(_)) => self.press_inside(key),
            (_, None) => self.press_in_list(key),
        }
    }

    fn press_in_list(&mut self, key: Key) -> Action {
        match key {
            Key::Up => self.select(|position, _| position.saturating_sub(1)),
            Key::Down => self.select(|position, last| (position + 1).min(last)),
            Key::Enter | Key::Right if self.selected.is_some() => {
                (self.opened, self.prefix) = (self.selected, 0);
            }
            Key::Character('s') => self.sort = self.sort.next(),
            Key::Character('/') => self.typing = true,
            Key::Escape => self.filter.clear(),
            _ => {}
        }
        Action::Continue
    }

    fn press_inside(&mut self, key: Key) -> Action {
        match key {
            Key::Escape | Key::Left | Key::Erase => self.opened = None,
            Key::Down => self.prefix = self.prefix.wrapping_add(1),
            Key::Up => {
                let prefixes = self.answers.as_ref().map_or(0, Answers::prefixes).max(1);
                self.prefix = (self.prefix % prefixes + prefixes - 1) % prefixes;
            }
            Key::Character('f') => self.field = (self.field + 1) % FIELDS.len(),
            Key::Character('d') => self.direction = (self.direction + 1) % DIRECTIONS.len(),
            _ => {}
        }
        Action::Continue
    }

    fn edit(&mut self, key: Key) -> Action {
        match key {
            Key::Enter => self.typing = false,
            Key::Escape => {
                self.typing = false;
                self.filter.clear();
            }
            Key::Erase => drop(self.filter.pop()),
            Key::Character(character) if self.filter.len() < 64 => self.filter.push(character),
            _ => {}
        }
        Action::Continue
    }

    fn select(&mut self, to: impl FnOnce(usize, usize) -> usize) {
        let rows = self.rows();
        let position = rows.iter().position(|row| Some(row.address) == self.selected).unwrap_or(0);
        self.selected = rows.get(to(position, rows.len().saturating_sub(1))).map(|row| row.address);
    }
}

impl Sort {
    const ALL: [Self; 6] =
        [Self::FlowRate, Self::DatagramRate, Self::Lost, Self::Unmatched, Self::Waiting, Self::Address];

    /// The heading of its column.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::FlowRate => "flows/s",
            Self::DatagramRate => "dgram/s",
            Self::Lost => "lost",
            Self::Unmatched => "unmatched",
            Self::Waiting => "waiting",
            Self::Address => "router",
        }
    }

    fn next(self) -> Self {
        let mut all = Self::ALL.iter().cycle().skip_while(|sort| **sort != self);
        all.nth(1).copied().unwrap_or(self)
    }
}

impl Totals {
    /// Those of the collector; for a key that may not see them, of the exporters that it may see. `None` without either.
    fn of(answers: &Answers) -> Option<Self> {
        let of = |counters: &Value| Self { datagrams: sum(&counters["datagrams"]), flows: sum(&counters["flows"]) };
        if !answers.status.is_null() {
            return Some(of(&answers.status["counters"]));
        }
        let exporters = answers.exporters.as_array()?.iter().map(|exporter| of(&exporter["counters"]));
        Some(exporters.fold(Self::default(), |sum, of| Self {
            datagrams: sum.datagrams.saturating_add(of.datagrams),
            flows: sum.flows.saturating_add(of.flows),
        }))
    }
}

impl ExporterRow {
    fn matches(&self, filter: &str) -> bool {
        let filter = filter.to_lowercase();
        self.address.to_string().contains(&filter) || self.protocols.contains(&filter)
    }
}

fn row(exporter: &Value) -> Option<ExporterRow> {
    let counters = &exporter["counters"];
    let rate = |name: &str| exporter["rates"][name].as_f64().unwrap_or_default();
    let protocols: Vec<&str> = exporter["protocols"].as_object()?.keys().map(String::as_str).collect();
    Some(ExporterRow {
        address: exporter["address"].as_str()?.parse().ok()?,
        protocols: protocols.join(" "),
        datagram_rate: rate("datagramsPerSecond"),
        flow_rate: rate("flowsPerSecond"),
        lost: arrivals(exporter, "lost"),
        unmatched: number(&counters["flows"]["unmatched"]),
        waiting: number(&counters["missing_template_sets"])
            .saturating_sub(number(&counters["discarded_sets"]))
            .saturating_sub(number(&counters["pending_decoded_sets"])),
        last: text(&exporter["last"]),
    })
}

/// A count from the sequence numbers of an exporter, summed over its streams.
pub(super) fn arrivals(exporter: &Value, what: &str) -> u64 {
    exporter["arrivals"].as_array().into_iter().flatten().map(|of| number(&of[what])).sum()
}

/// The sum over all fates.
pub(super) fn sum(counter: &Value) -> u64 {
    counter.as_object().map_or_else(|| number(counter), |fates| fates.values().map(number).sum())
}
