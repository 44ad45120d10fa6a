//! `netflow check-config` and `netflow config`: problems that would prevent a start are found before it.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot continue has failed")]

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader};
use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

/// The command in a directory, with settings that work on any machine.
fn netflow(directory: &Path, settings: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_netflow"));
    command
        .current_dir(directory)
        .env("NETFLOW__NETFLOW__LISTEN", "127.0.0.1:0")
        .env("NETFLOW__SFLOW__LISTEN", "")
        .env("NETFLOW__HTTP__LISTEN", "127.0.0.1:0")
        .envs(settings.iter().copied());
    command
}

/// The output and the exit code.
fn run(mut command: Command) -> (String, i32) {
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    (text, output.status.code().unwrap())
}

fn check(directory: &Path, settings: &[(&str, &str)]) -> (String, i32) {
    let mut command = netflow(directory, settings);
    command.arg("check-config");
    run(command)
}

fn first_error(text: &str) -> &str {
    text.lines().find_map(|line| line.strip_prefix("ERROR ")).unwrap_or_else(|| panic!("no error: {text}"))
}

#[test]
fn a_valid_configuration_passes_and_nothing_is_changed() {
    let folder = tempfile::tempdir().unwrap();
    let (text, code) = check(folder.path(), &[]);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("ok    dataDir: data will be created at the start"), "{text}");
    assert!(text.contains("ok    keys: will be generated at the start"), "{text}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn an_unknown_key_is_reported_with_its_line_and_the_nearest() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("n.toml"), "[http]\nlisen = \"127.0.0.1:0\"\n").unwrap();
    let mut command = netflow(folder.path(), &[]);
    command.args(["check-config", "--config", "n.toml"]);
    let (text, code) = run(command);
    assert_eq!(code, 3, "{text}");
    assert!(text.contains("n.toml:2:1: unknown key 'http.lisen'; did you mean 'http.listen'?"), "{text}");
}

#[test]
fn an_address_in_use_is_reported_with_its_process() {
    let folder = tempfile::tempdir().unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    for (variable, key, address) in [
        ("NETFLOW__SFLOW__LISTEN", "sflow.listen", socket.local_addr().unwrap()),
        ("NETFLOW__HTTP__LISTEN", "http.listen", listener.local_addr().unwrap()),
    ] {
        let (text, code) = check(folder.path(), &[(variable, &address.to_string())]);
        assert_eq!(code, 6, "{text}");
        let expected = format!("{key}: {address} is in use by ");
        assert!(first_error(&text).starts_with(&expected), "{text}");
        assert!(first_error(&text).ends_with(&format!("(process {})", std::process::id())), "{text}");
    }
    // An address that no interface has (RFC 5737).
    for key in ["netflow.listen", "http.listen"] {
        let variable = format!("NETFLOW__{}", key.replace('.', "__").to_uppercase());
        let (text, code) = check(folder.path(), &[(&variable, "203.0.113.1:2055")]);
        assert!(code == 0 && text.contains(&format!("{key}: this host does not have 203.0.113.1:2055 yet")), "{text}");
    }
    let (text, code) = check(folder.path(), &[("NETFLOW__NETFLOW__LISTEN", "")]);
    assert!(code == 6 && first_error(&text).contains("both empty"), "{text}");
}

#[test]
fn an_unusable_data_directory_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "").unwrap();
    let (text, code) = check(folder.path(), &[("NETFLOW__DATA_DIR", "file/below")]);
    assert!(code == 5 && first_error(&text).starts_with("dataDir: file/below: "), "{text}");
    fs::create_dir(folder.path().join("data")).unwrap();
    let keys = folder.path().join("data/keys");
    fs::write(&keys, "authKey=\"a\"\nsignKey=\"s\"\n").unwrap();
    fs::set_permissions(&keys, Permissions::from_mode(0o644)).unwrap();
    let (text, code) = check(folder.path(), &[]);
    assert!(code == 5 && first_error(&text).contains("others can read the secrets"), "{text}");
    fs::set_permissions(&keys, Permissions::from_mode(0o600)).unwrap();
    let (text, code) = check(folder.path(), &[]);
    assert!(code == 0 && text.contains("ok    keys: in data/keys"), "{text}");
}

