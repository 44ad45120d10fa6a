//! Questions to servers that answer, that do not, and that are hostile.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use dns::{AskError, Patience, ask};
use testing::name_server::{NameServer, Reply};

const ROUTER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

/// Long for a server on this machine; a silent one costs it once.
const PATIENCE: Patience = Patience { answer: Duration::from_secs(10), tries: 1 };
const SHORT: Patience = Patience { answer: Duration::from_millis(50), tries: 2 };

fn server(reply: Reply) -> NameServer {
    NameServer::start(move |_| reply.clone())
}

async fn asked(servers: &[&NameServer], patience: Patience) -> Result<Option<String>, AskError> {
    let servers: Vec<SocketAddr> = servers.iter().map(|server| server.address).collect();
    ask(&servers, ROUTER, patience).await.map(|name| name.map(|name| name.to_string()))
}

#[tokio::test]
async fn the_first_server_that_answers_counts() {
    let [named, nameless] = [Reply::Name("edge-1.example.net".into()), Reply::Error(3)].map(server);
    let broken = server(Reply::Error(2));
    assert_eq!(asked(&[&broken, &named], PATIENCE).await.unwrap().as_deref(), Some("edge-1.example.net"));
    assert_eq!(asked(&[&nameless, &named], PATIENCE).await.unwrap(), None);
    assert!(matches!(asked(&[&broken], PATIENCE).await, Err(AskError::Failed(2))));
    assert_eq!(named.asked(), [ROUTER]);
}

#[tokio::test]
async fn a_silent_server_is_asked_again_and_then_given_up() {
    let silent = server(Reply::Silence);
    assert!(matches!(asked(&[&silent], SHORT).await, Err(AskError::Silence)));
    testing::wait_for("questions", async || (silent.asked().len() >= 2).then_some(())).await;
    assert_eq!(silent.asked(), [ROUTER, ROUTER]);
}

#[tokio::test]
async fn forged_answers_before_the_true_one_are_skipped() {
    let forging = server(Reply::After(vec![Vec::new(), vec![0xff; 4096]], "edge".into()));
    assert_eq!(asked(&[&forging], PATIENCE).await.unwrap().as_deref(), Some("edge"));
}

#[tokio::test]
async fn a_hostile_answer_is_no_name() {
    for labels in [vec![b"<b>x</b>".to_vec()], vec!["\u{202e}net".into()]] {
        assert_eq!(asked(&[&server(Reply::Labels(labels))], PATIENCE).await.unwrap(), None);
    }
    for damaged in [Reply::Labels(vec![vec![b'a'; 63]; 64]), Reply::Loop] {
        assert!(matches!(asked(&[&server(damaged)], PATIENCE).await, Err(AskError::Damaged)));
    }
}
