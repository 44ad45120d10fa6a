//! From options to the words of a question, in which the REST interface and the files are asked alike. Options of nfdump are
//! accepted where they mean the same; others of it get an error that proposes what does.

use anyhow::{anyhow, bail};

use super::{Arguments, Format};
use super::{ipfix, window};

/// A question: its kind, and its words.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) kind: Kind,
    pub(super) words: Vec<(&'static str, String)>,
    pub(super) has_names: bool,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Flows.
    Rows,
    /// Groups of flows.
    Top,
    /// Groups in steps of time.
    Series,
}

impl Kind {
    /// The path of the REST interface.
    pub(super) const fn path(self) -> &'static str {
        match self {
            Self::Rows => "/flows",
            Self::Top => "/flows/top",
            Self::Series => "/flows/series",
        }
    }
}

/// Options of nfdump.
#[derive(clap::Args, Debug, Default)]
#[command(next_help_heading = "As in nfdump")]
pub(super) struct Habits {
    /// The largest values of a column: COLUMN[/flows|/packets|/bytes], or record for the ends of flows
    #[arg(short = 's', value_name = "STATISTIC", conflicts_with_all = ["by", "sum", "aggregate"])]
    statistic: Option<String>,
    /// Group by these columns
    #[arg(short = 'A', value_name = "COLUMNS", conflicts_with = "by")]
    aggregate: Option<String>,
    /// Received in this window: 2026/11/28.14:00:00-2026/11/28.15:00:00, or 2026/11/28
    #[arg(short = 't', value_name = "WINDOW")]
    window: Option<String>,
    /// Number of flows
    #[arg(short = 'c', value_name = "N", conflicts_with = "number")]
    count: Option<String>,
    #[arg(short = 'r', short_aliases = ['R', 'M'], hide = true, num_args = 0..=1)]
    files: Option<Option<String>>,
    #[arg(short = 'O', hide = true, num_args = 0..=1)]
    sort: Option<Option<String>>,
    #[arg(short = 'a', short_aliases = ['b', 'B'], hide = true)]
    merge: bool,
    #[arg(short = 'f', hide = true, num_args = 0..=1)]
    filter_file: Option<Option<String>>,
    #[arg(short = 'l', short_aliases = ['L'], hide = true, num_args = 0..=1)]
    limit: Option<Option<String>>,
    #[arg(short = 'w', hide = true, num_args = 0..=1)]
    write: Option<Option<String>>,
    #[arg(short = 'q', short_aliases = ['N', '6', 'I', 'z'], hide = true)]
    plain: bool,
}

/// The columns of flows in a table, which has little room. Those without values are left out.
const IN_A_TABLE: &str =
    "received,exporter,proto,srcip,srcport,dstip,dstport,tcpflags,packets,bytes,revpackets,revbytes,inif,outif";
/// The ends of a flow, which nfdump calls a record.
const RECORD: &str = "proto,srcip,srcport,dstip,dstport";
/// The groups of a statistic of nfdump.
const STATISTIC: &str = "10";
/// Columns that have another name in nfdump.
const NAMES: [(&str, &str); 6] = [
    ("router", "exporter"),
    ("ra", "exporter"),
    ("next", "nexthop"),
    ("nhip", "nexthop"),
    ("bgpnext", "bgpnexthop"),
    ("nhbip", "bgpnexthop"),
];
/// Statistics of both ends.
const EITHER_END: [&str; 7] = ["ip", "port", "as", "if", "net", "vlan", "mac"];

