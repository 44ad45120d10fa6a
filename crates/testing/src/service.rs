//! Real servers for tests, started with the scripts of `tests/services`: on free ports, with an empty folder. They end
//! with this process. A server that cannot be started fails the test; no test is skipped.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// A server or a small cluster of them.
#[derive(Debug)]
pub struct Service {
    script: &'static str,
    environment: Vec<(String, String)>,
    /// Where its configuration, data and logs are.
    pub folder: PathBuf,
    /// `host:port` of each server.
    pub hosts: Vec<String>,
}

impl Service {
    /// Starts this number of servers with `<kind>.sh` and waits until they answer. Settings are environment variables of
    /// the script, named without the kind: `("SYNC", "always")` becomes `REDIS_SYNC=always`.
    ///
    /// # Panics
    /// When the servers cannot be started.
    #[must_use]
    pub fn start(kind: &'static str, servers: u16, settings: &[(&str, &str)]) -> Self {
        let port = free_ports(servers);
        let upper = kind.to_uppercase();
        let mut environment = vec![(format!("{upper}_PORT"), port.to_string())];
        environment.extend(settings.iter().map(|(name, value)| (format!("{upper}_{name}"), (*value).to_owned())));
        // Of this process: another one may have used the port, and its server there may be killed for the moment.
        let folder = std::env::temp_dir().join(format!("netflow-services/{kind}-{port}-{}", std::process::id()));
        environment.push((format!("{upper}_DIR"), folder.display().to_string()));
        environment.push(("SERVICE_OWNER".to_owned(), std::process::id().to_string()));
        let mut service = Self { script: kind, environment, folder, hosts: Vec::new() };
        let addresses = service.run(&["start"]);
        service.hosts = addresses.trim().split(',').map(|url| host(url).to_owned()).collect();
        service
    }

    /// Runs the script with other arguments, such as `["kill", "1"]`, and returns what it prints.
    ///
    /// # Panics
    /// When the script fails.
    pub fn run(&self, arguments: &[&str]) -> String {
        let script = script(self.script);
        let mut command = Command::new(&script);
        command.args(arguments).envs(self.environment.iter().cloned()).stdin(Stdio::null()).stderr(Stdio::inherit());
        let output = command.output().unwrap_or_else(|error| panic!("{}: {error}", script.display()));
        assert!(
            output.status.success(),
            "{} {arguments:?} failed in {}: the message is above",
            script.display(),
            self.folder.display()
        );
        String::from_utf8(output.stdout).expect("addresses are text")
    }
}

/// The script of a kind of servers.
fn script(kind: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/services").join(format!("{kind}.sh"))
}

/// The host and port of `redis://:password@host:port` or of `host:port`.
fn host(url: &str) -> &str {
    url.rsplit(['/', '@']).next().unwrap_or(url)
}

/// The first of `count` consecutive free ports. Those 1000 above and 2042 below, where the servers talk to each other, are
/// free too. All are below those that the kernel gives to connections (32,768 to 60,999): a client of another test could have
/// one of these by the time a server has started.
fn free_ports(count: u16) -> u16 {
    // Services that start at the same time search different ranges.
    static STARTED: AtomicU32 = AtomicU32::new(0);
    let begin = std::process::id().wrapping_mul(41) + STARTED.fetch_add(1, Ordering::Relaxed) * 7;
    let places = (0..1_100).map(|step| (begin + step) % 1_100 * 16);
    let candidates = places.map(|place| 13_000 + u16::try_from(place).expect("below 17,600"));
    let free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    candidates
        .into_iter()
        .find(|port| {
            (0..count).all(|number| [0, 1_000, -2_042].iter().all(|far| free(port.wrapping_add_signed(*far) + number)))
        })
        .expect("free ports")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// What a start reports that must fail, in a folder of its own, with this program as the server.
    fn refusal(port: &str, folder: &Path, server: &str) -> String {
        let mut start = Command::new(script("redis"));
        start.arg("start").env("REDIS_PORT", port).env("REDIS_DIR", folder).env("REDIS_SERVER", server);
        let output = start.env("SERVICE_OWNER", std::process::id().to_string()).stdin(Stdio::null()).output().unwrap();
        assert!(!output.status.success(), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    #[test]
    fn a_server_that_was_there_before_is_not_taken_for_the_own() {
        let there = Service::start("redis", 1, &[]);
        let port = there.hosts[0].rsplit(':').next().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let refusal = refusal(port, &folder.path().join("redis"), "redis-server");
        assert!(refusal.contains("is in use by a process that this script did not start"), "{refusal}");
    }

    #[test]
    fn a_server_that_takes_the_port_at_the_same_time_is_not_taken_for_the_own() {
        let port = free_ports(1).to_string();
        let folder = tempfile::tempdir().unwrap();
        // Another server takes the port after it was found free; the own one never does.
        let server = folder.path().join("server");
        let faster = format!("#!/bin/sh\nredis-server --port {port} --bind 127.0.0.1 --save '' &\nexec sleep 60\n");
        fs::write(&server, faster).unwrap();
        fs::set_permissions(&server, fs::Permissions::from_mode(0o755)).unwrap();
        let refusal = refusal(&port, &folder.path().join("redis"), server.to_str().unwrap());
        let ended = Command::new("redis-cli").args(["-p", &port, "shutdown", "nosave"]).status().unwrap();
        assert!(ended.success() && refusal.contains(&format!("port {port} is answered by a process")), "{refusal}");
    }
}
