//! Mutated requests: none is authenticated, none makes the server fail.

use testing::Random;

use crate::client::{ask, send, sign};
use crate::server::{AUTH_KEY, Server};

const BODY: &str = r#"{"prefixes":[{"prefix":"172.16.1.0","prefixLen":24}]}"#;

#[test]
fn five_hundred_mutated_signatures_are_rejected() {
    let server = Server::start();
    let right = sign(AUTH_KEY.as_bytes());
    let random = &mut Random::new(0x5eed);
    for round in 0..500 {
        let mut text = if round % 2 == 0 { right.clone() } else { format!("SHA2-256(stdin)= {right}") }.into_bytes();
        for _ in 0..=random.index(3) {
            let at = random.index(text.len());
            match random.index(5) {
                0 => text[at] ^= 1 << random.index(7),
                1 => drop(text.remove(at)),
                2 => text.insert(at, b"0123456789abcdef= ()-"[random.index(21)]),
                3 => text.truncate(at.max(2)),
                _ => text.swap(at, random.index(64).min(at)),
            }
        }
        text.retain(|byte| *byte >= b' ' && *byte != 0x7f);
        // Capitals, surrounding spaces and another name of the digest do not change the signature.
        let digits = String::from_utf8_lossy(&text).to_lowercase();
        let digits = digits.split_once("(stdin)=").map_or(&*digits, |(_, digits)| digits).trim().to_owned();
        if digits == right {
            continue;
        }
        let mut headers = format!("X-Io-Auth: {AUTH_KEY}\r\nX-Io-Sign: ").into_bytes();
        headers.extend_from_slice(&text);
        headers.extend_from_slice(b"\r\n");
        let headers = String::from_utf8(headers).unwrap();
        let answer = send(server.address, "PUT", "/senders/172.16.1.1", &headers, BODY.as_bytes());
        answer.refusal(401, "UNAUTHORIZED");
    }
    assert_eq!(ask(server.address, "GET", "/senders", "").text(), "[]");
}

#[test]
fn mutated_requests_never_make_the_server_fail() {
    let server = Server::start();
    let random = &mut Random::new(0xfeed);
    for round in 0..1_000 {
        let mut body = BODY.as_bytes().to_vec();
        for _ in 0..=random.index(4) {
            let at = random.index(body.len());
            match random.index(3) {
                0 => body[at] = u8::try_from(random.index(256)).unwrap(),
                1 => drop(body.remove(at)),
                _ => body.insert(at, br#"{}[]",:0123456789abcdef\/nulltrue"#[random.index(33)]),
            }
        }
        let method = ["PUT", "DELETE"][random.index(2)];
        // Half of them are signed, so that the mutation reaches the routes.
        let signature = if round % 2 == 0 { sign(&body) } else { sign(AUTH_KEY.as_bytes()) };
        let headers = format!("X-Io-Auth: {AUTH_KEY}\r\nX-Io-Sign: {signature}\r\n");
        let status = send(server.address, method, "/senders/172.16.1.1", &headers, &body).status;
        assert!(matches!(status, 200 | 400 | 404), "{status}: {}", String::from_utf8_lossy(&body));
    }
}

#[test]
fn mutated_heads_never_make_the_server_fail() {
    let server = Server::start();
    let random = &mut Random::new(0xbead);
    let right = format!(
        "GET /senders/10.0.0.1?payload=YQ%3d%3d HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Io-Auth: {AUTH_KEY}\r\n\
         X-Io-Sign: {}\r\n\r\n\r\n",
        sign(AUTH_KEY.as_bytes())
    );
    for _ in 0..500 {
        let mut head = right.clone().into_bytes();
        for _ in 0..=random.index(3) {
            let at = random.index(head.len() - 8);
            head[at] = u8::try_from(random.index(256)).unwrap();
        }
        // Closing the connection ends a head without an empty line.
        let status = exchange_until_closed(&server, &head);
        assert!(
            status.is_none_or(|status| (400..500).contains(&status)),
            "{status:?}: {}",
            String::from_utf8_lossy(&head)
        );
    }
    assert_eq!(ask(server.address, "GET", "/", "").status, 200);
}

fn exchange_until_closed(server: &Server, request: &[u8]) -> Option<u16> {
    use std::io::{Read, Write};
    use std::net::{Shutdown, TcpStream};
    let mut stream = TcpStream::connect(server.address).unwrap();
    let _ = stream.write_all(request);
    let _ = stream.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let text = String::from_utf8_lossy(&answer);
    text.split(' ').nth(1)?.parse().ok()
}
