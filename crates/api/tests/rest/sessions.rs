//! Sessions of browsers: login, what a cookie permits, and logout.

use api::{Api, Key, Role};
use serde_json::{Value, json};

use crate::client::{Answer, ask, send, sign, sign_with};
use crate::server::{AUTH_KEY, Server, keys};

const SENDER: &str = "/senders/192.0.2.1";
const BODY: &str = r#"{"prefixes":[{"prefix":"172.16.1.0","prefixLen":24}]}"#;
/// What the page sends with a request that changes something; the tests' client names this host.
const OWN: &str = "X-Netflow: 1\r\nOrigin: http://netflow\r\n";

/// With a key that permits everything, one that reads, and one that is limited to a sender.
fn server() -> Server {
    let sender = vec!["192.0.2.1".parse().unwrap()];
    let reads = Key::new("reads", "r", "s").unwrap().limited(Role::Read, None);
    let limited = Key::new("limited", "l", "s").unwrap().limited(Role::Write, Some(sender));
    Server::with(keys().with([reads, limited]), Api::with_web)
}

fn nonce(server: &Server) -> String {
    let answer = send(server.address, "GET", "/session/nonce", "", b"");
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["nonce"].as_str().unwrap().to_owned()
}

fn post(server: &Server, headers: &str, login: &Value) -> Answer {
    send(server.address, "POST", "/session", headers, login.to_string().as_bytes())
}

fn log_in_with(server: &Server, auth_key: &str, sign_key: &str) -> Answer {
    let nonce = nonce(server);
    let sign = sign_with(sign_key, nonce.as_bytes());
    post(server, OWN, &json!({"authKey": auth_key, "nonce": nonce, "sign": sign}))
}

/// The header line with the cookie that an answer sets.
fn cookie(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{answer:?}");
    let set = answer.header("set-cookie").unwrap();
    let (cookie, attributes) = set.split_once("; ").unwrap();
    assert_eq!(attributes, "HttpOnly; SameSite=Strict; Path=/");
    assert_eq!(cookie.len(), "netflow=".len() + 64);
    format!("Cookie: {cookie}\r\n")
}

fn admin(server: &Server) -> String {
    let nonce = nonce(server);
    let sign = sign(nonce.as_bytes());
    cookie(&post(server, OWN, &json!({"authKey": AUTH_KEY, "nonce": nonce, "sign": sign})))
}

fn get(server: &Server, path: &str, headers: &str) -> Answer {
    send(server.address, "GET", path, headers, b"")
}

#[test]
fn a_login_gives_a_cookie_that_replaces_signatures_until_the_logout() {
    let server = server();
    let answer = log_in_with(&server, "r", "s");
    let reads = json!({"authKey": "r", "name": "reads", "role": "read", "senders": null});
    assert_eq!(answer.json(), reads);
    let cookie = cookie(&answer);
    assert_eq!(get(&server, "/session", &cookie).json(), reads);
    assert_eq!(get(&server, "/senders", &cookie).text(), "[]");
    let ended = send(server.address, "DELETE", "/session", &format!("{cookie}{OWN}"), b"");
    assert_eq!(ended.json(), json!({"status": "OK"}));
    let removed = ended.header("set-cookie").unwrap();
    assert_eq!(removed, "netflow=; HttpOnly; SameSite=Strict; Path=/; Max-Age=0");
    for path in ["/session", "/senders"] {
        assert!(get(&server, path, &cookie).refusal(401, "UNAUTHORIZED").contains("log in again"));
    }
}

#[test]
fn a_nonce_logs_in_once_and_only_where_it_is_from() {
    let (server, other) = (server(), server());
    let nonce = nonce(&server);
    let login = json!({"authKey": AUTH_KEY, "nonce": nonce, "sign": sign(nonce.as_bytes())});
    let refusal = post(&other, OWN, &login).refusal(401, "UNAUTHORIZED");
    cookie(&post(&server, OWN, &login));
    assert_eq!(post(&server, OWN, &login).refusal(401, "UNAUTHORIZED"), refusal);
    assert_ne!(self::nonce(&server), nonce);
}

