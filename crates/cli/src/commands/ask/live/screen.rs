//! Draws the state, cut to the size of the terminal. No queries, no changes.

use accounting::zone::Zone;
use flow::Timestamp;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Cell, Clear, Paragraph, Row, Table, TableState};
use serde_json::Value;

use super::super::{named, number, sent_by_unknown, text};
use super::answers::{Answers, TOP};
use super::state::{Sort, State, arrivals, sum};
use crate::amounts::{Unit, amount};
use crate::table::{count_of, duration, grouped, scaled, sparkline};

const KEYS_OF_LIST: &str = "q quit  ↑↓ select  enter open  s sort  / filter  p pause  ? help";
const KEYS_OF_SENDER: &str = "q quit  ← back  ↑↓ prefix  f field  d direction  p pause  ? help";
const HELP: [&str; 13] = [
    "↑ ↓        select a router; in a router: a prefix",
    "enter →    open the selected router",
    "escape ←   go back; in the list: clear the filter",
    "s          sort by the next column",
    "/          filter by address or protocol; enter to finish",
    "f          next field",
    "d          next direction",
    "p          pause or resume",
    "q ctrl-c   quit",
    "",
    "unmatched  flows outside every monitored prefix",
    "waiting    data sets whose template is missing",
    "lost       according to sequence numbers",
];
const WARNING: Style = Style::new().fg(Color::Red).add_modifier(Modifier::BOLD);
const HEADING: Style = Style::new().fg(Color::Cyan);
const FAINT: Style = Style::new().fg(Color::DarkGray);
const SELECTED: Style = Style::new().add_modifier(Modifier::REVERSED);

/// Draws all of it.
pub(super) fn draw(frame: &mut Frame<'_>, state: &State) {
    let [top, body, bottom] =
        Layout::vertical([Constraint::Length(4), Constraint::Min(0), Constraint::Length(1)]).areas(frame.area());
    frame.render_widget(Paragraph::new(head(state, top.width)), top);
    match &state.answers {
        Some(answers) if state.opened.is_some() && answers.question.traffic.is_some() => sender(frame, body, answers),
        Some(answers) if state.opened.is_none() => list(frame, body, state, answers),
        _ => frame.render_widget(Paragraph::new("waiting for the collector").style(FAINT), body),
    }
    frame.render_widget(Paragraph::new(foot(state)), bottom);
    if state.help {
        let area = frame.area().centered(Constraint::Max(64), Constraint::Max(HELP.len() as u16 + 2));
        frame.render_widget(Clear, area);
        let text: Vec<_> = HELP.iter().map(|line| Line::from(*line)).collect();
        frame.render_widget(Paragraph::new(text).block(Block::bordered().title(" Keys and columns ")), area);
    }
}

/// Version and address, rates, problems.
fn head(state: &State, width: u16) -> Vec<Line<'_>> {
    let Some(answers) = &state.answers else {
        return vec![Line::from(format!("netflow {}", state.url)).style(HEADING), trouble(state)];
    };
    let status = &answers.status;
    let up = duration(number(&status["uptimeSeconds"]));
    let version = text(&status["version"]);
    let clock = clock(&state.zone, answers.at);
    let (version, up) = match status {
        Value::Null => ("netflow ".to_owned(), String::new()),
        _ => (format!("netflow {version} "), format!("  up {up}")),
    };
    let title = Line::from(vec![
        Span::from(version).style(HEADING.add_modifier(Modifier::BOLD)),
        Span::from(format!("{}{up}  {clock}", state.url)),
        Span::from(if state.paused { "  PAUSED" } else { "" }).style(WARNING),
    ]);
    let (datagrams, flows) = match state.rates {
        Some(rates) => (grouped(rates.datagrams), grouped(rates.flows)),
        None => ("-".to_owned(), "-".to_owned()),
    };
    let rates = format!("{datagrams} datagrams/s  {flows} flows/s  ");
    let room = usize::from(width).saturating_sub(rates.chars().count());
    let history: Vec<_> =
        state.history.iter().skip(state.history.len().saturating_sub(room)).map(|it| Some(*it)).collect();
    let rates =
        Line::from(vec![Span::from(rates), Span::from(sparkline(&history)).style(Style::new().fg(Color::Green))]);
    if status.is_null() {
        let limited = "this key is limited to some senders: only those are shown";
        return vec![title, rates, Line::from(limited).style(FAINT), trouble(state)];
    }
    vec![title, rates, counted(status), trouble_or_health(state, status)]
}

