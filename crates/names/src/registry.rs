//! From the files to tables.

use std::sync::LazyLock;

use crate::table::Names;

const PROTOCOLS: &str = include_str!("protocols.txt");
const PORTS: &str = include_str!("ports.txt");

const TCP: u8 = 6;
const UDP: u8 = 17;
const DCCP: u8 = 33;
const SCTP: u8 = 132;
const UDP_LITE: u8 = 136;

/// The names of IP protocols.
#[must_use]
pub fn protocols() -> &'static Names {
    static NAMES: LazyLock<Names> = LazyLock::new(|| lines(PROTOCOLS).flat_map(Line::named).collect());
    &NAMES
}

/// The names of ports, whatever the transport.
#[must_use]
pub fn ports() -> &'static Names {
    static NAMES: LazyLock<Names> = LazyLock::new(|| lines(PORTS).flat_map(Line::named).collect());
    &NAMES
}

/// The name that a port has over this IP protocol; none if that has no ports.
#[must_use]
pub fn port_over(protocol: u8, port: u16) -> Option<&'static str> {
    static OVER_TCP: LazyLock<Names> = LazyLock::new(|| over(&["", "tcp"]));
    static OVER_UDP: LazyLock<Names> = LazyLock::new(|| over(&["", "udp"]));
    static OVER_OTHERS: LazyLock<Names> = LazyLock::new(|| over(&[""]));
    let names = match protocol {
        TCP => &OVER_TCP,
        UDP | UDP_LITE => &OVER_UDP,
        DCCP | SCTP => &OVER_OTHERS,
        _ => return None,
    };
    names.name(port.into())
}

fn over(transports: &[&str]) -> Names {
    lines(PORTS).filter(|line| transports.contains(&line.transport)).flat_map(Line::named).collect()
}

/// A number with its names.
struct Line {
    number: u64,
    /// Empty for all.
    transport: &'static str,
    names: &'static str,
}

impl Line {
    fn named(self) -> impl Iterator<Item = (&'static str, u64)> {
        self.names.split_whitespace().map(move |name| (name, self.number))
    }
}

/// The lines but comments and empty ones. A test reads all of them.
fn lines(file: &'static str) -> impl Iterator<Item = Line> {
    file.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
        let (place, names) = line.split_once(' ')?;
        let (number, transport) = place.split_once('/').unwrap_or((place, ""));
        Some(Line { number: number.parse().ok()?, transport, names })
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_line_is_read() {
        for (file, largest) in [(PROTOCOLS, u64::from(u8::MAX)), (PORTS, u16::MAX.into())] {
            let written: Vec<_> = file.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
            let read: Vec<_> = lines(file).collect();
            assert_eq!(read.len(), written.len());
            let mut places = HashSet::new();
            for line in read {
                assert!(places.insert((line.number, line.transport)), "{} is there twice", line.number);
                assert!(line.number <= largest && ["", "tcp", "udp"].contains(&line.transport), "{}", line.number);
            }
        }
        assert!(ports().all().len() > 400 && protocols().all().len() > 140);
    }

    #[test]
    fn every_name_is_that_of_one_number_and_back() {
        for names in [protocols(), ports()] {
            let mut known = HashSet::new();
            for (name, number) in names.all() {
                assert!(known.insert(name), "{name} is there twice");
                assert_eq!(names.number(name), Some(*number), "{name}");
                assert_eq!(names.number(&name.to_uppercase()), Some(*number), "{name}");
                let shown = names.name(*number).unwrap();
                assert_eq!(names.number(shown), Some(*number), "{name}");
            }
        }
    }

    #[test]
    fn every_name_of_a_port_is_shown_over_its_transport_or_means_the_same_as_one_that_is() {
        for line in lines(PORTS) {
            let (port, shown) = (u16::try_from(line.number).unwrap(), line.names.split(' ').next());
            let over = |protocol| port_over(protocol, port);
            match line.transport {
                "" => assert_eq!([TCP, UDP, SCTP, DCCP, UDP_LITE].map(over), [shown; 5], "{port}"),
                "tcp" => assert_eq!((over(TCP), over(SCTP)), (shown, None), "{port}"),
                _ => assert_eq!([over(UDP), over(UDP_LITE), over(DCCP)], [shown, shown, None], "{port}"),
            }
        }
        assert_eq!(
            [6, 17, 1, 0, 132].map(|protocol| port_over(protocol, 514)),
            [Some("shell"), Some("syslog"), None, None, None]
        );
        assert_eq!(ports().name(514), Some("syslog"));
    }

    /// Names are written into filters, lists, queries and counters such as `dstport:other`.
    #[test]
    fn no_name_is_mistaken_for_anything_else() {
        for (name, _) in protocols().all().iter().chain(ports().all()) {
            assert!(
                name.bytes()
                    .all(|octet| octet.is_ascii_lowercase() || octet.is_ascii_digit() || b"-+./".contains(&octet)),
                "{name}"
            );
            assert!(name.bytes().any(|octet| octet.is_ascii_lowercase()), "{name} is a number");
            assert!(!["other", "all", "any", "not", "and", "or", "in"].contains(name), "{name}");
        }
    }
}