#[test]
fn a_file_of_agents_is_checked_without_showing_its_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("agents.toml");
    let variable = [("NETFLOW__SNMP__AGENTS_FILE", "agents.toml")];
    let (text, code) = check(folder.path(), &variable);
    assert!(code == 3 && first_error(&text).contains("agents.toml: does not exist (snmp.agentsFile)"), "{text}");
    fs::write(&file, "[core]\nrouters=['192.0.2.0/24']\ncommunity='geheim'\n").unwrap();
    for (mode, exit, expected) in
        [(0o640, 3, "others can read the secrets"), (0o600, 0, "ok    snmp.agentsFile: agents.toml: 1")]
    {
        fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
        let (text, code) = check(folder.path(), &variable);
        assert!(code == exit && text.contains(expected) && !text.contains("geheim"), "{code} {text}");
    }
}

#[test]
fn secrets_in_a_world_readable_file_are_noted() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("n.toml");
    fs::write(&file, "[redis]\npassword = \"geheim\"\n").unwrap();
    for (mode, noted) in [(0o644, true), (0o640, false)] {
        fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
        let mut command = netflow(folder.path(), &[]);
        command.args(["check-config", "--config", "n.toml"]);
        let (text, code) = run(command);
        assert_eq!(code, 0, "{text}");
        assert_eq!(text.contains("note  everybody can read redis.password"), noted, "{text}");
        assert!(!text.contains("geheim"), "{text}");
    }
}

#[test]
fn an_unreachable_store_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let (text, code) = check(folder.path(), &[("NETFLOW__STORAGE", "redis"), ("NETFLOW__REDIS__HOSTS", &free)]);
    assert!(code == 5 && first_error(&text).starts_with("redis.hosts: all are unreachable"), "{text}");
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let hosts = format!("{free},{}", server.local_addr().unwrap());
    let (text, code) = check(folder.path(), &[("NETFLOW__STORAGE", "redis"), ("NETFLOW__REDIS__HOSTS", &hosts)]);
    assert!(code == 0 && text.contains("note  redis.hosts: some are unreachable"), "{text}");
}

#[test]
fn the_addresses_of_the_running_collector_are_no_error() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = netflow(folder.path(), &[]).arg("serve").stderr(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    let mut addresses = lines.filter_map(|line| {
        let (_, address) = line.split_once("listening on ").or_else(|| line.split_once("serving http://"))?;
        Some(address.split_whitespace().next().unwrap().to_owned())
    });
    let (receiving, serving) = (addresses.next().unwrap(), addresses.next().unwrap());
    let (text, code) =
        check(folder.path(), &[("NETFLOW__NETFLOW__LISTEN", &receiving), ("NETFLOW__HTTP__LISTEN", &serving)]);
    let id = child.id();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(code, 0, "{text}");
    assert!(text.contains(&format!("note  a collector runs on this dataDir (process {id})")), "{text}");
    let own = format!("is in use by the running collector (process {id})");
    assert_eq!(text.matches(&own).count(), 2, "{text}");
    // A lock file left by a dead process is ignored.
    let (text, code) = check(folder.path(), &[("NETFLOW__NETFLOW__LISTEN", &receiving)]);
    assert!(code == 0 && !text.contains("a collector runs"), "{text}");
}

