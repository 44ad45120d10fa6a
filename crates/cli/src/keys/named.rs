//! The file of named keys (`admin.keysFile`): a table for each key, readable only by its owner.

use std::net::IpAddr;
use std::path::Path;

use api::{Key, Role};
use serde::Deserialize;

use super::file::{KeysError, read_tables};

/// A key in the file.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Entry {
    auth_key: String,
    sign_key: String,
    role: String,
    senders: Option<Vec<IpAddr>>,
}

/// All keys of the file.
///
/// # Errors
/// When it is missing, readable by others, or has an invalid key. No message shows a key.
pub(crate) fn named(path: &Path) -> Result<Vec<Key>, KeysError> {
    read_tables(path, "admin.keysFile", read_key)
}

fn read_key(name: &str, value: toml::Value) -> Result<Key, String> {
    const FORM: &str = "needs authKey, signKey and role as strings, and may have senders as a list of addresses";
    let entry: Entry = value.try_into().map_err(|error: toml::de::Error| {
        // Other messages quote the value.
        let names_a_field = ["missing field", "unknown field"].iter().any(|start| error.message().starts_with(start));
        if names_a_field { error.message().to_owned() } else { FORM.to_owned() }
    })?;
    let role = Role::ALL
        .into_iter()
        .find(|role| role.name() == entry.role)
        .ok_or_else(|| format!("role must be {}", Role::ALL.map(Role::name).join(" or ")))?;
    let key = Key::new(name, &entry.auth_key, &entry.sign_key).map_err(|error| error.to_string())?;
    let senders = entry.senders.map(|senders| senders.into_iter().map(flow::canonical).collect());
    Ok(key.limited(role, senders))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn read(text: &str) -> Result<Vec<Key>, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.toml");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        named(&path).map_err(|error| error.to_string().replace(&format!("{}: ", path.display()), ""))
    }

    #[test]
    fn keys_have_names_roles_and_senders() {
        let text = "[grafana]\nauthKey='a'\nsignKey='b'\nrole='read'\nsenders=['::ffff:192.0.2.1']\n\
            [new]\nauthKey='c'\nsignKey='d'\nrole='admin'\n";
        assert_eq!(read(text).unwrap().len(), 2);
        assert_eq!(read("").unwrap().len(), 0);
    }

    #[test]
    fn errors_do_not_show_keys() {
        for (text, expected) in [
            ("[k]\nauthKey='SECRET'\nsignKey='SECRET'\nrole='root'", "[k] role must be read or write or admin"),
            ("[k]\nauthKey='SECRET'\nrole='read'", "[k] missing field `signKey`"),
            ("[k]\nauthKey='SECRET'\nsignKey=''\nrole='read'", "[k] k.signKey is empty"),
            ("[k]\nauthKey='SECRET'\nsignKey='SECRET'\nrole='read'\nsender=1", "unknown field `sender`"),
            ("[k]\nauthKey='SECRET", "invalid TOML near line 2"),
            ("authKey='SECRET'", "[authKey] needs authKey, signKey and role as strings"),
            ("[k]\nauthKey='a'\nsignKey='b'\nrole='read'\nsenders=['SECRET']", "senders as a list of addresses"),
        ] {
            let message = read(text).unwrap_err();
            assert!(message.contains(expected) && !message.contains("SECRET"), "{text}\n{message}");
        }
        let missing = named(Path::new("/nowhere/keys.toml")).unwrap_err().to_string();
        assert_eq!(missing, "/nowhere/keys.toml: does not exist (admin.keysFile)");
    }
}
