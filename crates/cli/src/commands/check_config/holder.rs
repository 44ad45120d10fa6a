//! The process that uses an address: the kernel's table of sockets has the inode and user of a socket, /proc the open files
//! of each process. Only root sees those of other users.

use std::fmt;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

/// The transport protocol of an address.
#[derive(Clone, Copy, Debug)]
pub(super) enum Transport {
    /// Datagrams.
    Udp,
    /// Connections.
    Tcp,
}

/// The user of an address.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Holder {
    /// A process.
    Process {
        /// Its number.
        id: u32,
        /// The name of its program.
        name: String,
    },
    /// A process of another user; only root can see which.
    User(u32),
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process { id, name } => write!(f, "{name} (process {id})"),
            Self::User(id) => write!(f, "a process of user {id}; root can see which"),
        }
    }
}

/// The process that keeps others from binding this address: it is bound to it, or to its port on all addresses.
pub(super) fn of(transport: Transport, address: SocketAddr) -> Option<Holder> {
    let table = match (transport, address.ip()) {
        (Transport::Udp, IpAddr::V4(_)) => "/proc/net/udp",
        (Transport::Udp, IpAddr::V6(_)) => "/proc/net/udp6",
        (Transport::Tcp, IpAddr::V4(_)) => "/proc/net/tcp",
        (Transport::Tcp, IpAddr::V6(_)) => "/proc/net/tcp6",
    };
    let text = fs::read_to_string(table).ok()?;
    let entry = text.lines().skip(1).filter_map(Entry::read).find(|entry| entry.blocks(transport, address))?;
    Some(process_with(entry.inode).unwrap_or(Holder::User(entry.user)))
}

/// A socket in the kernel's table (proc_net_tcp.rst of the kernel's documentation).
#[derive(Debug, PartialEq, Eq)]
struct Entry {
    local: SocketAddr,
    listens: bool,
    user: u32,
    inode: u64,
}

impl Entry {
    fn read(line: &str) -> Option<Self> {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let (address, port) = fields.get(1)?.split_once(':')?;
        Some(Self {
            local: SocketAddr::new(read_address(address)?, u16::from_str_radix(port, 16).ok()?),
            listens: *fields.get(3)? == "0A",
            user: fields.get(7)?.parse().ok()?,
            inode: fields.get(9)?.parse().ok()?,
        })
    }

    fn blocks(&self, transport: Transport, address: SocketAddr) -> bool {
        let open = matches!(transport, Transport::Udp) || self.listens;
        let (local, wanted) = (self.local.ip(), address.ip());
        open && self.local.port() == address.port()
            && (local == wanted || local.is_unspecified() || wanted.is_unspecified())
    }
}

/// 32-bit words in the byte order of the machine.
fn read_address(text: &str) -> Option<IpAddr> {
    let word = |number: usize| {
        let digits = text.get(number * 8..number * 8 + 8)?;
        u32::from_str_radix(digits, 16).ok().map(u32::to_ne_bytes)
    };
    match text.len() {
        8 => Some(Ipv4Addr::from(word(0)?).into()),
        32 => {
            let mut octets = [0; 16];
            for (number, word_octets) in octets.chunks_exact_mut(4).enumerate() {
                word_octets.copy_from_slice(&word(number)?);
            }
            Some(Ipv6Addr::from(octets).into())
        }
        _ => None,
    }
}

fn process_with(inode: u64) -> Option<Holder> {
    let socket = format!("socket:[{inode}]");
    let has = |process: &Path| {
        let files = fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
        files.map(|file| file.path()).any(|file| fs::read_link(file).is_ok_and(|target| target == Path::new(&socket)))
    };
    let processes = fs::read_dir("/proc").ok()?.flatten();
    processes.filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path()))).find_map(
        |(id, path)| {
            let name = || fs::read_to_string(path.join("comm")).unwrap_or_default().trim_end().to_owned();
            has(&path).then(|| Holder::Process { id, name: name() })
        },
    )
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, UdpSocket};

    use super::*;

    #[test]
    fn the_process_that_uses_an_address_is_found() {
        for host in ["127.0.0.1:0", "[::1]:0"] {
            let udp = UdpSocket::bind(host).unwrap();
            let tcp = TcpListener::bind(host).unwrap();
            for (transport, address) in
                [(Transport::Udp, udp.local_addr().unwrap()), (Transport::Tcp, tcp.local_addr().unwrap())]
            {
                let everywhere = if address.is_ipv4() { "0.0.0.0" } else { "::" };
                let everywhere = SocketAddr::new(everywhere.parse().unwrap(), address.port());
                for wanted in [address, everywhere] {
                    let holder = of(transport, wanted);
                    let Some(Holder::Process { id, .. }) = holder else { panic!("{wanted}: {holder:?}") };
                    assert_eq!(id, std::process::id(), "{wanted}");
                }
            }
        }
    }

    #[test]
    fn a_free_address_has_no_holder() {
        let address = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert_eq!(of(Transport::Udp, address), None);
    }

    #[test]
    fn lines_of_another_form_are_skipped() {
        for line in ["", "1:", "1: 0100007F:XXXX 0:0 07 0:0 00:0 0 0 0 1", "1: 01:0001 0:0 07 0:0 00:0 0 0 0 1"] {
            assert_eq!(Entry::read(line), None, "{line}");
        }
    }
}
