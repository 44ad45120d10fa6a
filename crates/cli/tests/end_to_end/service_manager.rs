//! Notifications to systemd (sd_notify(3)): ready, alive, status, reloading, stopping.

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::Instant;

use crate::collector::{Collector, PATIENCE};

/// The socket of a service manager.
pub(crate) struct Manager(UnixDatagram);

impl Manager {
    /// Bound at this path.
    pub(crate) fn at(path: &Path) -> Self {
        let socket = UnixDatagram::bind(path).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(socket)
    }

    fn next(&self) -> String {
        let mut message = [0; 4096];
        let length = self.0.recv(&mut message).unwrap();
        String::from_utf8(message[..length].to_vec()).unwrap()
    }

    /// The next message that begins so.
    pub(crate) fn wait_for(&self, beginning: &str) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            let message = self.next();
            if message.starts_with(beginning) {
                return message;
            }
            assert!(Instant::now() < end, "{beginning} did not come, but {message}");
        }
    }
}

#[test]
fn systemd_gets_ready_alive_reloading_and_stopping() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let manager = Manager::at(&path);
    let settings = [("NOTIFY_SOCKET", path.to_str().unwrap()), ("WATCHDOG_USEC", "6000000")];
    let collector = Collector::start_with(&settings);
    assert_eq!(manager.next(), "READY=1");
    let status = manager.wait_for("STATUS=");
    assert!(status.starts_with("STATUS=datagrams 0 flows 0 "), "{status}");
    (0..3).for_each(|_| drop(manager.wait_for("WATCHDOG=1")));
    collector.signal("HUP");
    let reloading = manager.wait_for("RELOADING=1\nMONOTONIC_USEC=");
    let uptime = std::fs::read_to_string("/proc/uptime").unwrap();
    let uptime: f64 = uptime.split_whitespace().next().unwrap().parse().unwrap();
    let notified: f64 = reloading.rsplit('=').next().unwrap().parse().unwrap();
    assert!(notified > 0.0 && notified / 1e6 < uptime + 1.0, "{reloading} {uptime}");
    assert_eq!(manager.wait_for("READY=1"), "READY=1");
    collector.terminate();
    manager.wait_for("STOPPING=1");
}

#[test]
fn the_unit_waits_for_the_network_and_restarts_a_failed_collector_without_limit() {
    let unit =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../packaging/netflow.service")).unwrap();
    let lines: Vec<&str> = unit.lines().collect();
    for line in ["After=network-online.target", "Wants=network-online.target", "StartLimitIntervalSec=0"] {
        assert!(lines.contains(&line), "{line}");
    }
    assert!(lines.contains(&"Restart=on-failure") && unit.contains("\nRestartSec="), "{unit}");
    // An unreachable store (5) or an address that the host does not have yet (6) may become available.
    let never = unit.lines().find_map(|line| line.strip_prefix("RestartPreventExitStatus=")).unwrap();
    assert_eq!(never, "2 3 10");
}
