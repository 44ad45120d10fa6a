//! What a line of the cookbook must answer, from all flows; and what it answers.

use std::collections::BTreeMap;

use serde_json::Value;

use super::sent::Flow;

/// Groups with their octets, packets and flows.
pub(super) type Sums = Vec<(String, [u64; 3])>;

/// A part of a line, how many groups it shows, and the group of a flow, if it is asked for.
type Question = (&'static str, usize, fn(&Flow) -> Option<String>);

const QUESTIONS: [Question; 17] = [
    ("--field srcip --from 'yesterday 14:00'", 5, |flow| incoming(flow).then(|| format!("srcip:{}", flow.source))),
    ("-s srcip/bytes -n 5 'dst net", 5, |flow| incoming(flow).then(|| flow.source.clone())),
    ("--by srcip,dstip -n 5 'inif 5", 5, |flow| (incoming(flow) && flow.input == 5).then(|| pair(flow))),
    ("-A srcip,dstip -O bytes -n 5 'in if 5", 5, |flow| (incoming(flow) && flow.input == 5).then(|| pair(flow))),
    ("-s as/bytes", 5, |flow| flow.is_of_yesterday.then(|| remote_as(flow).to_string())),
    ("--field remoteas", 5, |flow| flow.is_of_yesterday.then(|| format!("remoteas:{}", remote_as(flow)))),
    ("--step minute", 60, |flow| incoming(flow).then(|| flow.minute.to_string())),
    ("--by dstip,dstport,proto -n 3", 3, |flow| (flow.is_of_yesterday && !flow.is_generated).then(|| service(flow))),
    ("-A dstip,dstport,proto -O bytes -n 3", 3, |flow| flow.is_of_yesterday.then(|| service(flow))),
    ("--by srcip --distinct dstip", 5, |flow| {
        (flow.is_of_yesterday && flow.destination_port == 445).then(|| flow.source.clone())
    }),
    ("-s srcip/bytes -n 5 'dst port 445'", 5, |flow| {
        (flow.is_of_yesterday && flow.destination_port == 445).then(|| flow.source.clone())
    }),
    ("--step day --direction in --from -8d", 60, |flow| {
        is_own(&flow.destination).then(|| (flow.minute / 1440 * 1440).to_string())
    }),
    ("--field dstip -n 3", 3, |flow| {
        (!flow.is_of_yesterday && is_own(&flow.destination)).then(|| format!("dstip:{}", flow.destination))
    }),
    ("--by srcip,dstip -n 5 'host 192.0.2.77'", 5, |flow| {
        (flow.is_of_yesterday && is_of_host(flow)).then(|| pair(flow))
    }),
    ("-A srcip,dstip -O bytes -n 5 'host 192.0.2.77'", 5, |flow| {
        (flow.is_of_yesterday && is_of_host(flow)).then(|| pair(flow))
    }),
    ("top tag:edge", 5, |flow| (incoming(flow) && is_edge(flow)).then(|| format!("dstip:{}", flow.destination))),
    ("router ip", 5, |flow| (incoming(flow) && is_edge(flow)).then(|| flow.destination.clone())),
];

fn is_own(address: &str) -> bool {
    address.starts_with("192.0.2.")
}

fn incoming(flow: &Flow) -> bool {
    flow.is_of_yesterday && is_own(&flow.destination)
}

fn is_edge(flow: &Flow) -> bool {
    flow.router != "127.0.0.3"
}

fn is_of_host(flow: &Flow) -> bool {
    flow.source == "192.0.2.77" || flow.destination == "192.0.2.77"
}

fn pair(flow: &Flow) -> String {
    format!("{},{}", flow.source, flow.destination)
}

fn service(flow: &Flow) -> String {
    format!("{},{},{}", flow.protocol, flow.destination_port, flow.destination)
}

fn remote_as(flow: &Flow) -> u32 {
    if is_own(&flow.destination) { flow.source_as } else { flow.destination_as }
}

/// The groups that a line must show, the largest first; none if it is not compared here.
pub(super) fn expected(line: &str, flows: &[Flow]) -> Option<Sums> {
    let (_, number, group) = QUESTIONS.iter().find(|(part, ..)| line.contains(part))?;
    let mut sums = BTreeMap::<String, [u64; 3]>::new();
    for flow in flows {
        let Some(group) = group(flow) else { continue };
        let sum = sums.entry(group).or_default();
        *sum = [sum[0] + flow.octets, sum[1] + flow.packets, sum[2] + 1];
    }
    let mut sums: Sums = sums.into_iter().collect();
    sums.sort_by_key(|(_, [octets, ..])| std::cmp::Reverse(*octets));
    sums.truncate(*number);
    Some(sums)
}

/// What the line answers as JSON.
pub(super) fn of_netflow(line: &str, shell: impl Fn(&str) -> String) -> Sums {
    let line = match line.split_once(" flows ") {
        Some((netflow, rest)) => format!("{netflow} flows -o json {rest}"),
        None => format!("{line} --json"),
    };
    let answer: Value = serde_json::from_str(&shell(&line)).unwrap();
    let mut rows: Sums = match (answer["points"].as_array(), answer["rows"].as_array()) {
        (Some(points), None) => points.iter().filter(|point| !point["counters"].is_null()).map(point).collect(),
        (Some(points), Some(names)) => {
            let [point] = points.as_slice() else { panic!("{answer}") };
            let name = |(index, name): (usize, &Value)| {
                let [one, other] =
                    ["in", "out"].map(|direction| counters(&point["counters"][direction]["rows"][index]));
                (text(&name["name"]), [one[0] + other[0], one[1] + other[1], one[2] + other[2]])
            };
            names.iter().enumerate().map(name).collect()
        }
        (None, rows) => rows.unwrap().iter().map(row).collect(),
    };
    rows.sort_by_key(|(_, [octets, ..])| std::cmp::Reverse(*octets));
    rows
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn counters(of: &Value) -> [u64; 3] {
    let packets = if of["pkts"].is_null() { &of["packets"] } else { &of["pkts"] };
    [of["bytes"].as_u64().unwrap(), packets.as_u64().unwrap(), of["flows"].as_u64().unwrap()]
}

fn row(row: &Value) -> (String, [u64; 3]) {
    let key = row["key"].as_object().map(|key| {
        // Columns from the last name to the first: proto, dstport, dstip; srcip, dstip.
        let key: BTreeMap<_, _> = key.iter().map(|(column, value)| (std::cmp::Reverse(column), text(value))).collect();
        key.into_values().collect::<Vec<_>>().join(",")
    });
    (key.unwrap_or_else(|| text(&row["name"])), counters(row))
}

fn point(point: &Value) -> (String, [u64; 3]) {
    let start: jiff::Timestamp = point["start"].as_str().unwrap().parse().unwrap();
    ((start.as_second() / 60).to_string(), counters(&point["counters"]["in"]))
}

/// The octets of each group that nfdump answers, the largest first.
pub(super) fn of_nfdump(line: &str, shell: impl Fn(&str) -> String) -> Vec<u64> {
    let number = |word: &str| word.parse::<u64>().unwrap_or_else(|error| panic!("{error}: {word}"));
    if line.contains(" -A ") {
        // ... bytes bps bpp flows
        let text = shell(&format!("{line} -N -q"));
        return text.lines().map(|line| number(line.split_whitespace().nth_back(3).unwrap())).collect();
    }
    // ts,te,td,pr,val,fl,flP,pkt,pktP,byt, ...
    let text = shell(&format!("{line} -o csv"));
    let octets = text.lines().filter(|line| line.starts_with("20")).map(|line| number(line.split(',').nth(9).unwrap()));
    // The first AS of both ends is the own one.
    octets.skip(usize::from(line.contains("as/bytes"))).collect()
}
