//! Surveys of a real agent, and of others that do not answer, or not what is expected.
//!
//! Without the program (Debian package `snmpd`) the tests fail.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::net::UdpSocket;
use std::thread;
use std::time::Duration;

use interfaces::Details;
use snmp::{Access, AskError, Authentication, Patience, Privacy, Survey, survey};
use testing::snmpd::Snmpd;
use testing::wait::{DEADLINE, wait_for};

/// For agents that answer: no machine is too slow.
const LONG: Patience = Patience { answer: Duration::from_secs(5), tries: 60, survey: DEADLINE };
/// For agents that do not.
const SHORT: Patience = Patience { answer: Duration::from_millis(50), tries: 2, survey: DEADLINE };

const HASHES: [(&str, Authentication); 5] = [
    ("SHA", Authentication::Sha1),
    ("SHA-224", Authentication::Sha224),
    ("SHA-256", Authentication::Sha256),
    ("SHA-384", Authentication::Sha384),
    ("SHA-512", Authentication::Sha512),
];

fn community(community: &str) -> Access {
    Access::community(community).unwrap()
}

/// Until the agent has started. A port where nobody listens refuses at once.
async fn answered(agent: &Snmpd, access: &Access) -> Survey {
    wait_for("an answer", async || survey(agent.address, access, LONG).await.ok()).await
}

/// The names of the interfaces of this machine with their indexes, from the kernel.
fn of_kernel() -> Vec<(u32, String)> {
    let folders = fs::read_dir("/sys/class/net").unwrap().map(|entry| entry.unwrap());
    let interface = |entry: fs::DirEntry| {
        let index = fs::read_to_string(entry.path().join("ifindex")).ok()?;
        Some((index.trim().parse().ok()?, entry.file_name().into_string().ok()?))
    };
    let mut interfaces: Vec<_> = folders.filter_map(interface).collect();
    interfaces.sort();
    interfaces
}

fn check(read: &Survey) {
    assert!(read.ended.is_none(), "{read:?}");
    assert_eq!(read.name.as_deref(), Some("edge-1.example"));
    assert!(read.uptime.is_some());
    let names: Vec<(u32, String)> =
        read.interfaces.iter().filter_map(|(index, details)| Some((*index, details.name.clone()?))).collect();
    assert_eq!(names, of_kernel());
    let loopback = |(_, details): &&(u32, Details)| details.name.as_deref() == Some("lo");
    assert_eq!(read.interfaces.iter().find(loopback).unwrap().1.speed, Some(10_000_000));
}

#[tokio::test]
async fn a_real_agent_names_itself_and_the_interfaces_of_this_machine() {
    let agent = Snmpd::start("edge-1.example", "public", &[]);
    check(&answered(&agent, &community("public")).await);
    let error = survey(agent.address, &community("private"), SHORT).await.unwrap_err();
    assert!(matches!(error, AskError::Silence), "{error}");
}

#[tokio::test]
async fn a_real_agent_answers_users_with_each_hash_and_cipher() {
    let users = HASHES.map(|(name, _)| (name, name, "the password", "AES", "the other password"));
    let long_keys = [("long", "SHA-512", "the password", "AES-256", "the other password")];
    let agent = Snmpd::start("edge-1.example", "public", &[&users[..], &long_keys].concat());
    let access =
        |name: &str, hash, cipher| Access::user(name, (hash, "the password"), (cipher, "the other password")).unwrap();
    for (name, hash) in HASHES {
        check(&answered(&agent, &access(name, hash, Privacy::Aes128)).await);
    }
    check(&answered(&agent, &access("long", Authentication::Sha512, Privacy::Aes256)).await);
    for (wrong, reason) in [
        (access("nobody", Authentication::Sha1, Privacy::Aes128), "does not know the user"),
        (access("SHA", Authentication::Sha256, Privacy::Aes128), "finds the authentication wrong"),
    ] {
        let error = survey(agent.address, &wrong, LONG).await.unwrap_err();
        assert!(matches!(error, AskError::Refused(refusal) if refusal.contains(reason)), "{error:?} {reason}");
    }
}

#[tokio::test]
async fn an_agent_that_is_silent_or_answers_garbage_costs_its_survey_only() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let user = Access::user("n", (Authentication::Sha1, "12345678"), (Privacy::Aes128, "12345678")).unwrap();
    for access in [community("public"), user] {
        let error = survey(silent.local_addr().unwrap(), &access, SHORT).await.unwrap_err();
        assert!(matches!(error, AskError::Silence), "{error}");
    }
    // An echo is a request, and no answer.
    let echo = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = echo.local_addr().unwrap();
    thread::spawn(move || {
        let mut octets = [0; 2000];
        while let Ok((length, from)) = echo.recv_from(&mut octets) {
            echo.send_to(octets.get(..length).unwrap(), from).unwrap();
            echo.send_to(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff], from).unwrap();
        }
    });
    let error = survey(address, &community("public"), SHORT).await.unwrap_err();
    assert!(matches!(error, AskError::Foreign), "{error}");
    let nobody = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = survey(nobody, &community("public"), SHORT).await.unwrap_err();
    assert!(matches!(error, AskError::Network(_)), "{error}");
}
