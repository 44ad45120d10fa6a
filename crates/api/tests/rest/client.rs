//! A minimal client that can send invalid requests, and the programs that users run: curl and openssl.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::server::{AUTH_KEY, SIGN_KEY};

/// A response, as received.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// The `message` of an error, after checking that it has the shape of all errors.
    pub(crate) fn refusal(&self, code: u16, status: &str) -> String {
        assert_eq!(self.status, code, "{self:?}");
        let json = self.json();
        assert_eq!(json["status"], status);
        let object = json.as_object().unwrap();
        assert_eq!(object.len(), 2, "{object:?}");
        object["message"].as_str().unwrap().to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(':'));
        lines.find_map(|(key, value)| key.eq_ignore_ascii_case(name).then_some(value.trim()))
    }
}

/// Sends a request, signed over the authKey.
pub(crate) fn ask(server: SocketAddr, method: &str, path: &str, body: &str) -> Answer {
    send(server, method, path, &credentials(), body.as_bytes())
}

/// The header lines with a signature over the authKey.
pub(crate) fn credentials() -> String {
    format!("X-Io-Auth: {AUTH_KEY}\r\nX-Io-Sign: {}\r\n", sign(AUTH_KEY.as_bytes()))
}

/// Sends a request with these header lines.
pub(crate) fn send(server: SocketAddr, method: &str, path: &str, headers: &str, body: &[u8]) -> Answer {
    let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    let head = format!("{method} {path} HTTP/1.1\r\nHost: netflow\r\nConnection: close\r\n{headers}{length}\r\n");
    let mut request = head.into_bytes();
    request.extend_from_slice(body);
    exchange(server, &request)
}

/// Sends bytes and reads until the server closes.
pub(crate) fn exchange(server: SocketAddr, request: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(server).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    // The server may answer and close before it has read everything.
    let _ = stream.write_all(request);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    parse(&answer)
}

fn parse(answer: &[u8]) -> Answer {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n");
    let end = end.unwrap_or_else(|| panic!("no answer: {:?}", String::from_utf8_lossy(answer)));
    let head = String::from_utf8(answer[..end].to_vec()).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head, body: answer[end + 4..].to_vec() }
}

/// What openssl prints for these bytes, without the line feed.
pub(crate) fn openssl(arguments: &[&str], input: &[u8]) -> String {
    run("openssl", arguments, input).trim_end().to_owned()
}

/// The hexadecimal signature of these bytes, by the same HMAC crate as the server. Another test compares it with
/// openssl.
pub(crate) fn sign(bytes: &[u8]) -> String {
    sign_with(SIGN_KEY, bytes)
}

/// As [`sign`], with another signKey.
pub(crate) fn sign_with(sign_key: &str, bytes: &[u8]) -> String {
    use hmac::{Hmac, KeyInit, Mac};
    let mac = Hmac::<sha2::Sha256>::new_from_slice(sign_key.as_bytes()).unwrap().chain_update(bytes);
    mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Runs a shell script as a user would, with the keys and the URL in its environment.
pub(crate) fn shell(server: SocketAddr, script: &str) -> String {
    let mut command = Command::new("bash");
    command.args(["-euo", "pipefail", "-c", script]);
    command.env("AUTH_KEY", AUTH_KEY).env("SIGN_KEY", SIGN_KEY).env("URL", format!("http://{server}"));
    output(command, b"")
}

fn run(program: &str, arguments: &[&str], input: &[u8]) -> String {
    let mut command = Command::new(program);
    command.args(arguments);
    output(command, input)
}

fn output(mut command: Command, input: &[u8]) -> String {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("program");
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
