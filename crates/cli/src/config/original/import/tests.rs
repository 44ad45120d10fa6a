use super::*;

/// A file as netflow.io has them: its settings, nested and flat, with comments.
const SAMPLE: &str = r#"
# where flows come from
include "secrets"
server {
  cores = 6                  // of 8
  statuslog = "10 seconds"
  debugStackTraces = true
}
admin.authKey = "3f8a0c5e-0000-4000-8000-000000000001"
admin.signKey = ${NF_SIGN_KEY}
http {
  listen = [ "0.0.0.0:8080", "[::]:8080" ]
  gzip = false
  maxContentLength = 10m
  tcp { noDelay = true, soLinger = 0 }
  ssl.pass = "do not show"
}
storage = cql
nodes = [ "10.0.0.1", "10.0.0.2" ]
cassandra {
  hosts = ${nodes} [ "10.0.0.3" ]
  keyspace = netflow_io
  minConns = 5
  readTimeout = 60000
  keyspaceConfig = "WITH replication = {'class':'SimpleStrategy', 'replication_factor':1}"
}
netflow.listen = [ "0.0.0.0:2055", "[2001:db8::4]:2055" ]
netflow.persist = false
netflow.calculateSamples = yes
netflow.extraFields = true
sflow.listen = [ "somewhere:6343" ]
sflow.persist = true
"#;

const CONVERTED: &str = r#"# Made by netflow config import of a file of netflow.io.
# It has keys: let nobody else read it (chmod 600).

storage = "cassandra"

[server]
cores = 6
statuslog = "10s"

[admin]
authKey = "3f8a0c5e-0000-4000-8000-000000000001"

[http]
listen = "0.0.0.0:8080"

[netflow]
listen = ["0.0.0.0:2055", "[2001:db8::4]:2055"]
calculateSamples = true

[cassandra]
hosts = ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
keyspace = "netflow_io"
keyspaceConfig = "WITH replication = {'class':'SimpleStrategy', 'replication_factor':1}"

[archive]
enabled = true

# Not taken over:
# line 3: include "secrets" is not followed: import that file too
# line 7: server.debugStackTraces: errors have no stack traces; server.logLevel = "debug" logs more
# line 10: admin.signKey is from the variable NF_SIGN_KEY of the environment: set the variable NETFLOW__ADMIN__SIGN_KEY instead
# line 12: http.listen has one address: the others are left out
# line 13: http.gzip: answers are compressed for clients that accept gzip
# line 14: http.maxContentLength: the size of requests has fixed limits (docs/rest.md, Limits)
# line 15: http.tcp.noDelay: sockets of the REST interface use the defaults of the kernel, with TCP_NODELAY
# line 15: http.tcp.soLinger: sockets of the REST interface use the defaults of the kernel, with TCP_NODELAY
# line 16: http.ssl.pass: set admin.tls.certificate and admin.tls.key to PEM files, which openssl pkcs12 makes of a p12 file
# line 19: nodes: it is no setting of netflow.io that is known here
# line 23: cassandra.minConns: connections to the nodes and requests on them are managed automatically
# line 24: cassandra.readTimeout: timeouts are fixed, and while the nodes are unreachable, the spool keeps what is to be stored: set spool.maxBytes
# line 30: netflow.extraFields: all fields of templates are decoded, and the archive keeps them (docs/columns.md)
# line 31: sflow.listen is "somewhere:6343"; it must be <address>:<port>, such as "0.0.0.0:2055" or "[::]:2055"
"#;

/// The configuration of a text in TOML.
fn load(text: &str) -> Result<Config, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("netflow.toml");
    std::fs::write(&path, text).unwrap();
    Config::load(Some(&path), []).map(|loaded| loaded.config).map_err(|error| error.to_string())
}

#[test]
fn a_file_of_netflow_io_becomes_toml_with_the_reasons_for_what_is_left_out() {
    let converted = import(SAMPLE).unwrap();
    assert_eq!(converted, CONVERTED);
    let config = load(&converted).unwrap();
    assert_eq!(config.cassandra.hosts.len(), 3);
    assert_eq!(config.admin.auth_key.unwrap().expose(), "3f8a0c5e-0000-4000-8000-000000000001");
}

#[test]
fn settings_of_the_first_versions_are_converted() {
    let first = "redis.host = \"db\"\nredis.port = 6380\nbackend.pollInterval = 10\nudp.listen = \"0.0.0.0:9999, 0.0.0.0:2055\"\n";
    let converted = import(first).unwrap();
    let config = load(&converted).unwrap();
    assert_eq!((config.storage, config.redis.hosts), (crate::config::Storage::Redis, vec!["db:6380".to_owned()]));
    assert_eq!(config.netflow.listen.len(), 2);
    assert!(converted.contains("# line 3: backend.pollInterval: set flushInterval"), "{converted}");
}

#[test]
fn an_empty_file_has_the_defaults_that_differ() {
    let converted = import("").unwrap();
    assert_eq!(load(&converted).unwrap(), Config::default());
    for name in ["storage", "http.listen", "archive.enabled"] {
        assert!(converted.contains(&format!("# {name}: ")), "{converted}");
    }
    assert!(!import("netflow.persist = false\nsflow.persist = off").unwrap().contains("# archive.enabled"));
}

#[test]
fn durations_of_hocon_are_converted() {
    for (text, expected) in [
        ("10 seconds", Some(10)),
        ("10s", Some(10)),
        ("5000", Some(5)),
        ("2 minutes", Some(120)),
        ("1h", Some(3600)),
        ("1 day", Some(86_400)),
        ("1500 ms", None),
        ("", None),
        ("ten", None),
        ("99999999999999999999s", None),
        ("9999999999999999d", None),
    ] {
        assert_eq!(seconds(text), expected, "{text}");
    }
}

#[test]
fn whatever_is_converted_is_a_valid_configuration() {
    let right = SAMPLE.as_bytes();
    let mut random = testing::Random::new(5);
    let mut converted = 0;
    for _ in 0..1_000 {
        let mut file = right.to_vec();
        for _ in 0..=random.below(3) {
            testing::mutate(&mut random, &mut file, right);
        }
        let Ok(text) = String::from_utf8(file) else { continue };
        let Ok(toml) = import(&text) else { continue };
        converted += 1;
        load(&toml).unwrap_or_else(|error| panic!("{text}\n{toml}\n{error}"));
    }
    assert!(converted > 100, "{converted}");
    let injected =
        import("\"a\\n[admin]\\nauthKey\" = x\ninclude \"a\rb\"\nadmin.authKey = \"\\u007f\\n'''\\\"\\\"\\\"\"")
            .unwrap();
    assert_eq!(load(&injected).unwrap().admin.auth_key.unwrap().expose(), "\u{7f}\n'''\"\"\"");
}
