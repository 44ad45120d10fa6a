//! `netflow flows` gets its answer in lines, and ends the reading in the collector when nobody waits for it: at an address that
//! never answers to the end.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::collector::PATIENCE;

const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n";
const PROGRESS: &str = "{\"progress\":{\"from\":\"2026-11-29T00:00:00Z\",\"percent\":7}}\n";

/// A question that was asked, and its connection, on which lines can be sent.
struct Asked {
    command: Child,
    connection: TcpStream,
}

impl Asked {
    fn question() -> Self {
        let collector = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_netflow"));
        let command = command
            .args(["flows", "--last", "7d", "--by", "srcip"])
            .env("NETFLOW_URL", format!("http://{}", collector.local_addr().unwrap()))
            .env("NETFLOW_AUTH_KEY", "a")
            .env("NETFLOW_SIGN_KEY", "b")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (mut connection, _) = collector.accept().unwrap();
        connection.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            let mut octet = [0];
            connection.read_exact(&mut octet).unwrap();
            head.push(char::from(octet[0]));
        }
        assert!(head.starts_with("GET /flows/top?") && head.contains("stream=1"), "{head}");
        connection.write_all(HEAD.as_bytes()).unwrap();
        Self { command, connection }
    }

    fn send(&mut self, line: &str) -> std::io::Result<()> {
        write!(self.connection, "{:x}\r\n{line}\r\n", line.len())
    }

    /// Sends lines until the command has ended, then checks that its connection has, too. Returns its code.
    fn ended(mut self) -> Option<i32> {
        let end = Instant::now() + PATIENCE;
        let status = loop {
            // The collector notices by this that nobody waits.
            let _ = self.send(PROGRESS);
            if let Some(status) = self.command.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < end, "the command continues");
            std::thread::sleep(Duration::from_millis(20));
        };
        assert!(matches!(self.connection.read(&mut [0]), Ok(0) | Err(_)), "the connection is open");
        status.code()
    }
}

#[test]
fn a_closed_pipe_ends_the_question() {
    let mut asked = Asked::question();
    asked.send(PROGRESS).unwrap();
    drop(asked.command.stdout.take());
    assert_eq!(asked.ended(), Some(0), "as when the reader of the answer closes it");
}

#[test]
fn a_signal_ends_the_question() {
    let mut asked = Asked::question();
    asked.send(PROGRESS).unwrap();
    // As Ctrl-C does, which is ignored by what runs in the background of a shell, such as this test may.
    kill_process(Pid::from_child(&asked.command), Signal::TERM).unwrap();
    assert_eq!(asked.ended(), None, "it ends by the signal");
}

#[test]
fn an_error_at_the_end_is_a_refusal_and_progress_is_for_terminals() {
    let mut asked = Asked::question();
    for line in [PROGRESS, "{\"error\":{\"status\":\"UNPROCESSABLE_ENTITY\",\"message\":\"too many groups\"}}\n"] {
        asked.send(line).unwrap();
    }
    let output = asked.command.wait_with_output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(errors.contains("the collector refuses (UNPROCESSABLE_ENTITY): too many groups"), "{errors}");
    assert!(!errors.contains("7 %"), "{errors}");
    assert_ne!(output.status.code(), Some(0));
}
