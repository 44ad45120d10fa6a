//! Mutated requests: none gets in, none makes the server fail.

use crate::client::{ask, send, sign};
use crate::server::{AUTH_KEY, Server};

/// Numbers that are the same in every run (Marsaglia, xorshift64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).unwrap()
    }
}

const BODY: &str = r#"{"prefixes":[{"prefix":"172.16.1.0","prefixLen":24}]}"#;

#[test]
fn five_hundred_mutated_signatures_get_nowhere() {
    let server = Server::start();
    let right = sign(AUTH_KEY.as_bytes());
    let random = &mut Random(0x5eed);
    for round in 0..500 {
        let mut text = if round % 2 == 0 { right.clone() } else { format!("SHA2-256(stdin)= {right}") }.into_bytes();
        for _ in 0..=random.below(3) {
            let at = random.below(text.len());
            match random.below(5) {
                0 => text[at] ^= 1 << random.below(7),
                1 => drop(text.remove(at)),
                2 => text.insert(at, b"0123456789abcdef= ()-"[random.below(21)]),
                3 => text.truncate(at.max(1)),
                _ => text.swap(at, random.below(64).min(at)),
            }
        }
        text.retain(|byte| *byte >= b' ' && *byte != 0x7f);
        // Capitals, spaces around and another name of the digest are the same signature.
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
fn mutated_requests_never_make_it_fail() {
    let server = Server::start();
    let random = &mut Random(0xfeed);
    for round in 0..1_000 {
        let mut body = BODY.as_bytes().to_vec();
        for _ in 0..=random.below(4) {
            let at = random.below(body.len());
            match random.below(3) {
                0 => body[at] = u8::try_from(random.below(256)).unwrap(),
                1 => drop(body.remove(at)),
                _ => body.insert(at, br#"{}[]",:0123456789abcdef\/nulltrue"#[random.below(33)]),
            }
        }
        let method = ["PUT", "DELETE"][random.below(2)];
        // Half of them are signed, so that the mutation meets the routes.
        let signature = if round % 2 == 0 { sign(&body) } else { sign(AUTH_KEY.as_bytes()) };
        let headers = format!("X-Io-Auth: {AUTH_KEY}\r\nX-Io-Sign: {signature}\r\n");
        let status = send(server.address, method, "/senders/172.16.1.1", &headers, &body).status;
        assert!(matches!(status, 200 | 400 | 404), "{status}: {}", String::from_utf8_lossy(&body));
    }
}

#[test]
fn mutated_heads_never_make_it_fail() {
    let server = Server::start();
    let random = &mut Random(0xbead);
    let right = format!(
        "GET /senders/10.0.0.1?payload=YQ%3d%3d HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Io-Auth: {AUTH_KEY}\r\n\
         X-Io-Sign: {}\r\n\r\n\r\n",
        sign(AUTH_KEY.as_bytes())
    );
    for _ in 0..500 {
        let mut head = right.clone().into_bytes();
        for _ in 0..=random.below(3) {
            let at = random.below(head.len() - 8);
            head[at] = u8::try_from(random.below(256)).unwrap();
        }
        // The end of the connection ends a head that lost its empty line.
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
