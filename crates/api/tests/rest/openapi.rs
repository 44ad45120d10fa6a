//! The OpenAPI document is about this server: what it lists is there, and asks for the credentials that it says.

use std::collections::HashSet;

use serde_json::Value;

use crate::client::{ask, send};
use crate::server::Server;

#[test]
fn every_operation_of_the_document_is_there_and_asks_for_credentials_as_it_says() {
    let server = Server::start();
    let document: Value = ask(server.address, "GET", "/openapi.json", "").json();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1."), "{document}");
    let mut operations = HashSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        let asked = path.replace("{sender}", "192.0.2.1");
        for (method, operation) in methods.as_object().unwrap() {
            let method = method.to_uppercase();
            let answer = ask(server.address, &method, &asked, "");
            assert_ne!(answer.status, 405, "{method} {path}");
            assert!(!answer.text().contains("there is nothing at"), "{method} {path}: {answer:?}");
            let open = operation["security"] == serde_json::json!([{}]);
            let unsigned = send(server.address, &method, &asked, "", b"").status;
            assert_eq!(unsigned != 401, open, "{method} {path}");
            assert!(operations.insert(operation["operationId"].as_str().unwrap().to_owned()), "{method} {path}");
        }
    }
    assert!(operations.len() >= 16, "{operations:?}");
}
