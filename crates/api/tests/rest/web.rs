//! The web interface: its files, and what they may do.

use api::Api;

use crate::client::{Answer, ask, send};
use crate::server::{Server, keys};

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
    img-src 'self' data: blob:; font-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

fn server() -> Server {
    Server::with(keys(), Api::with_web)
}

/// A request without credentials.
fn get(server: &Server, path: &str, headers: &str) -> Answer {
    send(server.address, "GET", path, headers, b"")
}

fn check_headers(answer: &Answer, cache: &str) {
    for (name, expected) in [
        ("content-security-policy", POLICY),
        ("cache-control", cache),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("x-frame-options", "DENY"),
        ("vary", "accept-encoding"),
    ] {
        assert_eq!(answer.header(name), Some(expected), "{name}: {}", answer.head);
    }
}

#[test]
fn every_url_of_the_page_is_the_page_and_needs_no_credentials() {
    let server = server();
    for path in ["/", "/?x=1", "/web", "/web/", "/web/now", "/web/flows?filter=port+53&group=srcip", "/web/a/b"] {
        let answer = get(&server, path, "");
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/html; charset=utf-8")), "{path}");
        assert!(answer.body == web::INDEX.content, "{path}");
        check_headers(&answer, "no-store");
        assert_eq!(send(server.address, "HEAD", path, "", b"").body, b"");
    }
    assert_eq!(ask(server.address, "GET", "/", "").json(), serde_json::json!({"status": "OK"}));
    send(server.address, "GET", "/", "X-Io-Auth: x\r\n", b"").refusal(401, "UNAUTHORIZED");
    for (method, path) in [("POST", "/"), ("POST", "/web/now"), ("PUT", "/assets/x"), ("GET", "/webs"), ("GET", "/now")]
    {
        send(server.address, method, path, "", b"").refusal(401, "UNAUTHORIZED");
    }
}

#[test]
fn what_the_page_loads_never_changes_and_is_compressed_when_it_was_built() {
    let server = server();
    for asset in web::ASSETS {
        let path = format!("/assets/{}", asset.name);
        let plain = get(&server, &path, "");
        assert_eq!((plain.status, plain.header("content-type")), (200, Some(asset.media_type)));
        assert!(plain.body == asset.content, "{path}");
        check_headers(&plain, "public, max-age=31536000, immutable");
    }
    for name in ["x.js", "..%2findex.html", "%2e%2e", "index.html"] {
        get(&server, &format!("/assets/{name}"), "").refusal(404, "NOT_FOUND");
    }
}

#[test]
fn a_client_that_has_a_file_does_not_get_it_again() {
    let server = server();
    let paths = web::ASSETS.iter().map(|asset| (format!("/assets/{}", asset.name), asset));
    for (path, file) in paths.chain([("/web/now".to_owned(), &web::INDEX)]) {
        let mut tags = Vec::new();
        for (accepts, content) in [("", Some(file.content)), ("Accept-Encoding: br, gzip\r\n", file.gzip)] {
            let answer = get(&server, &path, accepts);
            let Some(content) = content else { continue };
            assert!(answer.body == content, "{path} {accepts}");
            assert_eq!(answer.header("content-encoding"), (!accepts.is_empty()).then_some("gzip"));
            assert_eq!(answer.header("content-length"), Some(&*content.len().to_string()));
            let tag = answer.header("etag").unwrap().to_owned();
            let again = get(&server, &path, &format!("{accepts}If-None-Match: \"x\", W/{tag}\r\n"));
            assert_eq!((again.status, &*again.body, again.header("etag")), (304, &b""[..], Some(&*tag)));
            assert_eq!(get(&server, &path, &format!("{accepts}If-None-Match: \"x\"\r\n")).status, 200);
            tags.push(tag);
        }
        assert!(tags.len() < 2 || tags[0] != tags[1], "one tag for two sequences of octets");
    }
}

#[test]
fn without_the_web_interface_there_is_nothing_of_it() {
    let server = Server::start();
    for path in ["/", "/web", "/web/now", "/assets/x.js", "/session/nonce", "/session"] {
        get(&server, path, "").refusal(401, "UNAUTHORIZED");
        get(&server, path, "Cookie: netflow=x\r\n").refusal(401, "UNAUTHORIZED");
        if path != "/" {
            ask(server.address, "GET", path, "").refusal(404, "NOT_FOUND");
        }
    }
    assert_eq!(ask(server.address, "GET", "/", "").status, 200);
    send(server.address, "POST", "/session", "X-Netflow: 1\r\n", b"{}").refusal(401, "UNAUTHORIZED");
}

#[test]
fn nothing_but_the_page_and_the_login_is_served_without_credentials() {
    let server = server();
    let document = ask(server.address, "GET", "/openapi.json", "").json();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys().map(|method| method.to_uppercase()) {
            let public = ["/healthz", "/readyz", "/metrics", "/session/nonce"].contains(&&**path)
                || (&*method, &**path) == ("POST", "/session");
            let asked = path.replace("{sender}", "192.0.2.1");
            let answer = send(server.address, &method, &asked, "", b"");
            let is_page = answer.body == web::INDEX.content;
            assert_eq!(is_page, path == "/", "{method} {path}");
            assert_eq!(answer.status != 401, public || is_page, "{method} {path}");
        }
    }
}
