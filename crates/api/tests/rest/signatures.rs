//! Signatures of version 2, roles, and the limit of failed authentications.

use std::time::{SystemTime, UNIX_EPOCH};

use api::{Key, Role, Signatures};
use testing::Random;

use crate::client::{Answer, ask, send, shell, sign};
use crate::server::{AUTH_KEY, SIGN_KEY, Server, keys};

const BODY: &str = r#"{"prefixes":[{"prefix":"172.16.1.0","prefixLen":24}]}"#;
const PATH: &str = "/senders/172.16.1.1";
const NONCE: &str = "0123456789abcdef";

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn v2(method: &str, target: &str, body: &str, seconds: u64, nonce: &str) -> String {
    api::sign(SIGN_KEY, method, target, seconds, nonce, body.as_bytes())
}

fn sent(server: &Server, method: &str, target: &str, signature: &str, body: &str) -> Answer {
    let headers = format!("X-Io-Auth: {AUTH_KEY}\r\nX-Io-Sign: {signature}\r\n");
    send(server.address, method, target, &headers, body.as_bytes())
}

#[test]
fn a_request_is_accepted_once() {
    let server = Server::start();
    let signature = v2("PUT", PATH, BODY, now(), NONCE);
    assert_eq!(sent(&server, "PUT", PATH, &signature, BODY).status, 200);
    let message = sent(&server, "PUT", PATH, &signature, BODY).refusal(401, "UNAUTHORIZED");
    assert!(message.contains("was already used"), "{message}");
    // The signature covers the path with its query.
    let target = "/top/172.16.1.1?prefix=172.16.1.0/24&n=1";
    assert_eq!(sent(&server, "GET", target, &v2("GET", target, "", now(), "another-nonce-01"), "").status, 200);
}

#[test]
fn every_part_of_a_request_is_signed() {
    let server = Server::start();
    let seconds = now();
    let refuse = |method: &str, target: &str, signature: &str, body: &str| {
        sent(&server, method, target, signature, body).refusal(401, "UNAUTHORIZED")
    };
    let signature = v2("PUT", PATH, BODY, seconds, NONCE);
    for message in [
        refuse("DELETE", PATH, &signature, BODY),
        refuse("PUT", "/senders/172.16.1.2", &signature, BODY),
        refuse("PUT", &format!("{PATH}?"), &signature, BODY),
        refuse("PUT", &format!("{PATH}?a=b"), &signature, BODY),
        refuse("PUT", PATH, &signature, &BODY.replace("24", "25")),
        refuse("PUT", PATH, &signature, ""),
        refuse("PUT", PATH, &signature.replace(&seconds.to_string(), &(seconds - 1).to_string()), BODY),
        refuse("PUT", PATH, &signature.replace(NONCE, "0123456789abcdee"), BODY),
    ] {
        assert!(message.contains("wrong signature"), "{message}");
    }
    assert_eq!(ask(server.address, "GET", "/senders", "").text(), "[]");
    // A rejected request does not use up its nonce.
    assert_eq!(sent(&server, "PUT", PATH, &signature, BODY).status, 200);
}

#[test]
fn an_old_or_future_request_is_rejected() {
    let server = Server::start();
    for seconds in [now() - 310, now() + 310, 0] {
        let message = sent(&server, "GET", "/", &v2("GET", "/", "", seconds, NONCE), "").refusal(401, "UNAUTHORIZED");
        assert!(message.contains("seconds, more than 300: set the clock"), "{message}");
    }
    for (seconds, nonce) in [(now() - 290, "past-0123456789ab"), (now() + 290, "ahead-0123456789")] {
        assert_eq!(sent(&server, "GET", "/", &v2("GET", "/", "", seconds, nonce), "").status, 200);
    }
}

#[test]
fn a_request_is_accepted_once_across_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let start = || Server::with(keys(), |api| api.with_nonce_file(&folder.path().join("nonces")).unwrap());
    // Dated in the future, so that a rule based on the start time would accept it again.
    let signature = v2("GET", "/", "", now() + 200, NONCE);
    let first = start();
    assert_eq!(sent(&first, "GET", "/", &signature, "").status, 200);
    drop(first);
    let message = sent(&start(), "GET", "/", &signature, "").refusal(401, "UNAUTHORIZED");
    assert!(message.contains("was already used"), "{message}");
}

#[test]
fn a_signature_of_version_2_cannot_be_in_the_query() {
    let server = Server::start();
    let path = format!("/?auth={AUTH_KEY}&sign={}", v2("GET", "/", "", now(), NONCE));
    let message = send(server.address, "GET", &path, "", b"").refusal(401, "UNAUTHORIZED");
    assert!(message.contains("in the header X-Io-Sign"), "{message}");
}

