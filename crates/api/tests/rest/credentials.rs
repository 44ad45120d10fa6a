//! Keys and signatures: what is accepted, what is rejected, and what an error discloses.

use crate::client::{ask, openssl, send, shell, sign};
use crate::server::{AUTH_KEY, SIGN_KEY, Server};

const BODY: &str = r#"{"prefixes":[{"prefix":"172.16.1.0","prefixLen":24}]}"#;

fn headers(auth: &str, sign: &str) -> String {
    format!("X-Io-Auth: {auth}\r\nX-Io-Sign: {sign}\r\n")
}

/// Escapes for a query.
fn escape(text: &str) -> String {
    text.bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

fn base64(text: &str) -> String {
    openssl(&["base64", "-A"], text.as_bytes())
}

#[test]
fn both_output_formats_of_openssl_are_accepted() {
    let server = Server::start();
    let printed = openssl(&["dgst", "-sha256", "-hmac", SIGN_KEY], AUTH_KEY.as_bytes());
    let (_, hex) = printed.split_once("(stdin)= ").unwrap();
    assert_eq!(hex, sign(AUTH_KEY.as_bytes()));
    for signature in
        [printed.as_str(), hex, &hex.to_uppercase(), &format!("(stdin)= {hex}"), &format!("SHA2-256(stdin)= {hex}")]
    {
        assert_eq!(send(server.address, "GET", "/", &headers(AUTH_KEY, signature), b"").status, 200, "{signature}");
    }
}

#[test]
fn the_body_may_be_signed_instead_of_the_key() {
    let server = Server::start();
    let put = |signed: &str, sent: &str| {
        send(
            server.address,
            "PUT",
            "/senders/172.16.1.1",
            &headers(AUTH_KEY, &sign(signed.as_bytes())),
            sent.as_bytes(),
        )
    };
    assert_eq!(put(BODY, BODY).status, 200);
    put(BODY, &BODY.replace("24", "25")).refusal(401, "UNAUTHORIZED");
    put(BODY, "").refusal(401, "UNAUTHORIZED");
    // An empty body is signed too, but adds nothing.
    put("", "").refusal(400, "BAD_REQUEST");
}

#[test]
fn a_body_in_chunks_is_signed_as_a_whole() {
    let server = Server::start();
    let (first, second) = BODY.split_at(20);
    let chunks = format!("{:x}\r\n{first}\r\n{:x}\r\n{second}\r\n0\r\n\r\n", first.len(), second.len());
    let lines = headers(AUTH_KEY, &sign(BODY.as_bytes())) + "Transfer-Encoding: chunked\r\nConnection: close\r\n";
    let request = format!("PUT /senders/172.16.1.1 HTTP/1.1\r\nHost: a\r\n{lines}\r\n{chunks}");
    assert_eq!(crate::client::exchange(server.address, request.as_bytes()).status, 200);
}

#[test]
fn credentials_may_be_in_the_query() {
    let server = Server::start();
    let printed = format!("SHA2-256(stdin)= {}", sign(AUTH_KEY.as_bytes()));
    for signature in [&sign(AUTH_KEY.as_bytes()), &printed] {
        let path = format!("/senders?auth={}&sign={}", escape(AUTH_KEY), escape(signature));
        assert_eq!(send(server.address, "GET", &path, "", b"").status, 200, "{path}");
    }
    // Each of the two may be in a header or in the query.
    let path = format!("/senders?sign={}", sign(AUTH_KEY.as_bytes()));
    assert_eq!(send(server.address, "GET", &path, &format!("X-Io-Auth: {AUTH_KEY}\r\n"), b"").status, 200);
    // Headers take precedence.
    let path = format!("/senders?auth={}&sign={}", escape(AUTH_KEY), sign(AUTH_KEY.as_bytes()));
    send(server.address, "GET", &path, &headers(AUTH_KEY, &sign(b"x")), b"").refusal(401, "UNAUTHORIZED");
}

#[test]
fn the_payload_is_the_signed_text() {
    let server = Server::start();
    let query = |signed: &str, payload: &str| {
        format!("?auth={}&sign={}&payload={payload}", escape(AUTH_KEY), sign(signed.as_bytes()))
    };
    let text = "any text that was signed?>";
    let path = format!("/senders{}", query(text, &escape(&base64(text))));
    assert_eq!(send(server.address, "GET", &path, "", b"").status, 200);
    // As in the address bar of a browser: an unescaped plus means a space.
    let path = format!("/senders{}", query(text, base64(text).trim_end_matches('=')));
    assert_eq!(send(server.address, "GET", &path, "", b"").status, 200);
    let path = format!("/senders{}", query("other", &base64(text)));
    send(server.address, "GET", &path, "", b"").refusal(401, "UNAUTHORIZED");
    let path = format!("/senders{}", query(text, "%21%21"));
    assert!(send(server.address, "GET", &path, "", b"").refusal(401, "UNAUTHORIZED").contains("payload is not base64"));
}

#[test]
fn a_signed_payload_replaces_a_missing_body_and_never_signs_another() {
    let server = Server::start();
    let path = |payload: &str, signed: &str| {
        let (auth, payload) = (escape(AUTH_KEY), escape(&base64(payload)));
        format!("/senders/172.16.1.1?auth={auth}&payload={payload}&sign={}", sign(signed.as_bytes()))
    };
    let other = BODY.replace("172.16.1.0", "10.0.0.0");
    let signed = path(BODY, BODY);
    let refused = send(server.address, "PUT", &signed, "", other.as_bytes()).refusal(401, "UNAUTHORIZED");
    assert!(refused.contains("differs from the signed payload"), "{refused}");
    assert_eq!(ask(server.address, "GET", "/senders", "").text(), "[]");

    assert_eq!(send(server.address, "PUT", &signed, "", b"").json()["prefixes"][0]["prefix"], "172.16.1.0");
    assert_eq!(send(server.address, "PUT", &signed, "", BODY.as_bytes()).status, 200);
    // If the key is signed, the body is used.
    let keyed = path(AUTH_KEY, AUTH_KEY);
    let answer = send(server.address, "PUT", &keyed, "", other.as_bytes()).json();
    assert_eq!(answer["prefixes"].as_array().unwrap().len(), 2);
    // A payload that is not a list of prefixes does not remove the sender, although a missing body does.
    send(server.address, "DELETE", &path("x", "x"), "", b"").refusal(400, "BAD_REQUEST");
    assert_eq!(send(server.address, "DELETE", &signed, "", b"").json()["prefixes"].as_array().unwrap().len(), 1);
    assert_eq!(send(server.address, "DELETE", &keyed, "", b"").text(), r#"{"status":"OK"}"#);
    assert_eq!(ask(server.address, "GET", "/senders", "").text(), "[]");
}

#[test]
fn an_error_names_what_is_missing_but_not_which_part_is_wrong() {
    let server = Server::start();
    let refuse = |headers: &str| {
        let answer = send(server.address, "GET", "/senders", headers, b"");
        assert_eq!(answer.header("www-authenticate"), Some("X-Io-Sign"));
        answer.refusal(401, "UNAUTHORIZED")
    };
    assert!(refuse("").contains("header X-Io-Auth"));
    assert!(refuse(&format!("X-Io-Auth: {AUTH_KEY}\r\n")).contains("header X-Io-Sign"));
    assert!(refuse(&headers(AUTH_KEY, "abc")).contains("64 hexadecimal digits"));
    assert!(refuse(&headers("other", "abc")).contains("64 hexadecimal digits"));
    let wrong = refuse(&headers(AUTH_KEY, &sign(b"other")));
    assert_eq!(refuse(&headers("other", &sign(AUTH_KEY.as_bytes()))), wrong);
    assert_eq!(refuse(&headers("other", &sign(b"other"))), wrong);
    assert_eq!(refuse(&headers("", &sign(b""))), wrong);
}

#[test]
fn every_path_and_method_asks_for_credentials_first() {
    let server = Server::start();
    for method in ["GET", "PUT", "POST", "DELETE", "OPTIONS", "PATCH"] {
        for path in ["/", "/senders", "/senders/172.16.1.1", "/senders/x", "/stats/172.16.1.1", "/nothing", "/%ff"] {
            send(server.address, method, path, "", b"").refusal(401, "UNAUTHORIZED");
        }
    }
}

#[test]
fn curl_signs_as_the_original_documents() {
    let server = Server::start();
    let answer = shell(
        server.address,
        r#"
        SIGNED_KEY=$(echo -n "$AUTH_KEY" | openssl dgst -sha256 -hmac "$SIGN_KEY")
        curl -sS -X PUT -d '{"prefixes":[{"prefix":"2001:db8::","prefixLen":32}]}' \
            -H "X-Io-Auth: $AUTH_KEY" -H "X-Io-Sign: $SIGNED_KEY" "$URL/senders/172.16.1.1"
        BODY='{"prefixes":[{"prefix":"10.0.0.0","prefixLen":24}]}'
        curl -sS -X PUT -d "$BODY" -H "X-Io-Auth: $AUTH_KEY" \
            -H "X-Io-Sign: $(echo -n "$BODY" | openssl dgst -sha256 -hmac "$SIGN_KEY" -r | cut -c 1-64)" \
            "$URL/senders/172.16.1.1"
        curl -sS -G --data-urlencode "auth=$AUTH_KEY" --data-urlencode "sign=$SIGNED_KEY" "$URL/senders"
        "#,
    );
    let first = r#"{"ip":"172.16.1.1","last":null,"prefixes":[{"prefix":"2001:db8::","prefixLen":32}]}"#;
    let second = r#"{"ip":"172.16.1.1","last":null,"prefixes":[{"prefix":"10.0.0.0","prefixLen":24},{"prefix":"2001:db8::","prefixLen":32}]}"#;
    assert_eq!(answer, format!("{first}{second}[{second}]"));
}
