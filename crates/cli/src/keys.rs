//! The keys of the REST interface: the configured ones, else random ones that are generated once and kept in the data
//! directory.
//!
//! The file `keys` is readable only by its owner. Its format is both TOML and shell assignments, so that a script can source
//! it:
//! ```toml
//! authKey="64 hexadecimal digits"
//! signKey="64 hexadecimal digits"
//! ```
//! It is created atomically: written and synced under another name, then linked, which fails if it exists. So two processes
//! that start at once use the same keys.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

mod file;
mod named;

pub(crate) use file::{KeysError, read_tables};
use file::{failed, read_text};
pub(crate) use named::named;

use crate::config::{Admin, Secret};
use crate::table::count_of;

/// The name of the file in the data directory.
pub(crate) const FILE_NAME: &str = "keys";
const AUTH_KEY: &str = "authKey";
const SIGN_KEY: &str = "signKey";
const KEY_OCTETS: usize = 32;

/// The keys of the REST interface, and where they come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Keys {
    /// The authKey.
    pub(crate) auth: Secret,
    /// The signKey.
    pub(crate) sign: Secret,
    /// Where they come from.
    pub(crate) source: KeySource,
}

/// Where keys come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum KeySource {
    /// Both are configured.
    Configuration,
    /// A file has those that are not configured.
    File {
        /// The file.
        path: PathBuf,
        /// Whether it was created just now.
        made: bool,
    },
}

impl Keys {
    /// The configured keys, with random ones from the data directory for those that are not configured.
    ///
    /// # Errors
    /// When the file of keys cannot be read or created, is damaged, or is readable by others.
    pub(crate) fn load(admin: &Admin, data_dir: &Path) -> Result<Self, KeysError> {
        if let (Some(auth), Some(sign)) = (&admin.auth_key, &admin.sign_key) {
            return Ok(Self { auth: auth.clone(), sign: sign.clone(), source: KeySource::Configuration });
        }
        let path = data_dir.join(FILE_NAME);
        let (kept, made) = match read(&path)? {
            Some(kept) => (kept, false),
            None => make(data_dir, &path)?,
        };
        Ok(Self {
            auth: admin.auth_key.clone().unwrap_or(kept.auth),
            sign: admin.sign_key.clone().unwrap_or(kept.sign),
            source: KeySource::File { path, made },
        })
    }
}

impl Keys {
    /// Where the keys come from, without creating any; `None` when [`load`](Self::load) would create them.
    ///
    /// # Errors
    /// When the file of keys cannot be read, is damaged, or is readable by others.
    pub(crate) fn look_up(admin: &Admin, data_dir: &Path) -> Result<Option<KeySource>, KeysError> {
        if admin.auth_key.is_some() && admin.sign_key.is_some() {
            return Ok(Some(KeySource::Configuration));
        }
        let path = data_dir.join(FILE_NAME);
        Ok(read(&path)?.map(|_| KeySource::File { path, made: false }))
    }
}

/// The shortest key that is not warned of; generated keys have 64.
const SHORTEST: usize = 16;

/// Warnings of configured keys that could be guessed.
pub(crate) fn warnings(admin: &Admin) -> Vec<String> {
    let keys = [("admin.authKey", &admin.auth_key), ("admin.signKey", &admin.sign_key)];
    let short = keys.iter().filter_map(|(name, key)| {
        let length = key.as_ref()?.expose().chars().count();
        let characters = count_of(length as u64, "character");
        (length < SHORTEST).then(|| {
            format!("{name} has only {characters} and could be guessed: use at least {SHORTEST}, such as from openssl rand -hex 32")
        })
    });
    short.collect()
}

/// The keys of a file.
struct Kept {
    auth: Secret,
    sign: Secret,
}

/// The authKey and the signKey of a file; `None` without a file.
///
/// # Errors
/// When it cannot be read, is damaged, or is readable by others.
pub(crate) fn read_pair(path: &Path) -> Result<Option<(Secret, Secret)>, KeysError> {
    Ok(read(path)?.map(|Kept { auth, sign }| (auth, sign)))
}

/// The keys of a collector with this configuration; `None` before it has created any.
///
/// # Errors
/// As [`read_pair`].
pub(crate) fn find(admin: &Admin, data_dir: &Path) -> Result<Option<(Secret, Secret)>, KeysError> {
    if let (Some(auth), Some(sign)) = (&admin.auth_key, &admin.sign_key) {
        return Ok(Some((auth.clone(), sign.clone())));
    }
    let kept = read_pair(&data_dir.join(FILE_NAME))?;
    let configured = |key: &Option<Secret>, kept| key.clone().unwrap_or(kept);
    Ok(kept.map(|(auth, sign)| (configured(&admin.auth_key, auth), configured(&admin.sign_key, sign))))
}

/// `None` without a file.
fn read(path: &Path) -> Result<Option<Kept>, KeysError> {
    let Some(text) = read_text(path)? else { return Ok(None) };
    parse(&text).map(Some).ok_or_else(|| KeysError::Damaged(path.to_owned()))
}

