//! Real routers that send BMP, FRR's bgpd and GoBGP, and ExaBGP, which announces routes to them. Every process has loopback
//! addresses of its own, which follow from the number of the test's process, and ends with its value. The programs are in the
//! Debian packages `frr`, `gobgpd` and `exabgp`.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::TempDir;

/// A kind of router.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// FRR's bgpd, which sends the routes of its peers after the policy.
    Frr,
    /// GoBGP, with one of its policies of what to send.
    Gobgp {
        /// `post-policy`, `local-rib`, or another value of `route-monitoring-policy`.
        policy: &'static str,
    },
}

/// A process that ends with this value.
struct Process(Child);

impl Process {
    fn start(command: &mut Command, log: &Path) -> Self {
        let log = File::create(log).unwrap();
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        Self(command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}: is its Debian package installed?")))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A router with AS 64500 and one peer with AS 64501.
pub struct Router {
    address: Ipv4Addr,
    peer: Ipv4Addr,
    folder: TempDir,
    _process: Process,
}

const BGP_PORT: u16 = 1790;

/// Two addresses that no other test has.
fn addresses() -> [Ipv4Addr; 2] {
    static STARTED: AtomicU32 = AtomicU32::new(0);
    let number = std::process::id() << 4 | STARTED.fetch_add(1, Ordering::Relaxed) & 0xf;
    let first = 0x7f40_0000 | (number << 1) & 0x003f_fffe;
    [first, first + 1].map(Ipv4Addr::from_bits)
}

impl Router {
    /// It sends BMP to this address.
    ///
    /// # Panics
    /// If it cannot be started.
    #[must_use]
    pub fn start(kind: Kind, to: SocketAddr) -> Self {
        Self::with_addresses(kind, to, addresses())
    }

    /// Ends it and starts it again with the same addresses.
    ///
    /// # Panics
    /// If it cannot be started.
    #[must_use]
    pub fn restart(self, kind: Kind, to: SocketAddr, meanwhile: impl FnOnce()) -> Self {
        let addresses = [self.address, self.peer];
        drop(self);
        meanwhile();
        Self::with_addresses(kind, to, addresses)
    }

    fn with_addresses(kind: Kind, to: SocketAddr, [address, peer]: [Ipv4Addr; 2]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let configuration = folder.path().join("router.conf");
        let text = match kind {
            Kind::Frr => frr(address, peer, to),
            Kind::Gobgp { policy } => gobgp(address, peer, to, policy),
        };
        fs::write(&configuration, text).unwrap();
        let mut command = match kind {
            Kind::Frr => {
                let mut command = Command::new("/usr/lib/frr/bgpd");
                command.args(["-M", "bmp", "-Z", "-n", "-S", "-P", "0", "-p", &BGP_PORT.to_string()]);
                command.args(["-l", &address.to_string(), "--log", "stdout", "--vty_socket"]).arg(folder.path());
                command.arg("-i").arg(folder.path().join("pid"));
                command
            }
            Kind::Gobgp { .. } => {
                let mut command = Command::new("gobgpd");
                command.args(["--pprof-disable", "--api-hosts", &format!("{address}:50051")]);
                command
            }
        };
        let process = Process::start(command.arg("-f").arg(configuration), &folder.path().join("router.log"));
        Self { address, peer, folder, _process: process }
    }

    /// What it and its feeder have logged.
    #[must_use]
    pub fn log(&self) -> String {
        let read = |name: &str| fs::read_to_string(self.folder.path().join(name)).unwrap_or_default();
        format!("{}\n{}", read("router.log"), read("feeder.log"))
    }
}

fn frr(address: Ipv4Addr, peer: Ipv4Addr, to: SocketAddr) -> String {
    let (ip, port) = (to.ip(), to.port());
    let families = ["ipv4", "ipv6"]
        .map(|family| format!(" address-family {family} unicast\n  neighbor {peer} activate\n exit-address-family\n"));
    format!(
        "router bgp 64500
 bgp router-id {address}
 no bgp ebgp-requires-policy
 no bgp default ipv4-unicast
 neighbor {peer} remote-as 64501
 neighbor {peer} passive
 neighbor {peer} ebgp-multihop
 neighbor {peer} update-source {address}
{} bmp targets test
  bmp monitor ipv4 unicast post-policy
  bmp monitor ipv6 unicast post-policy
  bmp connect {ip} port {port} min-retry 100 max-retry 500
 exit
exit
",
        families.concat()
    )
}

fn gobgp(address: Ipv4Addr, peer: Ipv4Addr, to: SocketAddr, policy: &str) -> String {
    let (ip, port) = (to.ip(), to.port());
    let families = ["ipv4", "ipv6"].map(|family| {
        format!("[[neighbors.afi-safis]]\n[neighbors.afi-safis.config]\nafi-safi-name = \"{family}-unicast\"\n")
    });
    format!(
        r#"[global.config]
as = 64500
router-id = "{address}"
port = {BGP_PORT}
local-address-list = ["{address}"]
[[bmp-servers]]
[bmp-servers.config]
address = "{ip}"
port = {port}
route-monitoring-policy = "{policy}"
[[neighbors]]
[neighbors.config]
neighbor-address = "{peer}"
peer-as = 64501
[neighbors.transport.config]
passive-mode = true
local-address = "{address}"
[neighbors.ebgp-multihop.config]
enabled = true
multihop-ttl = 9
{}"#,
        families.concat()
    )
}

/// ExaBGP as the peer of a router. It follows a file of commands.
pub struct Feeder {
    commands: File,
    _process: Process,
}

impl Feeder {
    /// It announces routes to this router.
    ///
    /// # Panics
    /// If it cannot be started.
    #[must_use]
    pub fn start(router: &Router) -> Self {
        let Router { address, peer, folder, .. } = router;
        let folder = folder.path();
        let path: PathBuf = folder.join("commands");
        fs::write(&path, "").unwrap();
        let configuration = folder.join("feeder.conf");
        // `tail` ends with ExaBGP, also when that is killed.
        let script = folder.join("feed.sh");
        fs::write(&script, format!("exec tail --pid=$PPID -n +1 -f {}\n", path.display())).unwrap();
        // Otherwise it marks the end of its table (End-of-RIB) before it has read the commands, or amid them.
        let text = format!(
            "process feed {{ run /bin/sh {}; encoder text; }}
neighbor {address} {{
  router-id {peer}; local-address {peer}; local-as 64501; peer-as 64500; connect {BGP_PORT};
  manual-eor true;
  family {{ ipv4 unicast; ipv6 unicast; }}
  api {{ processes [ feed ]; }}
}}
",
            script.display()
        );
        fs::write(&configuration, text).unwrap();
        let mut command = Command::new("exabgp");
        command.env("exabgp.daemon.user", "root").env("exabgp.api.cli", "false").arg(configuration);
        let process = Process::start(&mut command, &folder.join("feeder.log"));
        let commands = OpenOptions::new().append(true).open(path).unwrap();
        Self { commands, _process: process }
    }

    /// Announces a route with this AS path, numbers with blanks.
    ///
    /// # Panics
    /// If its folder is gone.
    pub fn announce(&mut self, prefix: &str, path: &str) {
        writeln!(self.commands, "announce route {prefix} next-hop {} as-path [ {path} ]", next_hop(prefix)).unwrap();
    }

    /// Withdraws a route.
    ///
    /// # Panics
    /// If its folder is gone.
    pub fn withdraw(&mut self, prefix: &str) {
        writeln!(self.commands, "withdraw route {prefix} next-hop {}", next_hop(prefix)).unwrap();
    }
}

fn next_hop(prefix: &str) -> &'static str {
    if prefix.contains(':') { "2001:db8::1" } else { "192.0.2.1" }
}