/// What was lost or not counted since the start.
fn counted(status: &Value) -> Line<'static> {
    let counters = &status["counters"];
    let mut spans = Vec::new();
    for (name, count, bad) in [
        ("flows", sum(&counters["flows"]), false),
        ("unmatched", number(&counters["flows"]["unmatched"]), false),
        ("unregistered", number(&counters["datagrams"]["unregistered"]), false),
        ("errors", number(&counters["decode_errors"]), true),
        ("drops", number(&counters["kernel_drops"]), true),
    ] {
        spans.push(Span::from(format!("{name} ")).style(FAINT));
        let style = if bad && count > 0 { WARNING } else { Style::new() };
        spans.push(Span::from(format!("{}  ", grouped(count))).style(style));
    }
    Line::from(spans)
}

fn trouble_or_health<'s>(state: &'s State, status: &Value) -> Line<'s> {
    if state.trouble.is_some() {
        return trouble(state);
    }
    let problems = problems(status);
    if problems.is_empty() {
        let took = status["store"]["milliseconds"].as_u64();
        return Line::from(format!("OK: the store answers in {} ms", took.unwrap_or(0))).style(Color::Green);
    }
    Line::from(problems.join("; ")).style(WARNING)
}

fn trouble(state: &State) -> Line<'_> {
    let trouble = state.trouble.as_deref().map(|trouble| format!("no answer, retrying every second: {trouble}"));
    Line::from(trouble.unwrap_or_default()).style(WARNING)
}

/// What an operator has to fix.
fn problems(status: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    if status["store"]["reachable"] == false {
        problems.push("the store is unreachable".to_owned());
    }
    let drops = number(&status["counters"]["kernel_drops"]);
    if drops > 0 {
        problems.push(format!("the kernel dropped {} datagrams: increase server.receiveBuffer", grouped(drops)));
    }
    let spool = &status["gauges"]["spool_bytes"];
    if let (Some(waiting), Some(limit)) = (spool["value"].as_f64(), spool["limit"].as_f64())
        && waiting > limit / 2.0
    {
        problems.push("the spool is more than half full".to_owned());
    }
    let ledgers = status["ledgers"].as_array().into_iter().flatten();
    if ledgers.filter(|ledger| ledger["difference"].as_i64().unwrap_or(0) != 0).count() > 0 {
        problems.push("ledgers do not balance: run netflow selfcheck".to_owned());
    }
    problems
}

fn list(frame: &mut Frame<'_>, area: Rect, state: &State, answers: &Answers) {
    let unknown = answers.unknown.as_array().map(Vec::as_slice).unwrap_or_default();
    let unknown_height = if unknown.is_empty() { 0 } else { unknown.len().min(4) as u16 + 1 };
    let parts = [Constraint::Min(3), Constraint::Length(unknown_height), Constraint::Length(3)];
    let [exporters, unregistered, details] = Layout::vertical(parts).areas(area);
    self::exporters(frame, exporters, state, answers);
    if unknown_height > 0 {
        let heading = count_of(unknown.len() as u64, "unregistered router");
        let mut lines = vec![Line::from(heading).style(HEADING)];
        lines.extend(unknown.iter().take(4).map(|unknown| {
            let (address, protocol) = (text(&unknown["address"]), sent_by_unknown(unknown));
            let datagrams = grouped(number(&unknown["datagrams"]));
            Line::from(format!("{address:<39} {protocol:<11} {datagrams:>12} datagrams"))
        }));
        frame.render_widget(Paragraph::new(lines), unregistered);
    }
    frame.render_widget(Paragraph::new(losses(&answers.exporter)), details);
}