fn parse(text: &str) -> Option<Kept> {
    let table: toml::Table = text.parse().ok()?;
    let key = |name| table.get(name)?.as_str().filter(|key| !key.is_empty()).map(|key| Secret::new(key.to_owned()));
    Some(Kept { auth: key(AUTH_KEY)?, sign: key(SIGN_KEY)? })
}

/// Creates the file; reads it instead when another process was faster.
fn make(data_dir: &Path, path: &Path) -> Result<(Kept, bool), KeysError> {
    DirBuilder::new().recursive(true).mode(0o750).create(data_dir).map_err(failed("create", data_dir))?;
    let kept = Kept { auth: random()?, sign: random()? };
    let text = format!(
        "# The keys of the REST interface, generated because none were configured.\n\
         {AUTH_KEY}=\"{}\"\n{SIGN_KEY}=\"{}\"\n",
        kept.auth.expose(),
        kept.sign.expose()
    );
    let draft = data_dir.join(format!("{FILE_NAME}.{}.new", std::process::id()));
    let made = write(&draft, &text).map_err(failed("write", &draft)).and_then(|()| link(&draft, path, data_dir));
    // A leftover draft would do no harm, but has keys.
    let _ = fs::remove_file(&draft);
    if made? {
        return Ok((kept, true));
    }
    match read(path)? {
        Some(kept) => Ok((kept, false)),
        None => Err(KeysError::Damaged(path.to_owned())),
    }
}

fn write(draft: &Path, text: &str) -> io::Result<()> {
    // A draft of an earlier process with the same id would keep its mode.
    let _ = fs::remove_file(draft);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(draft)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// Returns whether the draft became the file; `false` when the file exists.
fn link(draft: &Path, path: &Path, data_dir: &Path) -> Result<bool, KeysError> {
    match fs::hard_link(draft, path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
        Err(error) => return Err(failed("create", path)(error)),
    }
    File::open(data_dir).and_then(|directory| directory.sync_all()).map_err(failed("sync", data_dir))?;
    Ok(true)
}

fn random() -> Result<Secret, KeysError> {
    let mut octets = [0; KEY_OCTETS];
    getrandom::fill(&mut octets).map_err(KeysError::Random)?;
    Ok(Secret::new(octets.iter().map(|octet| format!("{octet:02x}")).collect()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    use super::*;

    fn secret(text: &str) -> Option<Secret> {
        Some(Secret::new(text.to_owned()))
    }

    #[test]
    fn random_keys_are_created_once_and_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = folder.path().join("some/where");
        let first = Keys::load(&Admin::default(), &data_dir).unwrap();
        let path = data_dir.join("keys");
        assert_eq!(first.source, KeySource::File { path: path.clone(), made: true });
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        for key in [&first.auth, &first.sign] {
            assert_eq!(key.expose().len(), 64);
            assert!(key.expose().bytes().all(|digit| digit.is_ascii_hexdigit()));
        }
        assert_ne!(first.auth, first.sign);
        let second = Keys::load(&Admin::default(), &data_dir).unwrap();
        assert_eq!((&second.auth, &second.sign), (&first.auth, &first.sign));
        assert_eq!(second.source, KeySource::File { path, made: false });
        let left: Vec<_> = fs::read_dir(&data_dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["keys"]);
    }

    #[test]
    fn configured_keys_need_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let both = Admin { auth_key: secret("a"), sign_key: secret("s"), ..Admin::default() };
        let keys = Keys::load(&both, folder.path()).unwrap();
        assert_eq!((keys.auth.expose(), keys.sign.expose(), keys.source), ("a", "s", KeySource::Configuration));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        let one = Admin { auth_key: secret("a"), ..Admin::default() };
        let keys = Keys::load(&one, folder.path()).unwrap();
        assert_eq!((keys.auth.expose(), keys.sign.expose().len()), ("a", 64));
    }

    #[test]
    fn a_second_process_uses_the_keys_of_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        let first = Keys::load(&Admin::default(), folder.path()).unwrap();
        let (kept, made) = make(folder.path(), &path).unwrap();
        assert_eq!((kept.auth, made), (first.auth, false));
    }

    #[test]
    fn a_file_that_others_can_read_is_rejected_with_the_fix() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        Keys::load(&Admin::default(), folder.path()).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let message = Keys::load(&Admin::default(), folder.path()).unwrap_err().to_string();
        assert!(message.ends_with(&format!("run chmod 600 {}", path.display())), "{message}");
    }

    #[test]
    fn keys_show_neither_in_errors_nor_in_debug_output() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        for damaged in ["authKey = \"geheim\"", "authKey = geheim", "authKey = \"geheim\"\nsignKey = \"\"", ""] {
            let _ = fs::remove_file(&path);
            write(&path, damaged).unwrap();
            let error = Keys::load(&Admin::default(), folder.path()).unwrap_err();
            assert!(matches!(error, KeysError::Damaged(_)), "{error}");
            assert!(!format!("{error} {error:?}").contains("geheim"));
        }
        let keys = Keys {
            auth: Secret::new("geheim".into()),
            sign: Secret::new("geheim".into()),
            source: KeySource::Configuration,
        };
        assert!(!format!("{keys:?}").contains("geheim"));
    }
}
