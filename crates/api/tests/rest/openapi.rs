//! The OpenAPI document matches the server: the listed operations exist, and require the documented credentials.

use std::collections::HashSet;
use std::process::Command;

use api::Api;
use serde_json::Value;

use crate::client::{ask, send, shell};
use crate::server::{Server, keys};

#[test]
fn every_documented_operation_exists_and_requires_the_documented_credentials() {
    let server = Server::with(keys(), Api::with_web);
    let document: Value = ask(server.address, "GET", "/openapi.json", "").json();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1."), "{document}");
    let mut operations = HashSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        let asked = path.replace("{sender}", "192.0.2.1");
        for (method, operation) in methods.as_object().unwrap() {
            let method = method.to_uppercase();
            let answer = ask(server.address, &method, &asked, "");
            assert_ne!(answer.status, 405, "{method} {path}");
            assert!(!answer.text().contains("no such path"), "{method} {path}: {answer:?}");
            let schemes = operation["security"].as_array().map(Vec::as_slice).unwrap_or_default();
            let open = schemes.contains(&serde_json::json!({}));
            let unsigned = send(server.address, &method, &asked, "", b"").status;
            assert_eq!(unsigned != 401, open, "{method} {path}");
            assert!(operations.insert(operation["operationId"].as_str().unwrap().to_owned()), "{method} {path}");
        }
    }
    assert!(operations.len() >= 16, "{operations:?}");
}

#[test]
fn the_page_shows_every_operation_and_needs_nothing_else() {
    let server = Server::start();
    let document: Value = ask(server.address, "GET", "/openapi.json", "").json();
    let answer = ask(server.address, "GET", "/openapi.html", "");
    assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"));
    let page = answer.text();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            assert!(page.contains(&format!("<code>{} {path}</code></h2>", method.to_uppercase())), "{method} {path}");
        }
    }
    // Every link points to the page itself.
    for link in page.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        let name = link.strip_prefix('#').unwrap_or_else(|| panic!("{link} is not on this page"));
        assert!(page.contains(&format!("id=\"{name}\"")), "{link} leads nowhere");
    }
    assert!(!page.contains("src=") && !page.contains("<script"));
    // Who has no key yet reads how to sign.
    for path in ["/openapi.html", "/openapi.json"] {
        assert_eq!(send(server.address, "GET", path, "", b"").status, 200);
        assert_eq!(send(server.address, "POST", path, "", b"").status, 401);
    }
}

/// The code of the page, each as its text.
fn code(page: &str, opened: &str) -> Vec<String> {
    let plain =
        |text: &str| text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&");
    page.split(opened).skip(1).map(|rest| plain(rest.split("</code>").next().unwrap())).collect()
}

#[test]
fn the_requests_of_the_page_work_as_it_signs_them() {
    let server = Server::with(keys(), Api::with_web);
    let page = send(server.address, "GET", "/openapi.html", "", b"");
    let signing = code(page.text(), "<pre><code>").remove(0);
    assert_eq!(signing.lines().count(), 5);
    let signing = signing.replace(". data/keys; URL=http://127.0.0.1:8080", "authKey=$AUTH_KEY signKey=$SIGN_KEY");
    let mut requests = code(page.text(), "<pre class=\"example\"><code>");
    assert!(requests.len() >= 25, "{requests:?}");
    // What has no end, and what has no collector or archive here.
    requests.retain(|request| {
        !["'/tap", "'/events", "'/exporters", "'/unknown", "'/status", "'/readers", "'/flows", "'/doctor"]
            .iter()
            .any(|path| request.contains(path))
    });
    let answers = code(page.text(), "<pre class=\"answer\"><code>");
    assert!(answers.len() >= 15, "docs/rest.md has more: {answers:?}");
    for answer in answers {
        assert!(serde_json::from_str::<Value>(&answer).is_ok(), "{answer}");
    }
    requests.sort_by_key(|request| (!request.contains(" PUT "), request.contains(" DELETE ")));
    assert!(requests.len() >= 15, "{requests:?}");
    for request in requests {
        let answer = shell(server.address, &format!("{signing}\n{request}"));
        for refusal in ["BAD_REQUEST", "UNAUTHORIZED", "NOT_FOUND", "METHOD_NOT_ALLOWED", "FORBIDDEN"] {
            assert!(!answer.contains(refusal), "{request}: {answer}");
        }
    }
}

#[test]
fn a_browser_reads_the_page() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let (page, picture) = (folder.path().join("page.html"), folder.path().join("page.png"));
    std::fs::write(&page, ask(server.address, "GET", "/openapi.html", "").body).unwrap();
    let browse = |what: String| {
        let profile = format!("--user-data-dir={}", folder.path().join("profile").display());
        let flags =
            ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1000,1400"];
        let output = Command::new("chromium").args(flags).args([profile, what]).arg(&page).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let read = browse("--dump-dom".to_owned());
    assert!(read.contains("<h2 id=\"top\"><code>GET /top/{sender}</code></h2>"), "{read}");
    assert!(read.contains("<td><code>prefix</code> <small>query, required</small></td>"), "{read}");
    browse(format!("--screenshot={}", picture.display()));
    assert!(std::fs::metadata(&picture).unwrap().len() > 20_000, "something is shown");
}