#[test]
fn a_refused_login_reveals_nothing_and_gets_no_cookie() {
    let server = server();
    let nonce = nonce(&server);
    let signed = |sign_key| sign_with(sign_key, nonce.as_bytes());
    let refuse = |auth_key: &str, nonce: &str, sign: String| {
        let answer = post(&server, OWN, &json!({"authKey": auth_key, "nonce": nonce, "sign": sign}));
        assert_eq!(answer.header("set-cookie"), None);
        answer.refusal(401, "UNAUTHORIZED")
    };
    let wrong = refuse("r", &nonce, signed("other"));
    assert_eq!(refuse("other", &nonce, signed("s")), wrong);
    assert_eq!(refuse("", &nonce, signed("s")), wrong);
    // A signature that another request has had is none of a login.
    assert_eq!(refuse(AUTH_KEY, AUTH_KEY, sign(AUTH_KEY.as_bytes())), wrong);
    for malformed in [
        json!({}),
        json!([]),
        json!({"authKey": "r", "nonce": nonce}),
        json!({"authKey": "r", "nonce": nonce, "sign": "abc"}),
        json!({"authKey": "r", "nonce": nonce, "sign": signed("s"), "ticket": "x"}),
        json!({"authKey": "r", "nonce": nonce, "sign": signed("s"), "role": "admin"}),
        json!({"ticket": 1}),
    ] {
        post(&server, OWN, &malformed).refusal(400, "BAD_REQUEST");
    }
    send(server.address, "POST", "/session", OWN, b"{").refusal(400, "BAD_REQUEST");
    send(server.address, "POST", "/session", OWN, &vec![b' '; 8193]).refusal(413, "PAYLOAD_TOO_LARGE");
    // None of them has used the nonce.
    cookie(&post(&server, OWN, &json!({"authKey": "r", "nonce": nonce, "sign": signed("s")})));
}

#[test]
fn a_client_may_fail_to_log_in_only_so_often_and_others_still_log_in() {
    let server = server();
    let statuses: Vec<u16> = (0..1100).map(|_| post(&server, OWN, &json!({"ticket": "x"})).status).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 401).count() + refused(&statuses), 1100);
    assert!(statuses.iter().take(1000).all(|status| *status == 401) && refused(&statuses) > 0);
    admin(&server);
}

fn refused(statuses: &[u16]) -> usize {
    statuses.iter().filter(|status| **status == 429).count()
}

#[test]
fn a_page_of_another_host_changes_nothing_and_logs_nobody_in() {
    let server = server();
    let cookie = admin(&server);
    let put = |headers: &str| send(server.address, "PUT", SENDER, &format!("{cookie}{headers}"), BODY.as_bytes());
    for headers in [
        "",
        "X-Netflow: 1\r\n",
        "Origin: http://netflow\r\n",
        "X-Netflow: 1\r\nOrigin: null\r\n",
        "X-Netflow: 1\r\nOrigin: http://netflow.example.com\r\n",
        "X-Netflow: 1\r\nOrigin: http://netflow:8080\r\n",
    ] {
        put(headers).refusal(403, "FORBIDDEN");
        send(server.address, "DELETE", "/session", &format!("{cookie}{headers}"), b"").refusal(403, "FORBIDDEN");
        post(&server, headers, &json!({"ticket": "x"})).refusal(403, "FORBIDDEN");
    }
    assert_eq!(get(&server, "/senders", &cookie).text(), "[]");
    assert_eq!(put(OWN).json()["ip"], "192.0.2.1");
    // A signed request needs neither.
    assert_eq!(ask(server.address, "DELETE", SENDER, "").status, 200);
}

#[test]
fn a_session_has_the_role_of_its_key() {
    let server = server();
    let reads = cookie(&log_in_with(&server, "r", "s"));
    let put = |cookie: &str, path| send(server.address, "PUT", path, &format!("{cookie}{OWN}"), BODY.as_bytes());
    assert!(put(&reads, SENDER).refusal(403, "FORBIDDEN").contains("the role write"));
    let writes = cookie(&log_in_with(&server, "l", "s"));
    assert_eq!(put(&writes, SENDER).status, 200);
    put(&writes, "/senders/192.0.2.2").refusal(403, "FORBIDDEN");
    let delete = send(server.address, "DELETE", SENDER, &format!("{writes}{OWN}"), b"");
    assert!(delete.refusal(403, "FORBIDDEN").contains("the role admin"));
    let remove = send(server.address, "DELETE", SENDER, &format!("{}{OWN}", admin(&server)), b"");
    assert_eq!(remove.status, 200);
}