#[test]
fn settings_are_shown_with_their_origins_but_no_secret_is() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("n.toml"), "[admin]\nauthKey = \"geheim\"\n").unwrap();
    let show = |more: &[&str]| {
        let mut command = netflow(folder.path(), &[]);
        command.args(["config", "--config", "n.toml"]).args(more);
        let (text, code) = run(command);
        assert!(code == 0 && !text.contains("geheim"), "{text}");
        text
    };
    let text = show(&[]);
    let origin = |key: &str| {
        let line = text.lines().find(|line| line.starts_with(&format!("{key} = "))).unwrap();
        let (setting, origin) = line.rsplit_once("# ").unwrap();
        (setting.trim_end().to_owned(), origin.to_owned())
    };
    assert_eq!(origin("admin.authKey"), ("admin.authKey = (hidden)".to_owned(), "n.toml:2".to_owned()));
    assert_eq!(origin("flushInterval"), ("flushInterval = \"10s\"".to_owned(), "default".to_owned()));
    assert_eq!(origin("sflow.listen"), ("sflow.listen = []".to_owned(), "NETFLOW__SFLOW__LISTEN".to_owned()));
    assert_eq!(show(&["--changed"]).lines().count(), 4);
    let json: Value = serde_json::from_str(&show(&["--json"])).unwrap();
    assert_eq!(json["admin.authKey"]["value"], "(hidden)");
    assert_eq!(json["netflow.listen"]["value"][0], "127.0.0.1:0");
    assert_eq!(json["netflow.listen"]["default"][1], "[::]:2055");
    assert_eq!(json["server.cores"]["origin"], "default");
    assert_eq!(json.as_object().unwrap().len(), text.lines().count());
}

