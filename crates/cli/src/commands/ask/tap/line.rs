//! Formats a flow as a line. Columns grow with the widest value so far, so that they stay aligned.

use std::net::{IpAddr, SocketAddr};

use serde_json::Value;

use super::super::{number, protocol_name, tcp_flags, text};
use crate::table::{grouped, scaled};

/// The layout of lines.
pub(super) struct Layout {
    colored: bool,
    /// Of each column, in characters.
    widths: [usize; COLUMNS.len()],
}

/// A column: its heading, alignment, initial width, and color (ECMA-48).
struct Column {
    heading: &'static str,
    right: bool,
    width: usize,
    color: &'static str,
}

const fn column(heading: &'static str, right: bool, width: usize, color: &'static str) -> Column {
    Column { heading, right, width, color }
}

const DIM: &str = "2";
const CYAN: &str = "36";
const PLAIN: &str = "";

const COLUMNS: [Column; 10] = [
    column("time", false, 12, DIM),
    column("router", false, 13, CYAN),
    column("proto", false, 5, "33"),
    column("source", true, 21, PLAIN),
    column("", false, 1, DIM),
    column("destination", false, 21, PLAIN),
    column("packets", true, 7, PLAIN),
    column("bytes", true, 7, "1"),
    column("flags", false, 8, "32"),
    column("as, interfaces, sampling", false, 0, DIM),
];

impl Layout {
    pub(super) fn new(colored: bool) -> Self {
        Self { colored, widths: COLUMNS.map(|column| column.width) }
    }

    /// The heading.
    pub(super) fn heading(&self) -> String {
        self.row(&COLUMNS.map(|column| column.heading.to_owned()), false)
    }

    /// A flow: two lines when the record has both directions. A report of dropped flows is a line of its own.
    pub(super) fn lines(&mut self, line: &Value) -> String {
        if let Some(dropped) = line["dropped"].as_u64() {
            return format!("-- {} flows dropped so far --\n", grouped(dropped));
        }
        let flow = &line["flow"];
        let mut lines = self.line(cells(line, flow, ">"));
        if !flow["reverse"].is_null() {
            lines.push_str(&self.line(cells(line, &flow["reverse"], "<")));
        }
        lines
    }

    fn line(&mut self, cells: [String; COLUMNS.len()]) -> String {
        for (width, cell) in self.widths.iter_mut().zip(&cells) {
            *width = (*width).max(cell.chars().count());
        }
        self.row(&cells, self.colored) + "\n"
    }

    fn row(&self, cells: &[String; COLUMNS.len()], colored: bool) -> String {
        let mut row = String::new();
        for ((cell, column), width) in cells.iter().zip(&COLUMNS).zip(self.widths) {
            let space = " ".repeat(width.saturating_sub(cell.chars().count()));
            let cell = match colored && !column.color.is_empty() && !cell.is_empty() {
                true => format!("\x1b[{}m{cell}\x1b[0m", column.color),
                false => cell.clone(),
            };
            row.push_str(&if column.right { format!("{space}{cell} ") } else { format!("{cell}{space} ") });
        }
        row.trim_end().to_owned()
    }
}

/// The cells of one direction.
fn cells(line: &Value, amounts: &Value, arrow: &str) -> [String; COLUMNS.len()] {
    let flow = &line["flow"];
    let protocol = number(&flow["protocol"]);
    let end = |address: &str, port: &str| endpoint(&text(&flow[address]), number(&flow[port]), protocol);
    [
        time(&text(&line["received"])),
        text(&line["exporter"]),
        protocol_name(protocol),
        end("source", "sourcePort"),
        arrow.to_owned(),
        end("destination", "destinationPort"),
        grouped(number(&amounts["packets"])),
        scaled(number(&amounts["bytes"]), "B"),
        line["tcpFlags"].as_u64().filter(|_| protocol == TCP).map_or_else(String::new, tcp_flags),
        rest(line, flow),
    ]
}

const TCP: u64 = 6;

/// `12:34:56.789` of a time of RFC 3339.
fn time(received: &str) -> String {
    const SECONDS: usize = "12:34:56".len();
    let clock = received.split_once('T').map_or(received, |(_, clock)| clock);
    let (seconds, rest) = clock.split_at_checked(SECONDS).unwrap_or((clock, ""));
    let fraction = rest.strip_prefix('.').unwrap_or_default().chars().take_while(char::is_ascii_digit);
    let milliseconds: String = fraction.chain("000".chars()).take(3).collect();
    format!("{seconds}.{milliseconds}")
}

/// An address, with its port where the protocol has ports.
fn endpoint(address: &str, port: u64, protocol: u64) -> String {
    let has_ports = matches!(protocol, TCP | 17 | 33 | 132 | 136);
    match (address.parse::<IpAddr>(), u16::try_from(port)) {
        (Ok(address), Ok(port)) if has_ports => SocketAddr::new(address, port).to_string(),
        _ => address.to_owned(),
    }
}

