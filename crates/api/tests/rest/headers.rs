//! Headers that keep browsers from doing more with an answer than to show it.

use serde_json::Value;

use crate::client::{Answer, ask, send, shell};
use crate::server::Server;

/// The content security policy, after checking the other headers.
fn policy<'a>(answer: &'a Answer, what: &str) -> &'a str {
    for (name, expected) in [
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "no-referrer"),
    ] {
        assert_eq!(answer.header(name), Some(expected), "{what}: {}", answer.head);
    }
    let policy = answer.header("content-security-policy").unwrap_or_else(|| panic!("{what}: {}", answer.head));
    for part in ["default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'"] {
        assert!(policy.split("; ").any(|other| other == part), "{what}: {policy}");
    }
    assert!(!policy.contains("unsafe"), "{what}: {policy}");
    policy
}

#[test]
fn every_answer_has_security_headers() {
    let server = Server::start();
    let document: Value = ask(server.address, "GET", "/openapi.json", "").json();
    let documented = document["paths"].as_object().unwrap().keys().map(|path| path.replace("{sender}", "192.0.2.1"));
    let others = ["/openapi.json", "/openapi.html", "/no/such/path", "/senders/not-an-address"].map(String::from);
    let mut asked = 0;
    for path in documented.chain(others) {
        for method in ["GET", "PUT", "POST", "DELETE", "HEAD", "OPTIONS", "PATCH"] {
            for answer in [ask(server.address, method, &path, ""), send(server.address, method, &path, "", b"")] {
                let policy = policy(&answer, &format!("{method} {path}"));
                assert!(path == "/openapi.html" || !policy.contains("style-src"), "{method} {path}: {policy}");
                asked += 1;
            }
        }
    }
    assert!(asked > 200, "{asked}");
    // Errors of the authentication and of the limits.
    policy(&send(server.address, "PUT", "/senders/192.0.2.1", "X-Io-Auth: x\r\n", b"{"), "no signature");
    policy(&ask(server.address, "PUT", "/senders/192.0.2.1", &" ".repeat(api::BODY_LIMIT_BYTES + 1)), "a large body");
}

#[test]
fn the_page_may_use_its_own_style_and_nothing_else() {
    let server = Server::start();
    let answer = ask(server.address, "GET", "/openapi.html", "");
    let (_, rest) = answer.text().split_once("<style>").unwrap();
    let (style, _) = rest.split_once("</style>").unwrap();
    let script =
        format!("head -c {} <<'STYLE' | openssl dgst -sha256 -binary | openssl base64 -A\n{style}\nSTYLE", style.len());
    let digest = shell(server.address, &script);
    let policy = policy(&answer, "the page");
    assert!(policy.ends_with(&format!("; style-src 'sha256-{digest}'")), "{policy}, not {digest}");
}