/// A certificate in `name.pem` with `name.key` that expires in this many days.
fn certify(directory: &Path, name: &str, days: i32) {
    let script = format!(
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=collector -days {days} \
         -keyout {name}.key -out {name}.pem && chmod 600 {name}.key"
    );
    // An expired certificate is made in the past.
    let mut command = if days < 0 { Command::new("faketime") } else { Command::new("sh") };
    if days < 0 {
        command.args([&format!("{days} days"), "sh"]);
    }
    let script = script.replace(&format!("-days {days}"), &format!("-days {}", if days < 0 { 1 } else { days }));
    let output = command.args(["-c", &script]).current_dir(directory).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn unusable_and_expiring_certificates_are_reported() {
    let folder = tempfile::tempdir().unwrap();
    for (name, days) in [("good", 90), ("soon", 5), ("expired", -10)] {
        certify(folder.path(), name, days);
    }
    fs::write(folder.path().join("none.pem"), "no certificate").unwrap();
    let tls = |certificate: &str, key: &str| {
        check(folder.path(), &[("NETFLOW__ADMIN__TLS__CERTIFICATE", certificate), ("NETFLOW__ADMIN__TLS__KEY", key)])
    };
    let (text, code) = tls("good.pem", "good.key");
    assert!(code == 0 && text.contains("ok    admin.tls: the certificate and its key can be used\n"), "{text}");
    assert!(!text.contains("note  the certificate"), "{text}");
    for (name, what) in [("soon", "expires at 20"), ("expired", "expired at 20")] {
        let (text, code) = tls(&format!("{name}.pem"), &format!("{name}.key"));
        let expected = format!("note  the certificate {name}.pem (admin.tls.certificate) {what}");
        assert!(code == 0 && text.contains(&expected), "{text}");
    }
    for (certificate, key, what) in [
        ("good.pem", "soon.key", "soon.key is not the private key of good.pem"),
        ("none.pem", "good.key", "none.pem contains no PEM certificate (admin.tls.certificate)"),
        ("good.pem", "good.pem", "good.pem contains no PEM private key (admin.tls.key)"),
        ("missing.pem", "good.key", "cannot read missing.pem (admin.tls.certificate): No such file"),
        ("good.pem", "", "admin.tls.certificate and admin.tls.key belong together"),
    ] {
        let (text, code) = tls(certificate, key);
        assert_eq!(code, 3, "{text}");
        assert!(text.contains(what), "{what}\n{text}");
    }
    fs::set_permissions(folder.path().join("good.key"), Permissions::from_mode(0o644)).unwrap();
    let (text, _) = tls("good.pem", "good.key");
    assert!(text.contains("note  everybody can read the private key good.key (admin.tls.key)"), "{text}");
}

#[test]
fn unusable_files_for_encrypted_export_connections_are_reported() {
    let folder = tempfile::tempdir().unwrap();
    for (name, days) in [("good", 90), ("soon", 5), ("ca", 90)] {
        certify(folder.path(), name, days);
    }
    let tls = |files: [&str; 3]| {
        let [certificate, key, ca] = files;
        let listen = ("NETFLOW__NETFLOW__TLS__LISTEN", "127.0.0.1:0");
        let [certificate, key, ca] = [("CERTIFICATE", certificate), ("KEY", key), ("CA", ca)]
            .map(|(name, value)| (format!("NETFLOW__NETFLOW__TLS__{name}"), value));
        let files = [&certificate, &key, &ca].map(|(name, value)| (name.as_str(), *value));
        check(folder.path(), &[&[listen], files.as_slice()].concat())
    };
    let (text, code) = tls(["good.pem", "good.key", "ca.pem"]);
    assert!(
        code == 0 && text.contains("ok    netflow.tls: the certificate, its key and the authorities can be used\n")
    );
    assert!(text.contains("ok    netflow.tls.listen: 127.0.0.1:0 is free\n"), "{text}");
    assert!(!text.contains("note  the certificate"), "{text}");
    let (text, _) = tls(["soon.pem", "soon.key", "ca.pem"]);
    assert!(text.contains("note  the certificate soon.pem (netflow.tls.certificate) expires at 20"), "{text}");
    for (files, what) in [
        (["good.pem", "good.key", ""], "netflow.tls.listen is set without netflow.tls.ca: set certificate, key and ca"),
        (["", "", "ca.pem"], "without netflow.tls.certificate and netflow.tls.key: set"),
        (["good.pem", "soon.key", "ca.pem"], "soon.key is not the private key of good.pem"),
        (["good.pem", "good.key", "good.key"], "good.key contains no PEM certificate (netflow.tls.ca)"),
        (["missing.pem", "good.key", "ca.pem"], "cannot read missing.pem (netflow.tls.certificate): No such file"),
    ] {
        let (text, code) = tls(files);
        assert!(code == 3 && text.contains(what), "{what}\n{text}");
    }
}

#[test]
fn a_damaged_store_is_reported_with_its_path_by_check_and_start() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("data")).unwrap();
    fs::write(folder.path().join("data/netflow.sqlite"), "garbage".repeat(1000)).unwrap();
    let (text, code) = check(folder.path(), &[]);
    assert!(code == 5 && first_error(&text).starts_with("state: data/netflow.sqlite: "), "{text}");
    let mut serve = netflow(folder.path(), &[]);
    serve.arg("serve");
    let (text, code) = run(serve);
    assert!(code == 5 && text.contains("netflow: data/netflow.sqlite: "), "{text}");
}

#[test]
fn configured_keys_that_could_be_guessed_are_noted() {
    let folder = tempfile::tempdir().unwrap();
    let keys = |auth, sign| [("NETFLOW__ADMIN__AUTH_KEY", auth), ("NETFLOW__ADMIN__SIGN_KEY", sign)];
    let (text, code) = check(folder.path(), &keys("a", "0123456789abcdef"));
    assert_eq!(code, 0, "{text}");
    assert!(
        text.contains("note  keys: admin.authKey has only 1 character and could be guessed: use at least 16"),
        "{text}"
    );
    assert!(!text.contains("admin.signKey"), "{text}");
}

#[test]
fn without_changed_settings_there_is_a_word_and_valid_toml() {
    let folder = tempfile::tempdir().unwrap();
    let show = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_netflow"));
        command.arg("config").args(arguments).current_dir(folder.path());
        run(command).0
    };
    assert_eq!(show(&["--changed"]), "# every setting has its default\n");
    assert_eq!(show(&["--changed", "--json"]), "{}\n");
}