/// Type and code of ICMP, AS numbers, countries, interfaces and sampling rate, where the record has them.
fn rest(line: &Value, flow: &Value) -> String {
    let mut parts = Vec::new();
    if let (Some(kind), Some(code)) = (flow["icmpType"].as_u64(), flow["icmpCode"].as_u64()) {
        parts.push(format!("type {kind} code {code}"));
    }
    let [from, to] = ["sourceAs", "destinationAs"].map(|key| number(&flow[key]));
    if from != 0 || to != 0 {
        let named = |asn: u64, key: &str| match line["names"][key].as_str() {
            Some(name) => format!("{asn} ({name})"),
            None => asn.to_string(),
        };
        parts.push(format!("as {}>{}", named(from, "sourceAs"), named(to, "destinationAs")));
    }
    let [from, to] = ["sourceCountry", "destinationCountry"].map(|key| flow[key].as_str());
    if from.is_some() || to.is_some() {
        parts.push(format!("country {}>{}", from.unwrap_or("-"), to.unwrap_or("-")));
    }
    let [input, output] = ["input", "output"].map(|key| line[key].as_u64());
    if input.is_some() || output.is_some() {
        let shown = |index: Option<u64>| index.map_or_else(|| "-".to_owned(), |index| index.to_string());
        parts.push(format!("if {}>{}", shown(input), shown(output)));
    }
    let rate = number(&flow["sampling"]["rate"]);
    if rate > 1 {
        parts.push(format!("1:{rate}"));
    }
    parts.join(" ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn flow() -> Value {
        json!({
            "received": "2026-11-25T12:34:56.7Z", "exporter": "192.0.2.1", "protocol": "ipfix",
            "flow": {
                "source": "198.51.100.7", "destination": "192.0.2.1", "protocol": 6, "sourcePort": 50_000,
                "destinationPort": 443, "sourceAs": 64_500, "destinationAs": 0, "bytes": 1_234_567, "packets": 1234,
                "flows": 1, "sampling": {"rate": 1000, "source": "options"},
            },
            "tcpFlags": 0x1b, "input": 3, "output": 4,
        })
    }

    #[test]
    fn a_line_shows_endpoints_counters_and_interfaces() {
        let mut layout = Layout::new(false);
        assert_eq!(
            layout.heading(),
            "time         router        proto                source   destination           packets   bytes flags    as, \
             interfaces, sampling"
        );
        assert_eq!(
            layout.lines(&flow()),
            "12:34:56.700 192.0.2.1     tcp      198.51.100.7:50000 > 192.0.2.1:443           1,234 1.23 MB ...AP.SF as \
             64500>0 if 3>4 1:1000\n"
        );
        let mut named = flow();
        named["names"] = json!({"sourceAs": "Example Ltd"});
        assert!(layout.lines(&named).ends_with(" as 64500 (Example Ltd)>0 if 3>4 1:1000\n"));
        named["flow"]["destinationCountry"] = json!("CH");
        assert!(layout.lines(&named).ends_with(" as 64500 (Example Ltd)>0 country ->CH if 3>4 1:1000\n"));
        assert_eq!(layout.lines(&json!({"dropped": 1234})), "-- 1,234 flows dropped so far --\n");
    }

    #[test]
    fn columns_grow_and_stay_aligned() {
        let (mut layout, mut wide) = (Layout::new(false), flow());
        wide["flow"]["source"] = json!("2001:db8:1111:2222:3333:4444:5555:6666");
        wide["flow"]["reverse"] = json!({"bytes": 40, "packets": 1, "flows": 1});
        let lines = layout.lines(&wide);
        let columns: Vec<_> = lines.lines().map(|line| line.find(['<', '>']).unwrap()).collect();
        assert_eq!(columns[0], columns[1]);
        assert_eq!(layout.lines(&flow()).find('>').unwrap(), columns[0]);
        assert!(lines.lines().nth(1).unwrap().contains("]:50000 < 192.0.2.1:443"), "{lines}");
    }

    #[test]
    fn protocols_without_ports_show_none_and_colors_change_nothing_but_color() {
        let mut icmp = flow();
        icmp["flow"]["protocol"] = json!(1);
        (icmp["flow"]["icmpType"], icmp["flow"]["icmpCode"]) = (json!(3), json!(13));
        let plain = Layout::new(false).lines(&icmp);
        assert!(plain.contains("icmp") && !plain.contains(":443") && !plain.contains("AP.SF"), "{plain}");
        assert!(plain.contains(" type 3 code 13 as 64500>0 "), "{plain}");
        let colored = Layout::new(true).lines(&icmp);
        let bare: String = colored.split("\x1b[").skip(1).map(|part| part.split_once('m').unwrap().1).collect();
        assert_eq!(bare.trim_end(), plain.trim_end());
        assert_ne!(colored, plain);
    }
}
