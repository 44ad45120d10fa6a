//! Findings that many routers share, as one table: one entry for each kind, with what differs between the routers, and the
//! evidence and the commands that they have in common once.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::IpAddr;

use super::finding::{Bold, Finding};
use crate::table::{Cell, Table, count_of};

/// This number of routers with a finding of the same kind are one table.
const MANY: usize = 4;
/// The word for the address of each router, in lines that are otherwise equal.
const ROUTER: &str = "ROUTER";
/// The width of a list of addresses.
const WIDTH: usize = 110;

/// The findings of one kind.
pub(super) struct Group<'f>(Vec<(IpAddr, &'f Finding)>);

/// The kinds of which there are many, in the order of their first findings, unless `all` findings are to be printed.
pub(super) fn groups(findings: &[Finding], all: bool) -> Vec<Group<'_>> {
    let mut order = Vec::new();
    let mut kinds: BTreeMap<&str, Vec<(IpAddr, &Finding)>> = BTreeMap::new();
    for finding in findings {
        let Some(router) = finding.router() else { continue };
        let kind = kinds.entry(finding.name()).or_default();
        if kind.is_empty() {
            order.push(finding.name());
        }
        kind.push((router, finding));
    }
    let many = order.into_iter().filter_map(|name| kinds.remove(name)).filter(|kind| !all && kind.len() >= MANY);
    many.map(Group).collect()
}

/// The problem of many routers, where it is the same for all of them.
fn of_many(name: &str) -> Option<&'static str> {
    match name {
        "silent" => Some("no datagrams arrive from them"),
        "unknown_sender" => Some("they send without being registered: their flows are not counted"),
        "other_address" => Some("they are registered but silent; unregistered addresses may be theirs"),
        _ => None,
    }
}

impl Group<'_> {
    /// Whether its kind has this name.
    pub(super) fn is_of(&self, finding: &Finding) -> bool {
        self.0.first().is_some_and(|(_, first)| first.name() == finding.name())
    }

    /// Writes it.
    pub(super) fn write(&self, bold: Bold, out: &mut impl Write) -> io::Result<()> {
        let Some((_, first)) = self.0.first() else { return Ok(()) };
        let routers = count_of(self.0.len() as u64, "router");
        let heading = match of_many(first.name()) {
            Some(what) => format!("{routers}: {what}"),
            None => routers,
        };
        writeln!(out, "\n{}  [{}]", bold.of(&heading), first.name())?;
        let evidence = self.shared(Finding::all_evidence);
        self.write_routers(of_many(first.name()).is_none(), &evidence, out)?;
        evidence.iter().try_for_each(|line| writeln!(out, "  evidence  {line}"))?;
        self.write_commands(out)
    }

    /// The lines that all of them have, except for the address.
    fn shared(&self, lines: impl Fn(&Finding) -> &[String]) -> Vec<String> {
        let Some(((router, first), others)) = self.0.split_first() else { return Vec::new() };
        let everywhere = |line: &String| {
            others.iter().all(|(router, finding)| lines(finding).iter().any(|other| general(other, *router) == *line))
        };
        lines(first).iter().map(|line| general(line, *router)).filter(everywhere).collect()
    }

    fn write_routers(&self, has_problem: bool, shared: &[String], out: &mut impl Write) -> io::Result<()> {
        let own = |router: IpAddr, finding: &Finding| {
            let lines = finding.all_evidence().iter().filter(|line| !shared.contains(&general(line, router)));
            lines.cloned().collect::<Vec<_>>().join("; ")
        };
        let own: Vec<String> = self.0.iter().map(|(router, finding)| own(*router, finding)).collect();
        let has_evidence = own.iter().any(|lines| !lines.is_empty());
        if !has_problem && !has_evidence {
            return self.write_addresses(out);
        }
        let column = |wanted: bool, heading| if wanted { vec![heading] } else { vec![] };
        let headings = [vec!["router"], column(has_problem, "problem"), column(has_evidence, "evidence")].concat();
        let mut table = Table::new(&headings);
        for ((router, finding), evidence) in self.0.iter().zip(own) {
            let mut row = vec![Cell::Text(router.to_string())];
            row.extend(has_problem.then(|| Cell::Text(finding.what().to_owned())));
            row.extend(has_evidence.then_some(Cell::Text(evidence)));
            table.push(row);
        }
        let mut text = Vec::new();
        table.write(false, &mut text)?;
        String::from_utf8_lossy(&text).lines().try_for_each(|line| writeln!(out, "  {line}"))
    }

    /// Their addresses only, several a line.
    fn write_addresses(&self, out: &mut impl Write) -> io::Result<()> {
        let mut line = String::new();
        for (router, _) in &self.0 {
            let address = router.to_string();
            if !line.is_empty() && line.len() + address.len() + 2 > WIDTH {
                writeln!(out, "  {line},")?;
                line.clear();
            }
            if !line.is_empty() {
                line.push_str(", ");
            }
            line.push_str(&address);
        }
        writeln!(out, "  {line}")
    }

    /// The commands: once if they differ in the address only, else those of each router, and then what is the same for all.
    fn write_commands(&self, out: &mut impl Write) -> io::Result<()> {
        let shared = self.shared(Finding::commands);
        let differs = self.0.iter().any(|(_, finding)| finding.commands().len() != shared.len());
        if !differs {
            return shared.iter().try_for_each(|line| writeln!(out, "  run       {line}"));
        }
        let same: Vec<&String> = shared.iter().filter(|line| !line.contains(ROUTER)).collect();
        for (_, finding) in &self.0 {
            let own = finding.commands().iter().filter(|line| !same.contains(line));
            own.into_iter().try_for_each(|line| writeln!(out, "  run       {line}"))?;
        }
        same.into_iter().try_for_each(|line| writeln!(out, "  run       {line}"))
    }
}

