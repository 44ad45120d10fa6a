//! Names of interfaces by SNMP: a registered router with a real agent, beside others that do not answer.

use std::fs::{self, Permissions};
use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;
use testing::snmpd::Snmpd;

use crate::collector::Collector;
use crate::commands::run;

const ROUTER: &str = "127.0.0.1";
const USER: &str = "user='netflow'\nauthentication='SHA-256'\nauthenticationPassword='geheim one'\nprivacy='AES-128'\n\
                    privacyPassword='geheim two'\n";

/// The names of the interfaces of the router that are valid, and who has given them.
fn interfaces(collector: &Collector) -> Vec<(String, String)> {
    let exporter = collector.rest("GET", &format!("/exporters/{ROUTER}"), "");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let list = exporter["interfaces"].as_array().cloned().unwrap_or_default();
    list.iter().map(|interface| (text(&interface["name"]), text(&interface["source"]))).collect()
}

#[test]
fn interfaces_are_named_by_the_agent_of_a_router_whatever_other_agents_do() {
    let agent = Snmpd::start("edge-1", "other", &[("netflow", "SHA-256", "geheim one", "AES", "geheim two")]);
    let silent = UdpSocket::bind("127.0.0.2:0").unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("agents.toml");
    let silent_port = silent.local_addr().unwrap().port();
    let agents = format!(
        "[core]\nrouters=['{ROUTER}']\nport={}\n{USER}[others]\nrouters=['127.0.0.0/8']\nport={silent_port}\n\
         community='geheim'\n",
        agent.address.port()
    );
    fs::write(&path, agents).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    let settings = [("NETFLOW__SNMP__AGENTS_FILE", "agents.toml"), ("NETFLOW__SNMP__INTERVAL", "10s")];
    let collector = Collector::start_in_with(directory, &settings);
    // More routers without an answer than are asked at a time.
    for host in 2..40 {
        run(&collector, &["senders", "add", &format!("127.0.0.{host}"), "192.0.2.0/24"]);
    }
    run(&collector, &["senders", "add", ROUTER, "192.0.2.0/24"]);
    // It is shown once it has sent anything.
    UdpSocket::bind((ROUTER, 0)).unwrap().send_to(&[0, 5, 0, 0], collector.receiving).unwrap();
    collector.wait_until("named", || interfaces(&collector).contains(&("lo".into(), "snmp".into())));
    let mut log = collector.startup_log();
    let both = ["router=127.0.0.1 range=\"core\" interfaces=", "does not answer: "];
    collector.wait_until("both are logged", || {
        log += &collector.log();
        both.iter().all(|line| log.contains(line))
    });
    let (_, end) = collector.terminate();
    log += &end;
    assert!(!log.contains("geheim"), "{log}");
}