#[test]
fn five_hundred_mutated_signatures_of_version_2_are_rejected() {
    let server = Server::start();
    let random = &mut Random::new(0x5eed2);
    let right = v2("PUT", PATH, BODY, now(), NONCE);
    for _ in 0..500 {
        let mut text = right.clone().into_bytes();
        for _ in 0..=random.index(3) {
            let at = random.index(text.len());
            match random.index(5) {
                0 => text[at] ^= 1 << random.index(7),
                1 => drop(text.remove(at)),
                2 => text.insert(at, b"0123456789abcdef;v2-_"[random.index(21)]),
                3 => text.truncate(at.max(2)),
                _ => text.swap(at, random.index(64).min(at)),
            }
        }
        text.retain(|byte| *byte >= b' ' && *byte != 0x7f);
        let text = String::from_utf8_lossy(&text).into_owned();
        // Capital digits do not change the signature.
        let (head, digits) = text.rsplit_once(';').unwrap_or(("", &text));
        if format!("{head};{}", digits.to_lowercase()).trim() == right {
            continue;
        }
        sent(&server, "PUT", PATH, &text, BODY).refusal(401, "UNAUTHORIZED");
    }
    assert_eq!(ask(server.address, "GET", "/senders", "").text(), "[]");
}

/// The signed parts of a request.
#[derive(Clone, PartialEq, Eq)]
struct Parts {
    method: &'static str,
    target: String,
    body: String,
    seconds: u64,
    nonce: String,
}

impl Parts {
    /// A copy with one part changed.
    fn changed(&self, random: &mut Random) -> Self {
        let mut changed = self.clone();
        match random.index(5) {
            0 => changed.method = ["GET", "PUT", "POST", "DELETE", "HEAD", "OPTIONS"][random.index(6)],
            1 => {
                let at = 1 + random.index(changed.target.len() - 1);
                changed
                    .target
                    .replace_range(at..at + 1, ["0", "1", "/", "?", "&", "=", "%31", "a", ""][random.index(9)]);
            }
            2 => {
                let at = random.index(changed.body.len());
                changed.body.replace_range(at..at + 1, ["", "0", "9", " ", "{", "\""][random.index(6)]);
            }
            3 => changed.seconds = changed.seconds - 40 + random.below(80),
            _ => {
                let at = random.index(changed.nonce.len());
                changed.nonce.replace_range(at..at + 1, ["a", "Z", "-", "_", "0"][random.index(5)]);
            }
        }
        changed
    }
}

#[test]
fn five_hundred_changed_requests_are_rejected_with_the_signature_of_the_original() {
    let server = Server::start();
    let random = &mut Random::new(0x5eed3);
    let right = Parts {
        method: "PUT",
        target: format!("{PATH}?a=b"),
        body: BODY.to_owned(),
        seconds: now(),
        nonce: NONCE.to_owned(),
    };
    let signature = v2(right.method, &right.target, &right.body, right.seconds, &right.nonce);
    let (_, digits) = signature.rsplit_once(';').unwrap();
    let (mut refused, mut v1) = (0, 0);
    while refused < 500 {
        let request = right.changed(random);
        if request == right {
            continue;
        }
        let Parts { method, target, body, seconds, nonce } = &request;
        let answer = sent(&server, method, target, &format!("v2;{seconds};{nonce};{digits}"), body);
        assert_eq!(answer.status, 401, "{method} {target} {seconds} {nonce} {body}: {answer:?}");
        refused += 1;
        // Version 1 signs only the body.
        if *body != right.body {
            let answer = sent(&server, method, target, &sign(right.body.as_bytes()), body);
            assert_eq!(answer.status, 401, "{method} {target} {body}: {answer:?}");
            v1 += 1;
        }
    }
    assert!(v1 > 50, "{v1}");
    assert_eq!(ask(server.address, "GET", "/senders", "").text(), "[]");
}

#[test]
fn the_settings_decide_which_versions_are_accepted() {
    let v1 = sign(AUTH_KEY.as_bytes());
    for (signatures, reads, changes) in
        [(Signatures::Compat, 200, 200), (Signatures::CompatRead, 200, 401), (Signatures::Strict, 401, 401)]
    {
        let server = Server::with(keys().accepting(signatures), |api| api);
        let of_v1 = [
            sent(&server, "PUT", PATH, &v1, BODY).status,
            sent(&server, "GET", "/senders", &v1, "").status,
            sent(&server, "DELETE", PATH, &v1, BODY).status,
        ];
        assert_eq!(of_v1, [changes, reads, changes], "{signatures:?}");
        assert_eq!(sent(&server, "PUT", PATH, &v2("PUT", PATH, BODY, now(), NONCE), BODY).status, 200);
        let question = r#"{"172.16.1.0/24":{"years":["2014"]}}"#;
        assert_eq!(sent(&server, "POST", "/stats/172.16.1.1", &v1, question).status, reads, "{signatures:?}");
    }
}

