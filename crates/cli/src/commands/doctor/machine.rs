//! What this machine knows of the collector's ports: kernel drops, the largest receive buffer, and firewall rules as far as
//! this user may read them. Changes nothing.

use std::collections::BTreeSet;
use std::fs;
use std::process::{Command, Stdio};

use ureq::http::Uri;

/// How many rules are shown.
const RULES_SHOWN: usize = 5;
/// The longest rule that is shown whole, in characters.
const RULE_LENGTH: usize = 160;

/// Whether the REST interface is on this machine, so that its kernel is the collector's.
pub(super) fn is_here(url: &str) -> bool {
    let uri = url.parse::<Uri>().ok();
    let host = uri.as_ref().and_then(Uri::host).unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
}

/// Kernel drops of all sockets bound to a UDP port; `None` without such a socket.
pub(super) fn drops_at(port: u16) -> Option<u64> {
    let tables = ["/proc/net/udp", "/proc/net/udp6"].map(|table| fs::read_to_string(table).unwrap_or_default());
    let drops: Vec<u64> =
        tables.iter().flat_map(|table| table.lines().skip(1)).filter_map(|line| drops_of(line, port)).collect();
    (!drops.is_empty()).then(|| drops.iter().sum())
}

/// The last column of a line of /proc/net/udp, for sockets bound to this port.
fn drops_of(line: &str, port: u16) -> Option<u64> {
    let mut fields = line.split_ascii_whitespace();
    let (_, bound) = fields.nth(1)?.split_once(':')?;
    if u16::from_str_radix(bound, 16) != Ok(port) {
        return None;
    }
    fields.next_back()?.parse().ok()
}

/// The largest receive buffer that the kernel grants, in octets.
pub(super) fn largest_buffer() -> Option<u64> {
    fs::read_to_string("/proc/sys/net/core/rmem_max").ok()?.trim().parse().ok()
}

/// Firewall rules that may drop datagrams to these ports; empty also when this user may not read them.
pub(super) fn dropping_rules(ports: &BTreeSet<u16>) -> Vec<String> {
    let programs: [(&str, &[&str]); 3] =
        [("nft", &["list", "ruleset"]), ("iptables-save", &[]), ("ip6tables-save", &[])];
    let listed = programs.iter().filter_map(|(program, arguments)| {
        let output = Command::new(program).args(*arguments).stdin(Stdio::null()).output().ok()?;
        Some(suspicious(&String::from_utf8_lossy(&output.stdout), ports))
    });
    let mut rules: Vec<_> = listed.flatten().collect();
    rules.truncate(RULES_SHOWN);
    rules
}

/// Lines that drop one of the ports by number; and, when no line accepts one of them, default policies that drop.
fn suspicious(ruleset: &str, ports: &BTreeSet<u16>) -> Vec<String> {
    let words = |line: &str| line.to_lowercase();
    let names_port = |line: &str| {
        let numbers = line.split(|character: char| !character.is_ascii_digit());
        line.contains("dport") && numbers.filter_map(|number| number.parse().ok()).any(|port| ports.contains(&port))
    };
    let drops = |line: &str| line.contains("drop") || line.contains("reject");
    let accepted = ruleset.lines().map(words).any(|line| names_port(&line) && line.contains("accept"));
    let is_default = |line: &str| {
        let rule = line.trim();
        (line.contains("hook input") && line.contains("policy drop"))
            || rule.starts_with(":input drop")
            || matches!(rule, "drop" | "reject" | "-a input -j drop" | "-a input -j reject")
    };
    let suspect = |line: &&str| {
        let line = words(line);
        (names_port(&line) && drops(&line)) || (!accepted && is_default(&line))
    };
    ruleset.lines().filter(suspect).map(|line| line.trim().chars().take(RULE_LENGTH).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_that_may_drop_the_ports_are_found() {
        let ports = BTreeSet::from([2055, 6343]);
        let found = |ruleset| suspicious(ruleset, &ports);
        let named = "table inet filter {\n chain input {\n  type filter hook input priority 0; policy accept;\n  udp dport 2055 drop\n  udp dport 53 drop\n } }";
        assert_eq!(found(named), ["udp dport 2055 drop"]);
        let policy = "chain input {\n  type filter hook input priority 0; policy drop;\n  tcp dport 22 accept\n }";
        assert_eq!(found(policy), ["type filter hook input priority 0; policy drop;"]);
        let opened = format!("{policy}\n udp dport {{ 2055, 6343 }} accept");
        assert!(found(&opened).is_empty());
        assert_eq!(found(":INPUT DROP [0:0]\n-A INPUT -p tcp --dport 22 -j ACCEPT"), [":INPUT DROP [0:0]"]);
        assert_eq!(
            found("-A INPUT -p udp -m udp --dport 6343 -j REJECT"),
            ["-A INPUT -p udp -m udp --dport 6343 -j REJECT"]
        );
    }

    #[test]
    fn the_kernels_table_has_drops_by_port() {
        let line = "  449: 00000000:0807 00000000:0000 07 00000000:00000000 00:00000000 00000000   998        0 27422 2 0000000000000000 17";
        assert_eq!((drops_of(line, 2055), drops_of(line, 2056)), (Some(17), None));
        assert!(is_here("http://127.0.0.1:8080") && is_here("https://[::1]:8443") && !is_here("http://192.0.2.1:8080"));
    }
}
