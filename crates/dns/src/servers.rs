//! The servers of the machine, from resolv.conf(5).

use std::fs::File;
use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The port of DNS.
pub const PORT: u16 = 53;
/// The C library asks no more than this.
const MOST: usize = 3;
const FILE: &str = "/etc/resolv.conf";
/// A longer file is not read to its end, in octets.
const LONGEST_FILE: u64 = 64 << 10;

/// The servers of this machine.
///
/// # Errors
/// If its file is there and cannot be read.
pub fn of_machine() -> io::Result<Vec<SocketAddr>> {
    let mut text = Vec::new();
    match File::open(FILE).and_then(|file| file.take(LONGEST_FILE).read_to_end(&mut text)) {
        Ok(_) => Ok(read_servers(&String::from_utf8_lossy(&text))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(read_servers("")),
        Err(error) => Err(error),
    }
}

/// The servers that a file names, at most three; one on this machine if it names none. An IPv6 address with a zone is skipped.
#[must_use]
pub fn read_servers(text: &str) -> Vec<SocketAddr> {
    let address = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        words.next().filter(|word| *word == "nameserver")?;
        words.next()?.parse::<IpAddr>().ok()
    };
    let named: Vec<IpAddr> = text.lines().filter_map(address).take(MOST).collect();
    let servers = if named.is_empty() { vec![Ipv4Addr::LOCALHOST.into()] } else { named };
    servers.into_iter().map(|server| SocketAddr::new(server, PORT)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_of_a_file_are_those_that_the_c_library_asks() {
        let read = |text: &str| read_servers(text).iter().map(SocketAddr::to_string).collect::<Vec<_>>();
        let text = "# nameserver 192.0.2.9\nsearch example.net\nnameserver 192.0.2.1\n nameserver\t2001:db8::1 \n\
                    nameserver fe80::1%eth0\nnameserver 192.0.2.2\nnameserver 192.0.2.3\nnameserver";
        assert_eq!(read(text), ["192.0.2.1:53", "[2001:db8::1]:53", "192.0.2.2:53"]);
        assert_eq!(read("options ndots:1\n"), ["127.0.0.1:53"]);
    }
}