/// A line with [`ROUTER`] instead of the address, but not inside a longer one.
fn general(line: &str, router: IpAddr) -> String {
    let address = router.to_string();
    let is_part = |character: char| character.is_ascii_hexdigit() || matches!(character, '.' | ':' | '/');
    let mut general = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once(&address) {
        let is_whole = !before.ends_with(is_part) && !after.starts_with(is_part);
        general.push_str(before);
        general.push_str(if is_whole { ROUTER } else { &address });
        rest = after;
    }
    general + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(findings: &[Finding]) -> String {
        let mut out = Vec::new();
        for group in groups(findings, false) {
            group.write(Bold(false), &mut out).unwrap();
        }
        String::from_utf8(out).unwrap()
    }

    fn address(number: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, number])
    }

    fn silent(number: u8) -> Finding {
        let finding = Finding::new("silent", format!("no datagrams arrive from {}", address(number)));
        finding
            .about(address(number))
            .evidence("the collector listens on 127.0.0.1:2055")
            .run(format!("tcpdump src host {}", address(number)))
    }

    #[test]
    fn what_many_routers_share_is_printed_once() {
        let findings: Vec<Finding> = (1..=55).map(silent).collect();
        let text = printed(&findings);
        assert!(
            text.starts_with(
                "\n55 routers: no datagrams arrive from them  [silent]\n  192.0.2.1, 192.0.2.2, 192.0.2.3, "
            )
        );
        assert!(text.ends_with(
            ", 192.0.2.55\n  evidence  the collector listens on 127.0.0.1:2055\n  run       tcpdump src host ROUTER\n"
        ));
        assert!(text.lines().count() < 15 && text.lines().all(|line| line.len() < 115), "{text}");
        assert_eq!(text.matches("192.0.2.").count(), 55);
        // Few are printed one by one, as are all on request.
        assert!(groups(&findings[..3], false).is_empty() && groups(&findings, true).is_empty());
        let one_each: Vec<Finding> = (1..=9).map(|number| Finding::new("silent", "").about(address(number))).collect();
        assert!(groups(&one_each, false).iter().all(|group| group.is_of(&findings[0])));
    }

    #[test]
    fn what_differs_between_routers_is_a_table_and_their_commands_are_given_in_full() {
        let mut findings: Vec<Finding> = (1..=4)
            .map(|number| {
                Finding::new("sampling_differs", format!("problem {number}"))
                    .about(address(number))
                    .evidence(format!("datagrams from 10.0.0.{number}"))
                    .evidence("for all")
                    .run(format!("add 10.0.0.{number}"))
                    .run(format!("remove {}", address(number)))
                    .run("# or")
            })
            .collect();
        findings.push(Finding::new("store_unreachable", "no router"));
        assert_eq!(
            printed(&findings),
            "\n4 routers  [sampling_differs]\n\
             \x20 router     problem    evidence\n\
             \x20 192.0.2.1  problem 1  datagrams from 10.0.0.1\n\
             \x20 192.0.2.2  problem 2  datagrams from 10.0.0.2\n\
             \x20 192.0.2.3  problem 3  datagrams from 10.0.0.3\n\
             \x20 192.0.2.4  problem 4  datagrams from 10.0.0.4\n\
             \x20 evidence  for all\n\
             \x20 run       add 10.0.0.1\n  run       remove 192.0.2.1\n\
             \x20 run       add 10.0.0.2\n  run       remove 192.0.2.2\n\
             \x20 run       add 10.0.0.3\n  run       remove 192.0.2.3\n\
             \x20 run       add 10.0.0.4\n  run       remove 192.0.2.4\n\
             \x20 run       # or\n"
        );
    }

    #[test]
    fn an_address_inside_a_longer_one_is_not_the_router() {
        let router = address(1);
        assert_eq!(general("a 192.0.2.1 b", router), "a ROUTER b");
        assert_eq!(
            general("192.0.2.10 192.0.2.1/32 1192.0.2.1 192.0.2.1", router),
            "192.0.2.10 192.0.2.1/32 1192.0.2.1 ROUTER"
        );
    }
}
