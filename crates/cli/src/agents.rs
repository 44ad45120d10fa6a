//! The file of SNMP agents (`snmp.agentsFile`): a table for each range of routers with what their agents are asked with,
//! readable only by its owner.

use std::net::IpAddr;
use std::path::Path;

use collector::{AgentSettings, Agents};
use flow::Prefix;
use serde::Deserialize;
use snmp::{Access, Authentication, Privacy};

use crate::config::SnmpSettings;
use crate::keys::{KeysError, read_tables};

/// The port of agents (RFC 3417).
const PORT: u16 = 161;

/// A table of the file.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Entry {
    routers: Vec<String>,
    port: Option<u16>,
    community: Option<String>,
    user: Option<String>,
    authentication: Option<String>,
    authentication_password: Option<String>,
    privacy: Option<String>,
    privacy_password: Option<String>,
}

/// What the collector asks, and how often.
///
/// # Errors
/// When the file is missing, readable by others, or has an invalid agent. No message shows a secret.
pub(crate) fn settings(snmp: &SnmpSettings) -> Result<AgentSettings, KeysError> {
    let agents = snmp.agents_file.as_deref().map(read).transpose()?.unwrap_or_default();
    Ok(AgentSettings { agents, interval: snmp.interval })
}

/// All agents of the file.
///
/// # Errors
/// As [`settings`].
pub(crate) fn read(path: &Path) -> Result<Vec<Agents>, KeysError> {
    read_tables(path, "snmp.agentsFile", read_agents)
}

fn read_agents(name: &str, value: toml::Value) -> Result<Agents, String> {
    const FORM: &str = "needs routers as a list of prefixes, and either community, or user, authentication, \
                        authenticationPassword, privacy and privacyPassword as strings; it may have port as a number";
    let entry: Entry = value.try_into().map_err(|error: toml::de::Error| {
        // Other messages quote the value.
        let names_a_field = ["missing field", "unknown field"].iter().any(|start| error.message().starts_with(start));
        if names_a_field { error.message().to_owned() } else { FORM.to_owned() }
    })?;
    let prefix = |text: &String| match text.parse() {
        Ok(address) => only(flow::canonical(address)).ok_or_else(|| FORM.to_owned()),
        Err(_) => text.parse::<Prefix>().map_err(|error| error.to_string()),
    };
    let routers = entry.routers.iter().map(prefix).collect::<Result<_, _>>()?;
    let port = entry.port.unwrap_or(PORT);
    let user = (entry.user, entry.authentication, entry.authentication_password, entry.privacy, entry.privacy_password);
    let access = match (entry.community, user) {
        (Some(community), (None, None, None, None, None)) => Access::community(&community),
        (None, (Some(user), Some(hash), Some(hash_password), Some(cipher), Some(cipher_password))) => {
            let hash = one_of("authentication", &hash, Authentication::ALL)?;
            let cipher = one_of("privacy", &cipher, Privacy::ALL)?;
            Access::user(&user, (hash, &hash_password), (cipher, &cipher_password))
        }
        _ => return Err(FORM.to_owned()),
    };
    let access = access.map_err(|error| error.to_string())?;
    Ok(Agents { name: name.to_owned(), routers, port, access })
}

/// The range of this address.
fn only(address: IpAddr) -> Option<Prefix> {
    Prefix::around(address, if address.is_ipv4() { 32 } else { 128 })
}

fn one_of<T: Copy, const N: usize>(key: &str, value: &str, all: [(&'static str, T); N]) -> Result<T, String> {
    let names = all.map(|(name, _)| name).join(", ");
    let found = all.into_iter().find(|(name, _)| *name == value);
    found.map(|(_, one)| one).ok_or_else(|| format!("{key} must be one of {names}"))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn agents(text: &str) -> Result<Vec<Agents>, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("agents.toml");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        read(&path).map_err(|error| error.to_string().replace(&format!("{}: ", path.display()), ""))
    }

    const USER: &str = "user='n'\nauthentication='SHA-256'\nauthenticationPassword='SECRET12'\nprivacy='AES-128'\n";

    #[test]
    fn agents_have_ranges_ports_and_credentials() {
        let text = format!(
            "[campus]\nrouters=['192.0.2.0/24', '::ffff:198.51.100.1', '2001:db8::1']\ncommunity='SECRET'\nport=1161\n\
             [core]\nrouters=['10.0.0.0/8']\n{USER}privacyPassword='SECRET12'\n"
        );
        let read = agents(&text).unwrap();
        let ranges: Vec<String> = read.iter().flat_map(|agents| &agents.routers).map(Prefix::to_string).collect();
        assert_eq!(ranges, ["192.0.2.0/24", "198.51.100.1/32", "2001:db8::1/128", "10.0.0.0/8"]);
        assert_eq!(
            (read[0].port, read[1].port, read[0].access.clone()),
            (1161, 161, Access::community("SECRET").unwrap())
        );
        assert!(!format!("{read:?}").contains("SECRET"));
        assert_eq!(agents("").unwrap(), []);
    }

    #[test]
    fn errors_do_not_show_secrets() {
        let routers = "routers=['10.0.0.0/8']";
        for (text, expected) in [
            (format!("[a]\n{routers}"), "[a] needs routers as a list of prefixes, and either community"),
            (format!("[a]\n{routers}\ncommunity='SECRET'\nuser='u'"), "[a] needs routers"),
            (format!("[a]\n{routers}\n{USER}privacyPassword=['SECRET']"), "[a] needs routers"),
            (
                format!("[a]\n{routers}\n{USER}privacyPassword='SECRET'"),
                "[a] the password for privacy has fewer than 8",
            ),
            (
                format!("[a]\n{routers}\n{USER}").replace("256", "2") + "privacyPassword='SECRET'",
                "must be one of SHA-1, SHA",
            ),
            ("[a]\ncommunity='SECRET'".to_owned(), "[a] missing field `routers`"),
            ("[a]\nrouters=['10.0.0.1/8']\ncommunity='SECRET'".to_owned(), "[a] 10.0.0.1 is not the first address"),
            (format!("[a]\n{routers}\nsecret='SECRET'"), "[a] unknown field `secret`"),
            (format!("[a]\n{routers}\ncommunity='SECRET"), "invalid TOML near line 3"),
        ] {
            let message = agents(&text).unwrap_err();
            assert!(message.contains(expected) && !message.contains("SECRET"), "{text}\n{message}");
        }
        let missing = read(Path::new("/nowhere/agents.toml")).unwrap_err().to_string();
        assert_eq!(missing, "/nowhere/agents.toml: does not exist (snmp.agentsFile)");
    }
}