#[test]
fn a_key_is_limited_to_its_role_and_senders() {
    let reader = Key::new("reader", "reader-auth", "reader-sign").unwrap();
    let reader = reader.limited(Role::Read, Some(vec!["172.16.1.1".parse().unwrap()]));
    let writer = Key::new("writer", "writer-auth", "writer-sign").unwrap().limited(Role::Write, None);
    let server = Server::with(keys().with([reader, writer]), |api| api);
    let mut nonce = 0;
    let mut by = |name: &str, method: &str, target: &str, body: &str| {
        nonce += 1;
        let sign_key = format!("{name}-sign");
        let nonce = format!("nonce-of-a-role-{nonce}");
        let signature = api::sign(&sign_key, method, target, now(), &nonce, body.as_bytes());
        let headers = format!("X-Io-Auth: {name}-auth\r\nX-Io-Sign: {signature}\r\n");
        send(server.address, method, target, &headers, body.as_bytes())
    };
    let message = by("reader", "PUT", PATH, BODY).refusal(403, "FORBIDDEN");
    assert_eq!(message, "this needs a key with the role write; the key that signed has the role read");
    assert_eq!(by("writer", "PUT", PATH, BODY).status, 200);
    assert_eq!(by("reader", "GET", PATH, "").status, 200);
    assert_eq!(by("reader", "GET", "/", "").status, 200);
    // Lists contain only what it may read.
    assert_eq!(by("writer", "PUT", "/senders/172.16.1.2", BODY).status, 200);
    let listed = by("reader", "GET", "/senders", "").json();
    let listed: Vec<_> = listed.as_array().unwrap().iter().map(|sender| &sender["ip"]).collect();
    assert_eq!(listed, ["172.16.1.1"]);
    let message = by("reader", "GET", "/status", "").refusal(403, "FORBIDDEN");
    assert_eq!(message, "the key that signed is valid for these senders only: 172.16.1.1");
    by("reader", "GET", "/senders/172.16.1.2", "").refusal(403, "FORBIDDEN");
    let message = by("writer", "DELETE", PATH, "").refusal(403, "FORBIDDEN");
    assert!(message.contains("the role admin"), "{message}");
    assert_eq!(by("writer", "DELETE", PATH, BODY).status, 200);
    // The signature of another key is not accepted.
    let signature = api::sign("reader-sign", "GET", "/", now(), NONCE, b"");
    send(server.address, "GET", "/", &format!("X-Io-Auth: writer-auth\r\nX-Io-Sign: {signature}\r\n"), b"")
        .refusal(401, "UNAUTHORIZED");
    // The first key still works: both are active during a rotation.
    assert_eq!(ask(server.address, "DELETE", PATH, "").status, 200);
}

#[test]
fn a_client_that_fails_too_often_gets_a_429_and_valid_credentials_are_still_accepted() {
    let server = Server::start();
    let mut refused = 0;
    while refused < 5 {
        match send(server.address, "GET", "/senders", "", b"") {
            answer if answer.status == 429 => {
                refused += 1;
                assert_eq!(answer.header("retry-after"), Some("5"));
                answer.refusal(429, "TOO_MANY_REQUESTS");
            }
            answer => drop(answer.refusal(401, "UNAUTHORIZED")),
        }
        assert_eq!(ask(server.address, "GET", "/", "").status, 200);
    }
}

#[test]
fn a_shell_signs_version_2_with_openssl() {
    let server = Server::with(keys().accepting(Signatures::Strict), |api| api);
    let document = include_str!("../../../../docs/rest.md");
    let (_, rest) = document.split_once("```sh\nsigned()").expect("the document has a function that signs");
    let (function, _) = rest.split_once("\nsigned GET").unwrap();
    let script = format!(
        "authKey=$AUTH_KEY signKey=$SIGN_KEY\nsigned(){function}\nsigned PUT {PATH} '{BODY}'\nsigned GET '{PATH}?'\n"
    );
    let answer = r#"{"ip":"172.16.1.1","last":null,"prefixes":[{"prefix":"172.16.1.0","prefixLen":24}]}"#;
    assert_eq!(shell(server.address, &script), answer.repeat(2));
}
