//! `/networks`, and the names of networks in other answers.

use serde_json::{Value, json};

use crate::client::ask;
use crate::server::Server;

fn list(server: &Server) -> Value {
    ask(server.address, "GET", "/networks", "").json()
}

#[test]
fn a_network_is_put_replaced_shown_and_removed() {
    let server = Server::start();
    assert_eq!(list(&server), json!([]));
    let office = json!({"prefix": "192.0.2.0/24", "name": "office", "customer": "customer-a", "tags": ["a", "b"], "as": 64500, "senders": ["tag:edge", "172.16.1.1"]});
    let mut body = office.clone();
    body.as_object_mut().unwrap().remove("prefix");
    let put = |path: &str, body: &str| ask(server.address, "PUT", path, body);
    assert_eq!(put("/networks/192.0.2.0/24", &body.to_string()).json(), office);
    assert!(server.was_notified());
    assert_eq!(put("/networks/2001:db8::/32", "{}").json(), json!({"prefix": "2001:db8::/32", "senders": ["all"]}));
    let none = json!({"prefix": "2001:db8::/32", "senders": []});
    assert_eq!(put("/networks/2001:db8::/32", r#"{"senders":[]}"#).json(), none);
    assert_eq!(list(&server), json!([office, none]));
    assert_eq!(ask(server.address, "GET", "/networks/192.0.2.0/24", "").json(), office);
    assert_eq!(ask(server.address, "DELETE", "/networks/192.0.2.0/24", "").json(), json!({"status": "OK"}));
    ask(server.address, "GET", "/networks/192.0.2.0/24", "").refusal(404, "NOT_FOUND");
    ask(server.address, "DELETE", "/networks/192.0.2.0/24", "").refusal(404, "NOT_FOUND");
    assert_eq!(list(&server), json!([none]));
    // They are kept under an address that is no sender.
    assert_eq!(ask(server.address, "GET", "/senders", "").json(), json!([]));
    ask(server.address, "GET", "/senders/::", "").refusal(404, "NOT_FOUND");
    ask(server.address, "DELETE", "/senders/::", "").refusal(404, "NOT_FOUND");
    assert_eq!(list(&server), json!([none]));
}

#[test]
fn unknown_parameters_are_refused_and_bills_have_the_name_of_the_network() {
    let server = Server::start();
    ask(server.address, "PUT", "/networks/192.0.2.0/24", r#"{"name":"office"}"#);
    ask(server.address, "PUT", "/senders/172.16.1.1", "{\"prefixes\":[]}");
    for path in ["/networks?name=office", "/networks/192.0.2.0/24?names=1"] {
        ask(server.address, "GET", path, "").refusal(400, "BAD_REQUEST");
    }
    let bill =
        |query: &str| ask(server.address, "GET", &format!("/billing/172.16.1.1?prefix=192.0.2.0/24{query}"), "").json();
    assert!(bill("").get("network").is_none());
    assert_eq!(bill("&names=0").get("network"), None);
    assert_eq!(bill("&local=exclude").get("network"), None);
}

#[test]
fn an_invalid_network_is_refused_with_the_place() {
    let server = Server::start();
    for (path, body, message) in [
        ("192.0.2.1/24", "{}", "192.0.2.1 is not the first address of its /24: did you mean 192.0.2.0/24?"),
        ("192.0.2.0/x", "{}", "\"192.0.2.0/x\" in the path is not a prefix: use one such as /networks/172.16.1.0/24"),
        ("0.0.0.0/0", "{}", "0.0.0.0/0 contains all addresses, so it is no network of yours"),
        ("10.0.0.0/8", r#"{"nam":"x"}"#, "nam: unknown key; did you mean name?"),
        ("10.0.0.0/8", r#"{"name":"a b"}"#, "name: name is 'a b'; it must be a letter followed by"),
        ("10.0.0.0/8", r#"{"tags":["a",1]}"#, "tags[1]: must be a text, not 1"),
        ("10.0.0.0/8", r#"{"as":0}"#, "as: as is '0'; it must be an AS number from 1 to 4294967294"),
        ("10.0.0.0/8", r#"{"senders":["edge"]}"#, "senders: senders: 'edge' selects no sender: use all"),
    ] {
        let answer = ask(server.address, "PUT", &format!("/networks/{path}"), body);
        let refused = answer.json()["message"].as_str().unwrap().to_owned();
        assert!(answer.status == 400 && refused.contains(message), "{path} {body}: {refused}");
    }
    assert_eq!(list(&server), json!([]));
}

#[test]
fn senders_show_the_networks_that_they_count_and_keep_their_own_prefixes() {
    let server = Server::start();
    let prefix = |text: &str| {
        let (address, length) = text.split_once('/').unwrap();
        json!({"prefix": address, "prefixLen": length.parse::<u8>().unwrap()})
    };
    ask(server.address, "PUT", "/networks/192.0.2.0/24", r#"{"name":"office"}"#);
    ask(server.address, "PUT", "/networks/198.51.100.0/24", r#"{"senders":["tag:edge"]}"#);
    ask(server.address, "PUT", "/senders/172.16.1.1", &json!({"prefixes": [prefix("192.0.2.128/25")]}).to_string());
    let shown = |query: &str| ask(server.address, "GET", &format!("/senders/172.16.1.1{query}"), "").json();
    assert_eq!(shown("")["prefixes"], json!([prefix("192.0.2.0/24"), prefix("192.0.2.128/25")]));
    assert_eq!(ask(server.address, "GET", "/senders", "").json(), json!([shown("")]));
    ask(server.address, "PUT", "/senders/172.16.1.1", r#"{"tags":["edge"]}"#);
    assert_eq!(shown("")["prefixes"].as_array().unwrap().len(), 3);
    let removed = json!({"prefixes": [prefix("192.0.2.0/24")]}).to_string();
    let refused = ask(server.address, "DELETE", "/senders/172.16.1.1", &removed);
    assert!(
        refused.json()["message"].as_str().unwrap().contains("counts 192.0.2.0/24 because it is one of the networks")
    );
    ask(server.address, "DELETE", "/senders/172.16.1.1", &json!({"prefixes": [prefix("192.0.2.128/25")]}).to_string());
    assert_eq!(shown("")["prefixes"], json!([prefix("192.0.2.0/24"), prefix("198.51.100.0/24")]));
}
