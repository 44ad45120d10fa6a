//! `/senders`, `/` and unknown paths.

use flow::Timestamp;
use serde_json::json;
use storage::{Reason, StoreError};

use crate::client::{ask, send, sign};
use crate::server::{AUTH_KEY, Server};

fn body(prefixes: &[(&str, u64)]) -> String {
    let prefixes: Vec<_> =
        prefixes.iter().map(|(prefix, length)| json!({"prefix": prefix, "prefixLen": length})).collect();
    json!({ "prefixes": prefixes }).to_string()
}

#[test]
fn the_root_answers_200() {
    let server = Server::start();
    let answer = ask(server.address, "GET", "/", "");
    assert_eq!((answer.status, answer.text()), (200, r#"{"status":"OK"}"#));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
}

#[test]
fn put_creates_the_sender_and_adds_prefixes_of_both_families() {
    let server = Server::start();
    ask(server.address, "GET", "/senders/172.16.1.1", "").refusal(404, "NOT_FOUND");
    assert!(!server.was_notified());

    let answer = ask(server.address, "PUT", "/senders/172.16.1.1", &body(&[("172.16.1.0", 24)]));
    assert_eq!(answer.status, 200);
    assert_eq!(answer.text(), r#"{"ip":"172.16.1.1","last":null,"prefixes":[{"prefix":"172.16.1.0","prefixLen":24}]}"#);
    assert!(server.was_notified());

    ask(
        server.address,
        "PUT",
        "/senders/172.16.1.1",
        &body(&[("2001:db8::", 32), ("10.0.0.0", 24), ("172.16.1.0", 24)]),
    );
    assert!(server.was_notified());
    let expected = json!({"ip": "172.16.1.1", "last": null, "prefixes": [
        {"prefix": "10.0.0.0", "prefixLen": 24},
        {"prefix": "172.16.1.0", "prefixLen": 24},
        {"prefix": "2001:db8::", "prefixLen": 32},
    ]});
    assert_eq!(ask(server.address, "GET", "/senders/172.16.1.1", "").json(), expected);
    assert!(!server.was_notified());
}

#[test]
fn settings_are_put_beside_prefixes_or_alone_and_shown_if_they_are_no_defaults() {
    let server = Server::start();
    let put = |body: &str| ask(server.address, "PUT", "/senders/172.16.1.1", body);
    let mut expected = json!({"ip": "172.16.1.1", "last": null, "prefixes": [{"prefix": "10.0.0.0", "prefixLen": 8}]});
    let both =
        r#"{"samplingRate": 1000, "prefixes": [{"prefix": "10.0.0.0", "prefixLen": 8}], "natAddresses": "inside"}"#;
    expected["samplingRate"] = json!(1000);
    expected["natAddresses"] = json!("inside");
    assert_eq!(put(both).json(), expected);
    expected["flowDirection"] = json!("egress");
    expected["outCounters"] = json!("reverse");
    expected["tunnels"] = json!("inner");
    expected["identity"] = json!("agent");
    let others = r#"{"flowDirection": "egress", "outCounters": "reverse", "samplingRate": "1000", "tunnels": "inner",
        "identity": "agent"}"#;
    assert_eq!(put(others).json(), expected);
    assert_eq!(ask(server.address, "GET", "/senders", "").json(), json!([expected]));
    let defaults = r#"{"samplingRate": null, "natAddresses": "reported", "outCounters": null, "flowDirection": "both",
        "tunnels": null, "identity": "source"}"#;
    let prefixes_only = json!({"ip": "172.16.1.1", "last": null, "prefixes": expected["prefixes"]});
    assert_eq!(put(defaults).json(), prefixes_only);
    for (body, reason) in [
        (
            r#"{"samplingRate": 0}"#,
            "samplingRate: samplingRate is '0'; it must be a whole number from 1 to 4294967295, or 'announced'",
        ),
        (r#"{"samplingRate": 1.5}"#, "samplingRate: samplingRate is '1.5'; it must be a whole number from 1"),
        (r#"{"outCounters": true}"#, "outCounters: "),
        (r#"{"flowDirektion": "both"}"#, "flowDirektion: unknown key; did you mean flowDirection?"),
        ("{}", "prefixes: is missing"),
    ] {
        let answer = put(body);
        let text = String::from_utf8(answer.body.clone()).unwrap();
        assert!(answer.status == 400 && text.contains(reason), "{body}: {text}");
    }
    assert_eq!(ask(server.address, "GET", "/senders/172.16.1.1", "").json(), prefixes_only);
}

#[test]
fn the_name_of_a_certificate_is_put_shown_and_removed() {
    let server = Server::start();
    let put = |body: &str| ask(server.address, "PUT", "/senders/172.16.1.1", body);
    let mut expected = json!({"ip": "172.16.1.1", "last": null, "prefixes": [], "certificateName": "r1.example.net"});
    assert_eq!(put(r#"{"certificateName": "R1.example.net"}"#).json(), expected);
    assert!(server.was_notified());
    expected["samplingRate"] = json!(10);
    assert_eq!(put(r#"{"samplingRate": 10}"#).json(), expected);
    assert_eq!(ask(server.address, "GET", "/senders", "").json(), json!([expected]));
    for (body, reason) in [
        (r#"{"certificateName": "*.example.net"}"#, "certificateName: '*.example.net' is not a name of a certificate"),
        (r#"{"certificateName": 1}"#, "certificateName: must be null or a name such as"),
        (r#"{"certificatename": "a"}"#, "certificatename: unknown key; did you mean certificateName?"),
    ] {
        let refused = put(body).refusal(400, "BAD_REQUEST");
        assert!(refused.contains(reason), "{body}: {refused}");
    }
    let without = put(r#"{"certificateName": null}"#).json();
    assert_eq!(without, json!({"ip": "172.16.1.1", "last": null, "prefixes": [], "samplingRate": 10}));
}

#[test]
fn tags_are_replaced_by_those_of_a_request_and_shown_if_there_are_some() {
    let server = Server::start();
    let put = |body: &str| ask(server.address, "PUT", "/senders/172.16.1.1", body);
    let prefixes = r#""prefixes":[{"prefix":"10.0.0.0","prefixLen":8}]"#;
    let shown = |more: &str| format!(r#"{{"ip":"172.16.1.1","last":null,{prefixes}{more}}}"#);
    let tagged = put(&format!(r#"{{"tags":["site-a","edge","edge"],"samplingRate":10,{prefixes}}}"#));
    assert_eq!(tagged.text(), shown(r#","samplingRate":10,"tags":["edge","site-a"]"#));
    assert!(server.was_notified());
    assert_eq!(put(r#"{"samplingRate":null}"#).text(), shown(r#","tags":["edge","site-a"]"#));
    assert_eq!(put(r#"{"tags":["core"]}"#).text(), shown(r#","tags":["core"]"#));
    assert_eq!(ask(server.address, "GET", "/senders", "").text(), format!("[{}]", shown(r#","tags":["core"]"#)));
    for (body, reason) in [
        (r#"{"tags":["edge","a b"]}"#, "tags[1]: 'a b' is not a tag: use 1 to 32 letters, digits"),
        (r#"{"tags":"edge"}"#, "tags: must be a list such as"),
        (r#"{"tags":[1]}"#, "tags[0]: must be a tag such as"),
        (r#"{"tag":["edge"]}"#, "tag: unknown key; did you mean tags?"),
    ] {
        let refused = put(body).refusal(400, "BAD_REQUEST");
        assert!(refused.contains(reason), "{body}: {refused}");
    }
    for none in ["[]", "null"] {
        put(r#"{"tags":["core"]}"#);
        assert_eq!(put(&format!(r#"{{"tags":{none}}}"#)).text(), shown(""));
    }
}

#[test]
fn senders_lists_all_with_the_time_of_their_last_datagram() {
    let server = Server::start();
    assert_eq!(ask(server.address, "GET", "/senders", "").text(), "[]");
    ask(server.address, "PUT", "/senders/2001:db8::1", &body(&[]));
    ask(server.address, "PUT", "/senders/::ffff:10.0.0.1", &body(&[("0.0.0.0", 0)]));
    server.touch("10.0.0.1", Timestamp::new(1_391_317_260, 5_000_000));
    let expected = json!([
        {"ip": "10.0.0.1", "last": "2014-02-02T05:01:00.005Z", "prefixes": [{"prefix": "0.0.0.0", "prefixLen": 0}]},
        {"ip": "2001:db8::1", "last": null, "prefixes": []},
    ]);
    assert_eq!(ask(server.address, "GET", "/senders", "").json(), expected);
    assert_eq!(ask(server.address, "GET", "/senders/2001:DB8:0::1", "").json(), expected[1]);
    assert_eq!(ask(server.address, "GET", "/senders/2001%3Adb8%3A%3A1", "").json(), expected[1]);
}

#[test]
fn delete_removes_prefixes_or_the_sender() {
    let server = Server::start();
    ask(server.address, "PUT", "/senders/10.0.0.1", &body(&[("10.0.0.0", 8), ("10.1.0.0", 16), ("2001:db8::", 32)]));
    assert!(server.was_notified());
    let answer = ask(server.address, "DELETE", "/senders/10.0.0.1", &body(&[("10.0.0.0", 8), ("192.0.2.0", 24)]));
    assert_eq!(
        answer.json()["prefixes"],
        json!([
            {"prefix": "10.1.0.0", "prefixLen": 16},
            {"prefix": "2001:db8::", "prefixLen": 32},
        ])
    );
    assert!(server.was_notified());
    assert_eq!(ask(server.address, "DELETE", "/senders/10.0.0.1", "").text(), r#"{"status":"OK"}"#);
    assert!(server.was_notified());
    ask(server.address, "GET", "/senders/10.0.0.1", "").refusal(404, "NOT_FOUND");
    ask(server.address, "DELETE", "/senders/10.0.0.1", "").refusal(404, "NOT_FOUND");
    let message =
        ask(server.address, "DELETE", "/senders/10.0.0.1", &body(&[("10.0.0.0", 8)])).refusal(404, "NOT_FOUND");
    assert_eq!(message, "10.0.0.1 is not a registered sender: PUT /senders/10.0.0.1 registers it");
}

#[test]
fn an_invalid_request_is_an_error_with_the_right_form_and_changes_nothing() {
    let server = Server::start();
    ask(server.address, "PUT", "/senders/10.0.0.1", &body(&[("10.0.0.0", 8)]));
    let before = ask(server.address, "GET", "/senders", "").text().to_owned();
    assert!(server.was_notified());
    let good = r#"{"prefix":"192.0.2.0","prefixLen":24}"#;
    for (wrong, expected) in [
        (
            r#"{"prefix":"172.16.1.5","prefixLen":24}"#,
            "prefixes[1].prefix: 172.16.1.5 is not the first address of its /24: did you mean 172.16.1.0/24?",
        ),
        (
            r#"{"prefix":"2001:db8::1","prefixLen":32}"#,
            "prefixes[1].prefix: 2001:db8::1 is not the first address of its /32: did you mean 2001:db8::/32?",
        ),
        (
            r#"{"prefix":"10.0.0.0","prefixLen":33}"#,
            "prefixes[1].prefixLen: prefix length 33 of 10.0.0.0 is out of range: it is 0 to 32",
        ),
        (
            r#"{"prefix":"2001:db8::","prefixLen":129}"#,
            "prefixes[1].prefixLen: prefix length 129 of 2001:db8:: is out of range: it is 0 to 128",
        ),
        (r#"{"prefix":"10.0.0.0","prefixLen":18446744073709551615}"#, "is out of range: it is 0 to 32"),
        (
            r#"{"prefix":"10.0.0.0","prefixLen":-1}"#,
            "prefixes[1].prefixLen: must be a whole number from 0 to 32, not -1",
        ),
        (
            r#"{"prefix":"10.0.0.0","prefixLen":24.5}"#,
            "prefixes[1].prefixLen: must be a whole number from 0 to 32, not 24.5",
        ),
        (r#"{"prefix":"10.0.0.0","prefixLen":1e999}"#, "out of range"),
        (
            r#"{"prefix":"::","prefixLen":"0"}"#,
            r#"prefixes[1].prefixLen: must be a whole number from 0 to 128, not "0""#,
        ),
        (r#"{"prefix":"10.0.0.0"}"#, "prefixes[1].prefixLen: is missing"),
        (r#"{"prefixLen":8}"#, "prefixes[1].prefix: is missing"),
        (r#"{"prefix":"10.0.0.0","prefixLne":8}"#, "prefixes[1].prefixLne: unknown key; did you mean prefixLen?"),
        (r#"{"prefix":"10.0.0.0/8","prefixLen":8}"#, "with the length in prefixLen"),
        (r#"{"prefix":"10.0.0","prefixLen":8}"#, r#"prefixes[1].prefix: "10.0.0" is not an address"#),
        (r#"{"prefix":167772160,"prefixLen":8}"#, "prefixes[1].prefix: must be an address such as"),
        (r#"{"prefix":"10.0.0.0","prefix":"11.0.0.0","prefixLen":8}"#, r#"duplicate key "prefix""#),
        (r#""10.0.0.0/8""#, "prefixes[1]: must be an object such as"),
    ] {
        let sent = format!(r#"{{"prefixes":[{good},{wrong}]}}"#);
        for method in ["PUT", "DELETE"] {
            let message = ask(server.address, method, "/senders/10.0.0.1", &sent).refusal(400, "BAD_REQUEST");
            assert!(message.contains(expected), "{sent}\n{message}\n{expected}");
        }
    }
    for (sent, expected) in [
        ("{}", "prefixes: is missing"),
        ("[]", "body: must be an object such as {\"prefixes\":"),
        ("null", "body: must be an object"),
        (r#"{"prefixes":{}}"#, "prefixes: must be a list such as [{"),
        (r#"{"prefixes":[],"prefix":1}"#, "prefix: unknown key; did you mean prefixes?"),
        (r#"{"prefixes":[}"#, "invalid JSON"),
        (r#"{"prefixes":[]} x"#, "invalid JSON"),
        (" ", "invalid JSON"),
    ] {
        for method in ["PUT", "DELETE"] {
            let message = ask(server.address, method, "/senders/10.0.0.1", sent).refusal(400, "BAD_REQUEST");
            assert!(message.contains(expected), "{sent}\n{message}\n{expected}");
        }
    }
    let message = ask(server.address, "PUT", "/senders/10.0.0.1", "").refusal(400, "BAD_REQUEST");
    assert_eq!(message, r#"the body is empty: send {"prefixes":[{"prefix":"172.16.1.0","prefixLen":24}]}"#);
    assert_eq!(ask(server.address, "GET", "/senders", "").text(), before);
    assert!(!server.was_notified());
}

#[test]
fn an_address_in_the_path_is_checked() {
    let server = Server::start();
    for path in ["/senders/router1", "/senders/10.0.0.0%2F8", "/senders/10.0.0.256", "/senders/[::1]", "/senders/%00"] {
        let message = ask(server.address, "GET", path, "").refusal(400, "BAD_REQUEST");
        assert!(message.contains("in the path is not an IP address"), "{message}");
    }
    ask(server.address, "GET", "/senders/%ff", "").refusal(400, "BAD_REQUEST");
}

#[test]
fn an_address_that_no_datagram_comes_from_is_not_registered() {
    let server = Server::start();
    let before = ask(server.address, "GET", "/senders", "").text().to_owned();
    for (path, address) in [("0.0.0.0", "0.0.0.0"), ("::", "::"), ("::ffff:0.0.0.0", "0.0.0.0")] {
        let sent = body(&[("10.0.0.0", 8)]);
        let message = ask(server.address, "PUT", &format!("/senders/{path}"), &sent).refusal(400, "BAD_REQUEST");
        assert!(message.starts_with(&format!("{address} is no source address of datagrams")), "{message}");
    }
    assert_eq!(ask(server.address, "GET", "/senders", "").text(), before);
}

#[test]
fn ten_thousand_prefixes_fit_into_a_request() {
    let server = Server::start();
    let texts: Vec<String> = (0..10_000).map(|n| format!("10.{}.{}.0", n / 256, n % 256)).collect();
    let prefixes: Vec<(&str, u64)> = texts.iter().map(|text| (text.as_str(), 24)).collect();
    let sent = body(&prefixes);
    let answer = ask(server.address, "PUT", "/senders/10.0.0.1", &sent);
    assert_eq!(answer.json()["prefixes"].as_array().unwrap().len(), 10_000);
    assert_eq!(ask(server.address, "DELETE", "/senders/10.0.0.1", &sent).json()["prefixes"], json!([]));
}

#[test]
fn unknown_paths_and_methods_list_the_valid_ones() {
    let server = Server::start();
    for path in ["/sender", "/senders/10.0.0.1/x", "/stats/", "//", "/senders/"] {
        let message = ask(server.address, "GET", path, "").refusal(404, "NOT_FOUND");
        assert!(message.contains("/senders/<address>"), "{message}");
    }
    for (method, path, allow) in [
        ("PATCH", "/senders/10.0.0.1", "GET,HEAD,PUT,DELETE"),
        ("POST", "/senders", "GET,HEAD"),
        ("GET", "/stats/10.0.0.1", "POST"),
        ("GET", "/stats", "POST"),
        ("POST", "/top", "GET,HEAD"),
        ("TRACE", "/", "GET,HEAD"),
    ] {
        let answer = ask(server.address, method, path, "");
        answer.refusal(405, "METHOD_NOT_ALLOWED");
        assert_eq!(answer.header("allow"), Some(allow));
        let options = ask(server.address, "OPTIONS", path, "");
        assert_eq!((options.status, options.header("allow"), options.text()), (204, Some(allow), ""));
    }
}

#[test]
fn head_answers_as_get_without_the_body() {
    let server = Server::start();
    let get = ask(server.address, "GET", "/senders", "");
    let head = ask(server.address, "HEAD", "/senders", "");
    assert_eq!((head.status, head.text()), (200, ""));
    assert_eq!(head.header("content-length"), get.header("content-length"));
    assert_eq!(ask(server.address, "HEAD", "/senders/10.0.0.1", "").status, 404);
}

#[test]
fn an_unreachable_store_is_a_503_and_a_broken_one_a_500_without_internals() {
    for (failure, code, status) in [
        (StoreError::Retry as fn(Reason) -> StoreError, 503, "SERVICE_UNAVAILABLE"),
        (StoreError::Reject, 500, "INTERNAL_SERVER_ERROR"),
        (StoreError::Corrupt, 500, "INTERNAL_SERVER_ERROR"),
    ] {
        let server = Server::broken(failure);
        for (method, path, sent) in [
            ("GET", "/senders", ""),
            ("GET", "/senders/10.0.0.1", ""),
            ("PUT", "/senders/10.0.0.1", r#"{"prefixes":[]}"#),
            ("DELETE", "/senders/10.0.0.1", r#"{"prefixes":[]}"#),
            ("DELETE", "/senders/10.0.0.1", ""),
            ("POST", "/stats/10.0.0.1", "{}"),
        ] {
            let answer = ask(server.address, method, path, sent);
            let message = answer.refusal(code, status);
            assert!(!message.contains("SECRET"), "{message}");
            assert_eq!(answer.header("retry-after"), (code == 503).then_some("5"));
        }
        // An unreachable store may still have made the change; a rejected request did not.
        assert_eq!(server.was_notified(), code == 503);
    }
}

#[test]
fn the_content_type_of_a_body_does_not_matter() {
    let server = Server::start();
    for kind in ["", "Content-Type: application/x-www-form-urlencoded\r\n", "Content-Type: text/json\r\n"] {
        let headers = format!("X-Io-Auth: {AUTH_KEY}\r\nX-Io-Sign: {}\r\n{kind}", sign(AUTH_KEY.as_bytes()));
        let answer = send(server.address, "PUT", "/senders/10.0.0.1", &headers, body(&[("10.0.0.0", 8)]).as_bytes());
        assert_eq!(answer.status, 200, "{kind}");
    }
}