/// The question of a command line.
pub(super) fn read(arguments: &Arguments) -> anyhow::Result<Asked> {
    let habits = &arguments.habits;
    habits.refuse_others()?;
    let mut by = arguments.by.clone();
    let (mut sum, mut number) = (arguments.sum.clone(), arguments.number.clone());
    if let Some(statistic) = &habits.statistic {
        let (columns, order) = read_statistic(statistic)?;
        (by, sum) = (Some(columns), Some(order));
        number = number.or_else(|| Some(STATISTIC.to_owned()));
    }
    if let Some(columns) = &habits.aggregate {
        by = Some(renamed(columns));
    }
    let kind = match (&arguments.every, &by) {
        (Some(_), _) => Kind::Series,
        (None, Some(_)) => Kind::Top,
        (None, None) if sum.is_some() || arguments.distinct.is_some() => {
            bail!("--sum and --distinct are of groups: add --by, such as --by srcip")
        }
        (None, None) => Kind::Rows,
    };
    if kind != Kind::Rows {
        for (option, is_given) in [
            ("-c", habits.count.is_some()),
            ("--order", arguments.order.is_some()),
            ("--columns", arguments.columns.is_some()),
            ("--cursor", arguments.cursor.is_some()),
        ] {
            if is_given {
                bail!("{option} is of single flows, which --by and --every group: -n limits the groups");
            }
        }
    }
    let columns = match (arguments.format(), &arguments.columns) {
        (Format::Ipfix, _) if kind != Kind::Rows => {
            bail!("-o ipfix is of single flows, which --by and --every group: use -o parquet, csv or json")
        }
        (Format::Ipfix, columns) => Some(ipfix::columns(columns.as_deref())?),
        (Format::Table, None) if kind == Kind::Rows => Some(IN_A_TABLE.to_owned()),
        (_, columns) => columns.clone(),
    };
    let window = habits.window.as_deref().map(window::read).transpose()?;
    let (from, to) = window.unwrap_or_else(|| (arguments.from.clone(), arguments.to.clone()));
    let filter = Some(arguments.filter.join(" ")).filter(|filter| !filter.is_empty());
    let exporter = Some(arguments.exporter.join(",")).filter(|exporter| !exporter.is_empty());
    // People read tables.
    let has_names = arguments.names || arguments.format() == Format::Table;
    let words = [
        ("filter", filter),
        ("exporter", exporter),
        ("from", from),
        ("to", to),
        ("last", arguments.last.clone()),
        ("tz", arguments.zone.tz.clone()),
        ("counters", arguments.sent.then(|| "sent".to_owned())),
        ("by", by),
        ("sum", sum),
        ("distinct", arguments.distinct.clone()),
        ("every", arguments.every.clone()),
        ("n", number.or_else(|| habits.count.clone())),
        ("order", arguments.order.clone()),
        ("columns", columns),
        ("cursor", arguments.cursor.clone()),
        ("names", has_names.then(|| "1".to_owned())),
    ];
    let words = words.into_iter().filter_map(|(name, text)| Some((name, text?))).collect();
    Ok(Asked { kind, words, has_names })
}

/// The columns and the order of `srcip/bytes`, `dstport:p/flows` or `record`.
fn read_statistic(text: &str) -> anyhow::Result<(String, String)> {
    let (columns, order) = text.split_once('/').unwrap_or((text, "flows"));
    if !["flows", "packets", "bytes"].contains(&order) {
        bail!("-s {text}: groups are sorted by flows, packets or bytes, such as -s {columns}/bytes");
    }
    let (column, is_by_protocol) = columns.strip_suffix(":p").map_or((columns, false), |column| (column, true));
    if EITHER_END.contains(&column) {
        bail!("-s {text}: each end is a column of its own: write -s src{column}/{order} or -s dst{column}/{order}");
    }
    let columns = if column == "record" { RECORD.to_owned() } else { renamed(column) };
    Ok((if is_by_protocol { format!("proto,{columns}") } else { columns }, order.to_owned()))
}

fn renamed(columns: &str) -> String {
    let name = |column: &str| {
        let found = NAMES.iter().find(|(name, _)| *name == column);
        found.map_or_else(|| column.to_owned(), |(_, name)| (*name).to_owned())
    };
    columns.split(',').map(name).collect::<Vec<_>>().join(",")
}

