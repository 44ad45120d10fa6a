//! Requests to the REST interface, with and without a valid key.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use api::{Api, Keys};
use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Request, StatusCode};
use axum::response::Response;
use flow::Prefix;
use http_body_util::BodyExt;
use storage::{Memory, Registry};
use tokio::runtime::Builder;
use tower::ServiceExt;

const AUTH_KEY: &str = "auth";
const SIGN_KEY: &str = "sign";
const METHODS: [&str; 6] = ["GET", "PUT", "DELETE", "POST", "HEAD", "OPTIONS"];
/// Routes that need no credentials.
const PUBLIC: [&str; 3] = ["/healthz", "/readyz", "/metrics"];
const MOST_HEADERS: usize = 16;

/// A request: an octet whose low bits select the method and whose highest bit means signed; then a line with path and
/// query, header lines, an empty line, and the body.
pub fn request(input: &[u8]) {
    let [choice, text @ ..] = input else { return };
    let (method, is_signed) = (METHODS[usize::from(choice & 0x7f) % METHODS.len()], choice & 0x80 != 0);
    let mut rest = text;
    let mut line = || {
        let end = rest.iter().position(|octet| *octet == b'\n').unwrap_or(rest.len());
        let line = &rest[..end];
        rest = rest.get(end + 1..).unwrap_or_default();
        line
    };
    let target = line();
    let mut request = Request::builder().method(method).uri(target);
    for _ in 0..MOST_HEADERS {
        let header = line();
        if header.is_empty() {
            break;
        }
        let colon = header.iter().position(|octet| *octet == b':').unwrap_or(header.len());
        let name = HeaderName::from_bytes(&header[..colon]);
        let value = HeaderValue::from_bytes(header.get(colon + 1..).unwrap_or_default().trim_ascii());
        if let (Ok(name), Ok(value)) = (name, value) {
            request = request.header(name, value);
        }
    }
    let body = rest.to_vec();
    if is_signed {
        let target = String::from_utf8_lossy(target);
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let signature = api::sign(SIGN_KEY, method, &target, seconds, "0123456789abcdef", &body);
        request = request.header("x-io-auth", AUTH_KEY).header("x-io-sign", signature);
    }
    // The HTTP server refuses everything else.
    let Ok(request) = request.body(Body::from(body)) else { return };
    let path = request.uri().path().to_owned();
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let response = api().await.router().oneshot(request).await.expect("there is always an answer");
        check(method, &path, is_signed, response).await;
    });
}

async fn api() -> Api {
    let store = Arc::new(Memory::default());
    let prefix = Prefix::new(Ipv4Addr::new(172, 16, 1, 0).into(), 24).expect("a first address");
    store.add_prefixes(IpAddr::from([192, 0, 2, 1]), &[prefix]).await.expect("memory takes it");
    let keys = Keys::new(AUTH_KEY, SIGN_KEY).expect("keys");
    Api::new(store, keys, Arc::default())
}

async fn check(method: &str, path: &str, is_signed: bool, response: Response) {
    let status = response.status();
    let is_plain = !response.headers().contains_key("content-encoding");
    let body = response.into_body().collect().await.expect("it has an end").to_bytes();
    // Without a collector, some routes are unavailable.
    let is_unavailable = status == StatusCode::SERVICE_UNAVAILABLE;
    assert!(!status.is_server_error() || is_unavailable, "{method} {path}: {status}");
    assert!(is_signed || PUBLIC.contains(&path) || status.is_client_error(), "{method} {path}: {status}");
    if (status.is_client_error() || status.is_server_error()) && is_plain && method != "HEAD" {
        let error: serde_json::Value = serde_json::from_slice(&body).expect("errors are JSON");
        let has_error = error["status"].is_string() && error["message"].is_string();
        assert!(has_error || path == "/readyz", "{method} {path}: {error}");
    }
}

/// One request of each kind.
pub fn requests() -> Vec<Vec<u8>> {
    let request = |choice: u8, text: &str| [&[choice], text.as_bytes()].concat();
    let stats = r#"{"172.16.1.0/24":{"years":["2026"],"months":["2026-11"],"days":["2026-11-25"],"fields":["all"]}}"#;
    vec![
        request(0x80, "/senders\n\n"),
        request(0x80, "/senders/192.0.2.1\nAccept-Encoding: gzip\n\n"),
        request(0x81, "/senders/192.0.2.1\n\n{\"prefixes\":[{\"prefix\":\"172.16.2.0\",\"prefixLen\":24}]}"),
        request(0x82, "/senders/192.0.2.1\n\n"),
        request(0x83, &format!("/stats/192.0.2.1?tz=Europe/Berlin\nContent-Type: application/json\n\n{stats}")),
        request(
            0x80,
            "/top/192.0.2.1?prefix=172.16.1.0/24&field=srcip&direction=in&from=2026-11-25&to=2026-11-26&n=5&by=bytes\n\n",
        ),
        request(
            0x80,
            "/series/192.0.2.1?prefix=172.16.1.0%2F24&name=proto:6&from=2026-11-25T00:00Z&step=hour&tz=Asia/Kolkata\n\n",
        ),
        request(0x80, "/billing/192.0.2.1?prefix=172.16.1.0/24&month=2026-11\n\n"),
        request(0x80, "/exporters/192.0.2.1\n\n"),
        request(0x80, "/openapi.json\n\n"),
        request(0x00, "/metrics\n\n"),
        request(0x00, "/readyz\n\n"),
        request(0x00, "/senders\nX-Io-Auth: auth\nX-Io-Sign: SHA2-256(stdin)= 00\n\n"),
        request(0x00, "/senders\nX-Io-Auth: auth\nX-Io-Sign: v2 1764000000 0123456789abcdef 00\n\n"),
    ]
}
