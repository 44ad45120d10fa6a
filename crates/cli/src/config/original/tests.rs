use std::ffi::OsString;

use super::*;
use crate::config::{Config, Storage};

/// The configuration of a file with this text and these variables.
fn load(name: &str, text: &str, variables: &[(&str, &str)]) -> Result<Config, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    let environment = variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
    let read = Config::load(Some(&path), environment).map(|loaded| loaded.config);
    read.map_err(|error| error.to_string().replace(&format!("{}/", folder.path().display()), ""))
}

#[test]
fn every_setting_of_netflow_io_that_there_is_not_is_answered_by_name() {
    for row in DROPPED {
        let expected = format!(": unknown key '{}', which is of netflow.io: {}", row.name, row.reason);
        let message = load("netflow.toml", &format!("{} = 1", row.name), &[]).unwrap_err();
        assert!(message.lines().next().unwrap().ends_with(&expected), "{message}");
        let variable = key::variable(row.name);
        let message = load("netflow.toml", "", &[(&variable, "1")]).unwrap_err();
        assert_eq!(
            message,
            format!("unknown variable {variable} of {}, which is of netflow.io: {}", row.name, row.reason)
        );
    }
}

#[test]
fn sections_of_netflow_io_are_answered_once() {
    let message = load("netflow.toml", "[http.tcp]\nnoDelay = true\nsoLinger = 0", &[]).unwrap_err();
    assert!(
        message.starts_with("netflow.toml:1:7: unknown key 'http.tcp', which is of netflow.io: sockets"),
        "{message}"
    );
    let variable = load("netflow.toml", "", &[("NETFLOW__HTTP__TCP__NO_DELAY", "true")]).unwrap_err();
    assert!(variable.contains("of http.tcp, which is of netflow.io: sockets"), "{variable}");
}

#[test]
fn no_row_hides_a_setting() {
    for row in DROPPED {
        assert!(crate::config::KEYS.iter().all(|key| !is_within(key.name, row.name, ".")), "{}", row.name);
    }
}

#[test]
fn cassandra_may_be_called_cql() {
    assert_eq!(load("netflow.toml", "storage = \"cql\"", &[]).unwrap().storage, Storage::Cassandra);
    assert_eq!(load("netflow.toml", "", &[("NETFLOW__STORAGE", "cql")]).unwrap().storage, Storage::Cassandra);
}

#[test]
fn a_file_in_hocon_is_an_error_that_names_the_command_that_converts_it() {
    for text in [
        "netflow {\n  listen = [ \"0.0.0.0:2055\" ]\n}\n",
        "// comment\nserver.cores = 2\n",
        "include \"other.conf\"\n",
        "admin.authKey = ${KEY}\n",
        "http.maxContentLength = 10m\n",
    ] {
        let message = load("application.conf", text, &[]).unwrap_err();
        let hint = "; the file is HOCON, as those of netflow.io: 'netflow config import ";
        assert!(message.contains(hint) && message.contains("application.conf' converts it"), "{message}");
    }
    for text in ["dataDir = \"x\"\n[http\nlisten = 1\n", "storage = redis\n", "server { cores = \n"] {
        let message = load("netflow.toml", text, &[]).unwrap_err();
        assert!(!message.contains("HOCON"), "{message}");
    }
}

#[test]
fn passwords_of_netflow_io_show_in_no_error() {
    let message = load("netflow.toml", "http.ssl.pass = \"geheim\"\n[http.ssl]\np12 = \"x\"", &[]).unwrap_err();
    assert!(!message.contains("geheim"), "{message}");
}