fn exporters(frame: &mut Frame<'_>, area: Rect, state: &State, answers: &Answers) {
    let rows = state.rows();
    let position = rows.iter().position(|row| Some(row.address) == state.selected);
    let right = |text: String| Cell::from(Line::from(text).right_aligned());
    let shown = rows.iter().map(|row| {
        Row::new([
            Cell::from(row.address.to_string()),
            Cell::from(row.protocols.clone()),
            right(format!("{:.1}", row.datagram_rate)),
            right(format!("{:.1}", row.flow_rate)),
            right(grouped(row.lost)).style(if row.lost > 0 { Color::Red } else { Color::Reset }),
            right(grouped(row.unmatched)).style(if row.unmatched > 0 { Color::Yellow } else { Color::Reset }),
            right(grouped(row.waiting)).style(if row.waiting > 0 { Color::Yellow } else { Color::Reset }),
            right(ago(&row.last, answers.at, &state.zone)),
        ])
    });
    let columns = [
        Sort::Address.name(),
        "protocols",
        Sort::DatagramRate.name(),
        Sort::FlowRate.name(),
        Sort::Lost.name(),
        Sort::Unmatched.name(),
        Sort::Waiting.name(),
        "last",
    ];
    let heading = columns.iter().enumerate().map(|(index, name)| {
        let style = if *name == state.sort.name() { HEADING.add_modifier(Modifier::UNDERLINED) } else { HEADING };
        let line = Line::from(Span::from(*name).style(style));
        Cell::from(if index < 2 { line } else { line.right_aligned() })
    });
    let widths = [
        Constraint::Min(15),
        Constraint::Length(10),
        Constraint::Length(8),
        Constraint::Length(9),
        Constraint::Length(8),
        Constraint::Length(9),
        Constraint::Length(7),
        Constraint::Length(5),
    ];
    let table = Table::new(shown, widths).header(Row::new(heading)).row_highlight_style(SELECTED).column_spacing(1);
    frame.render_stateful_widget(table, area, &mut TableState::new().with_selected(position));
    if rows.is_empty() && area.height > 1 {
        let text = if state.filter.is_empty() {
            "no registered router has sent anything yet"
        } else {
            "no router matches the filter"
        };
        frame.render_widget(Paragraph::new(text).style(FAINT), Rect { y: area.y + 1, height: 1, ..area });
    }
}

/// Losses of an exporter according to sequence numbers, and its decoder state.
fn losses(exporter: &Value) -> Vec<Line<'static>> {
    let Some(address) = exporter["address"].as_str() else { return Vec::new() };
    let streams = exporter["streams"].as_array().map(Vec::as_slice).unwrap_or_default();
    let all = |what: &str| arrivals(exporter, what);
    let lost = all("lost");
    let style = if lost > 0 { WARNING } else { Style::new() };
    let templates = exporter["templates"].as_array().map_or(0, Vec::len) as u64;
    let first = Line::from(vec![
        Span::from(format!("{address}  ")).style(HEADING),
        Span::from(format!("lost {}", grouped(lost))).style(style),
        Span::from(format!("  duplicates {}  late {}", grouped(all("duplicates")), grouped(all("late")))),
        Span::from(format!("  restarts {}", grouped(all("restarts")))),
    ]);
    let waiting = number(&exporter["pendingSets"]);
    let rest = [
        count_of(streams.len() as u64, "stream"),
        count_of(templates, "template"),
        count_of(waiting, "data set") + " waiting for templates",
    ];
    vec![Line::default(), first, Line::from(rest.join("  "))]
}