impl Habits {
    fn refuse_others(&self) -> anyhow::Result<()> {
        let Self { files, sort, merge, filter_file, limit, write, plain, .. } = self;
        let refused = [
            (files.is_some(), "-r, -R and -M: the archive is read as a whole: --folder DIR, or ask the collector"),
            (
                sort.is_some(),
                "-O: use --sum bytes, packets or flows for groups, and --order oldest or newest for flows",
            ),
            (*merge, "-a, -b and -B: group with --by proto,srcip,srcport,dstip,dstport"),
            (filter_file.is_some(), "-f: pass the filter itself, such as \"$(cat filter.txt)\""),
            (limit.is_some(), "-l and -L: use a filter, such as 'packets > 100' or 'bytes > 1m'"),
            (
                write.is_some(),
                "-w: use -o parquet > flows.parquet or -o ipfix > flows.ipfix, or `netflow archive export` for all flows",
            ),
            (*plain, "-q, -N, -6, -I and -z: -o csv and -o json have plain numbers and whole addresses"),
        ];
        let refused = refused.iter().find_map(|(is_given, advice)| is_given.then_some(*advice));
        refused.map_or(Ok(()), |advice| Err(anyhow!("{advice}")))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    /// The words as a query string.
    fn words(line: &str) -> String {
        let line = Line::try_parse_from(["flows"].into_iter().chain(line.split_whitespace()))
            .map_err(|error| error.to_string());
        let asked = line.and_then(|line| read(&line.arguments).map_err(|error| error.to_string()));
        match asked {
            Ok(Asked { kind, words, .. }) => {
                let words = words.iter().map(|(name, text)| format!("{name}={text}"));
                format!("{} {}", kind.path(), words.collect::<Vec<_>>().join("&"))
            }
            Err(error) => error,
        }
    }

    #[test]
    fn options_become_words() {
        for (line, expected) in [
            ("-o json", "/flows "),
            ("", &format!("/flows columns={IN_A_TABLE}&names=1")),
            ("-o csv --last 1h src net 10.0.0.0/8 and tcp", "/flows filter=src net 10.0.0.0/8 and tcp&last=1h"),
            ("-o ipfix --sent", "/flows counters=sent&columns=all"),
            ("-o ipfix --columns srcip,kind", "/flows columns=srcip,kind,received,exported"),
            ("-n 5 --order oldest --columns all", "/flows n=5&order=oldest&columns=all&names=1"),
            (
                "--by srcip,dstport --sum packets --sent",
                "/flows/top counters=sent&by=srcip,dstport&sum=packets&names=1",
            ),
            ("-o csv --names --by proto", "/flows/top by=proto&names=1"),
            ("--every 5m", "/flows/series every=5m&names=1"),
            (
                "--every 5m --by proto --exporter 192.0.2.1,192.0.2.2",
                "/flows/series exporter=192.0.2.1,192.0.2.2&by=proto&every=5m&names=1",
            ),
        ] {
            assert_eq!(words(line), expected, "{line}");
        }
    }

    #[test]
    fn options_of_nfdump_mean_the_same() {
        for (line, expected) in [
            ("-s srcip/bytes", "/flows/top by=srcip&sum=bytes&n=10&names=1"),
            ("-s dstport", "/flows/top by=dstport&sum=flows&n=10&names=1"),
            ("-s dstport:p/packets -n 3", "/flows/top by=proto,dstport&sum=packets&n=3&names=1"),
            ("-s record/bytes", "/flows/top by=proto,srcip,srcport,dstip,dstport&sum=bytes&n=10&names=1"),
            ("-A router,srcip,next", "/flows/top by=exporter,srcip,nexthop&names=1"),
            ("-c 100 -o csv port 53", "/flows filter=port 53&n=100"),
            (
                "-o csv -t 2026/11/28.14:00:00-2026/11/28.15:00:00",
                "/flows from=2026-11-28T14:00:00&to=2026-11-28T15:00:00",
            ),
            ("-t 2026/11/28 -A srcip", "/flows/top from=2026-11-28T00:00:00&to=2026-11-29T00:00:00&by=srcip&names=1"),
        ] {
            assert_eq!(words(line), expected, "{line}");
        }
    }

    #[test]
    fn other_options_of_nfdump_get_a_proposal() {
        for (line, proposal) in [
            ("-s ip/bytes", "-s srcip/bytes"),
            ("-s srcip/bps", "-s srcip/bytes"),
            ("-r nfcapd.202611281400", "--folder DIR"),
            ("-R /var/flows", "--folder DIR"),
            ("-M /var/flows", "--folder DIR"),
            ("-O bytes", "--sum bytes"),
            ("-a", "--by proto"),
            ("-f filter.txt", "pass the filter itself"),
            ("-l 100", "packets > 100"),
            ("-w out", "netflow archive export"),
            ("-N", "-o csv"),
            ("-t yesterday", "2026/11/28.14:00:00"),
            ("-t +10", "--last"),
            ("-c 5 --by srcip", "-n limits the groups"),
            ("-A srcip -o ipfix", "-o ipfix is of single flows"),
            ("--every 5m -o ipfix", "use -o parquet"),
            ("--columns srcip,srccountry -o ipfix", "IPFIX has no element for srccountry"),
            ("--sum bytes", "--by srcip"),
            ("-s srcip -A dstip", "cannot be used with"),
            ("-t 2026/11/28 --last 1h", "cannot be used with"),
        ] {
            let error = words(line);
            assert!(error.contains(proposal), "{line}: {error}");
        }
    }
}