#[test]
fn a_session_of_a_limited_key_sees_nothing_else_by_url_either() {
    let server = server();
    for sender in [SENDER, "/senders/192.0.2.2"] {
        assert_eq!(ask(server.address, "PUT", sender, BODY).status, 200);
    }
    let answer = log_in_with(&server, "l", "s");
    assert_eq!(answer.json()["senders"], json!(["192.0.2.1"]));
    let limited = cookie(&answer);
    let listed = get(&server, "/senders", &limited).json();
    let listed: Vec<_> = listed.as_array().unwrap().iter().map(|sender| sender["ip"].as_str().unwrap()).collect();
    assert_eq!(listed, ["192.0.2.1"]);
    assert_eq!(get(&server, SENDER, &limited).status, 200);
    for path in [
        "/senders/192.0.2.2",
        "/senders/::ffff:192.0.2.2",
        "/exporters/192.0.2.2",
        "/top/192.0.2.2?prefix=172.16.1.0/24&field=proto",
        "/series/192.0.2.2?prefix=172.16.1.0/24",
        "/series?sender=192.0.2.2&prefix=172.16.1.0/24",
        "/top?sender=192.0.2.1,192.0.2.2&prefix=172.16.1.0/24&field=proto",
        "/billing/192.0.2.2?prefix=172.16.1.0/24",
        "/unknown",
        "/doctor",
        "/status",
        "/networks",
    ] {
        get(&server, path, &limited).refusal(403, "FORBIDDEN");
    }
}

#[test]
fn only_the_right_cookie_counts_and_a_signature_takes_precedence() {
    let server = server();
    let cookie = cookie(&log_in_with(&server, "r", "s"));
    let token = cookie.trim_end().strip_prefix("Cookie: netflow=").unwrap();
    for other in [&token[1..], &format!("{token}0"), &token.replace(&token[..1], "x"), ""] {
        get(&server, "/senders", &format!("Cookie: netflow={other}\r\n")).refusal(401, "UNAUTHORIZED");
    }
    get(&server, "/senders", &format!("Cookie: __Host-netflow={token}\r\n")).refusal(401, "UNAUTHORIZED");
    assert_eq!(get(&server, "/senders", &format!("Cookie: a=b; netflow={token}; c\r\n")).status, 200);
    let signed = format!("{cookie}X-Io-Auth: l\r\nX-Io-Sign: {}\r\n", sign_with("s", b"l"));
    assert_eq!(get(&server, "/session", &signed).json()["name"], "limited");
    let wrong = format!("{cookie}X-Io-Auth: l\r\n");
    get(&server, "/session", &wrong).refusal(401, "UNAUTHORIZED");
    get(&server, &format!("/session?auth=l&sign={}", "0".repeat(64)), &cookie).refusal(401, "UNAUTHORIZED");
}

#[test]
fn a_ticket_logs_in_once_with_the_key_that_signed() {
    let server = server();
    let signed = format!("X-Io-Auth: l\r\nX-Io-Sign: {}\r\n", sign_with("s", b"l"));
    let ticket = || send(server.address, "POST", "/session/ticket", &signed, b"").json()["ticket"].clone();
    let ticket = json!({"ticket": ticket()});
    let answer = post(&server, OWN, &ticket);
    assert_eq!(answer.json()["name"], "limited");
    let cookie = cookie(&answer);
    assert!(post(&server, OWN, &ticket).refusal(401, "UNAUTHORIZED").contains("netflow web"));
    let again = send(server.address, "POST", "/session/ticket", &format!("{cookie}{OWN}"), b"");
    assert!(again.refusal(403, "FORBIDDEN").contains("signed"));
    send(server.address, "POST", "/session/ticket", "", b"").refusal(401, "UNAUTHORIZED");
}

#[test]
fn a_new_login_of_a_browser_ends_its_session() {
    let server = server();
    let first = admin(&server);
    let nonce = nonce(&server);
    let login = json!({"authKey": AUTH_KEY, "nonce": nonce, "sign": sign(nonce.as_bytes())});
    let second = cookie(&post(&server, &format!("{first}{OWN}"), &login));
    get(&server, "/session", &first).refusal(401, "UNAUTHORIZED");
    assert_eq!(get(&server, "/session", &second).status, 200);
}