fn sender(frame: &mut Frame<'_>, area: Rect, answers: &Answers) {
    let Some(traffic) = &answers.question.traffic else { return };
    let address = text(&answers.sender["ip"]);
    let Some(prefix) = answers.prefix() else {
        let text = format!("{address} has no prefixes: netflow senders add {address} PREFIX");
        frame.render_widget(Paragraph::new(text), area);
        return;
    };
    let parts = [Constraint::Length(4), Constraint::Min(0), Constraint::Length(3)];
    let [chart, top, details] = Layout::vertical(parts).areas(area);
    let position = traffic.prefix.checked_rem(answers.prefixes()).unwrap_or(0) + 1;
    let mut lines = vec![Line::from(vec![
        Span::from(format!("{address}  ")).style(HEADING),
        Span::from(prefix).bold(),
        Span::from(format!("  (prefix {position} of {}), bytes per minute, last hour", answers.prefixes()))
            .style(FAINT),
    ])];
    lines.extend(["in", "out"].map(|direction| line_of(&answers.series, direction)));
    frame.render_widget(Paragraph::new(lines), chart);
    frame.render_widget(largest(answers, traffic.field, traffic.direction), top);
    frame.render_widget(Paragraph::new(losses(&answers.exporter)), details);
}

/// The bytes of a direction over time.
fn line_of(series: &Value, direction: &str) -> Line<'static> {
    let points = series["points"].as_array().map(Vec::as_slice).unwrap_or_default();
    let bytes: Vec<_> = points.iter().map(|point| point["counters"][direction]["bytes"].as_u64()).collect();
    let peak = bytes.iter().flatten().copied().max().unwrap_or(0);
    Line::from(vec![
        Span::from(format!("{direction:<4}")),
        Span::from(sparkline(&bytes)).style(Style::new().fg(Color::Green)),
        Span::from(format!(" peak {}", scaled(peak, "B"))).style(FAINT),
    ])
}

fn largest<'t>(answers: &Answers, field: &'t str, direction: &'t str) -> Table<'t> {
    let right = |text: String| Cell::from(Line::from(text).right_aligned());
    let counters = |name: String, of: &Value| {
        Row::new([
            Cell::from(name),
            right(amount(number(&of["bytes"]), Unit { factor: 8, divisor: TOP.as_secs(), ..Unit::whole("bit/s") })),
            right(scaled(number(&of["bytes"]), "B")),
            right(grouped(number(&of["pkts"]))),
            right(grouped(number(&of["flows"]))),
        ])
    };
    let rows = answers.top["rows"].as_array().into_iter().flatten();
    let mut rows: Vec<_> = rows.map(|row| counters(named(row), row)).collect();
    rows.insert(0, counters("all".to_owned(), &answers.top["total"]).bold());
    let minutes = TOP.as_secs() / 60;
    let title = format!("{field}, {direction}, {minutes} minutes");
    let heading =
        [Cell::from(title), right("rate".into()), right("bytes".into()), right("pkts".into()), right("flows".into())];
    let widths = [
        Constraint::Min(30),
        Constraint::Length(11),
        Constraint::Length(9),
        Constraint::Length(13),
        Constraint::Length(11),
    ];
    Table::new(rows, widths).header(Row::new(heading).style(HEADING))
}

fn foot(state: &State) -> Line<'_> {
    if state.typing {
        return Line::from(vec![Span::from("filter: ").style(HEADING), Span::from(format!("{}_", state.filter))]);
    }
    let keys = if state.opened.is_some() { KEYS_OF_SENDER } else { KEYS_OF_LIST };
    let mut line = Line::from(keys).style(FAINT);
    if !state.filter.is_empty() && state.opened.is_none() {
        line.push_span(Span::from(format!("  filter: {}", state.filter)).style(HEADING));
    }
    line
}

/// The time of day in a zone, with its offset.
fn clock(zone: &Zone, at: Timestamp) -> String {
    let text = zone.display_second(at);
    let (time, offset) = (text.get(11..19).unwrap_or_default(), text.get(19..).unwrap_or_default());
    format!("{time} {}", if offset == "Z" { "UTC" } else { offset })
}

/// How long ago a time of RFC 3339 was when it is of today in a zone; else its date there.
fn ago(time: &str, now: Timestamp, zone: &Zone) -> String {
    let Ok(time) = zone.time(time, now) else { return "-".to_owned() };
    let [date, today] = [time, now].map(|time| zone.display_second(time));
    if date.get(..10) != today.get(..10) {
        return date.get(5..10).unwrap_or("-").to_owned();
    }
    duration(now.seconds().saturating_sub(time.seconds()))
}
