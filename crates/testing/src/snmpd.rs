//! The SNMP agent of Debian (package `snmpd`) with the interfaces of this machine. It ends when it is dropped.

use std::fmt::Write;
use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// A user of SNMPv3: name, hash, password, cipher, password.
pub type SnmpUser<'a> = (&'a str, &'a str, &'a str, &'a str, &'a str);

/// A running agent.
#[derive(Debug)]
pub struct Snmpd {
    process: Child,
    /// Its configuration and state.
    _folder: TempDir,
    /// Where it answers.
    pub address: SocketAddr,
}

impl Snmpd {
    /// Starts an agent of this name, which a community and users may read. It may not be ready yet.
    ///
    /// # Panics
    /// If it is not installed.
    #[must_use]
    pub fn start(name: &str, community: &str, users: &[SnmpUser<'_>]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut configuration = format!("sysName {name}\nrocommunity {community} 127.0.0.1\n");
        for (user, hash, hash_password, cipher, cipher_password) in users {
            let _ =
                writeln!(configuration, "createUser {user} {hash} \"{hash_password}\" {cipher} \"{cipher_password}\"");
            let _ = writeln!(configuration, "rouser {user} priv");
        }
        // Not snmpd.conf, which is the name of the state that it writes.
        let path = folder.path().join("configuration");
        fs::write(&path, configuration).expect("a configuration");
        // The port may be taken in between, but not by an agent: then nothing answers, and the test fails.
        let free = UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port");
        let process = Command::new("/usr/sbin/snmpd")
            .args(["-f", "-LE", "0", "-C", "-c"])
            .arg(&path)
            .arg(format!("udp:{free}"))
            .env("SNMP_PERSISTENT_DIR", folder.path())
            .env("MIBS", "")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("snmpd (Debian package snmpd)");
        Self { process, _folder: folder, address: free }
    }
}

impl Drop for Snmpd {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
