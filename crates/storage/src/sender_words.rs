//! A sender as words: `192.0.2.1 name=edge-1 prefixes=172.16.1.0/24,2001:db8::/32 tags=edge samplingRate=1000`, for those who
//! write senders into a file.

use std::net::IpAddr;
use std::str::FromStr;

use accounting::presence;
use flow::sender_settings::NAMES;
use flow::{CertificateNameError, Prefix, PrefixError, SenderNameError, Setting, SettingError, TagError, canonical};

use crate::Sender;

/// The words of a sender beside its address and its settings.
pub const SENDER_KEYS: [&str; 4] = ["name", "prefixes", "tags", "certificateName"];

/// Why a sender is refused. Shown to the operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SenderError {
    /// The address is none.
    #[error("'{0}' is not the address of a sender: use one such as 192.0.2.1 or 2001:db8::1")]
    Address(String),
    /// No datagram comes from this address.
    #[error("{0} is no source address of datagrams")]
    Unspecified(IpAddr),
    /// The name is none.
    #[error(transparent)]
    Name(#[from] SenderNameError),
    /// The name of a certificate is none.
    #[error(transparent)]
    CertificateName(#[from] CertificateNameError),
    /// A prefix is none.
    #[error(transparent)]
    Prefix(#[from] PrefixError),
    /// The prefix is one of ours.
    #[error("{0} cannot be monitored: no packet has this address")]
    Unmonitorable(Prefix),
    /// A tag is none.
    #[error(transparent)]
    Tag(#[from] TagError),
    /// A setting has no such value.
    #[error(transparent)]
    Setting(SettingError),
    /// There is no such word.
    #[error("'{0}' is none of {keys}, {names} with a value, such as name=edge-1", keys = SENDER_KEYS.join(", "), names = NAMES.join(", "))]
    Form(String),
}

impl Sender {
    /// A sender with nothing but its address.
    ///
    /// # Errors
    /// If it is no address, or no datagram comes from it.
    pub fn at(address: &str) -> Result<Self, SenderError> {
        let address = address.parse().map(canonical).map_err(|_| SenderError::Address(short(address)))?;
        if IpAddr::is_unspecified(&address) {
            return Err(SenderError::Unspecified(address));
        }
        Ok(Self::new(address, None))
    }

    /// Sets one of [`SENDER_KEYS`], or a setting; lists have commas.
    ///
    /// # Errors
    /// If the value is not allowed, or there is no such key.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), SenderError> {
        let words = || value.split(',').map(str::trim).filter(|word| !word.is_empty());
        match key {
            "name" => self.name = Some(value.parse()?),
            "certificateName" => self.certificate_name = Some(value.parse()?),
            "prefixes" => {
                self.prefixes = words().map(str::parse).collect::<Result<Vec<Prefix>, _>>()?;
                if self.prefixes.contains(&presence::PREFIX) {
                    return Err(SenderError::Unmonitorable(presence::PREFIX));
                }
                self.prefixes.sort_unstable();
                self.prefixes.dedup();
            }
            "tags" => {
                self.tags = words().map(str::parse).collect::<Result<_, _>>()?;
                self.tags.sort_unstable();
                self.tags.dedup();
            }
            _ => self.settings.set(Setting::new(key, value).map_err(|error| match error {
                SettingError::Unknown(_) | SettingError::Form(_) => SenderError::Form(short(&format!("{key}={value}"))),
                error => SenderError::Setting(error),
            })?),
        }
        Ok(())
    }
}

fn short(text: &str) -> String {
    text.chars().take(64).collect()
}

impl FromStr for Sender {
    type Err = SenderError;

    fn from_str(text: &str) -> Result<Self, SenderError> {
        let mut words = text.split(' ').filter(|word| !word.is_empty());
        let mut sender = Self::at(words.next().unwrap_or_default())?;
        for word in words {
            let (key, value) = word.split_once('=').ok_or_else(|| SenderError::Form(short(word)))?;
            sender.set(key, value)?;
        }
        Ok(sender)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_a_sender_with_prefixes_tags_and_settings_in_order() {
        let text = "::ffff:192.0.2.1 tags=edge,a,edge prefixes=2001:db8::/32,10.0.0.0/8 samplingRate=10 name=edge-1 certificateName=Edge-1.example.net";
        let Sender { address, prefixes, settings, tags, name, certificate_name, .. } = text.parse().unwrap();
        assert_eq!(address.to_string(), "192.0.2.1");
        assert_eq!(prefixes, ["10.0.0.0/8", "2001:db8::/32"].map(|prefix| prefix.parse().unwrap()));
        assert_eq!(tags, ["a", "edge"].map(|tag| tag.parse().unwrap()));
        assert_eq!((settings.to_string().as_str(), name.unwrap().as_str()), ("samplingRate=10", "edge-1"));
        assert_eq!(certificate_name.unwrap().as_str(), "edge-1.example.net");
    }

    #[test]
    fn a_wrong_word_is_an_error_that_names_what_is_allowed() {
        for (text, expected) in [
            ("edge", "'edge' is not the address of a sender"),
            ("::", ":: is no source address of datagrams"),
            ("192.0.2.1 name", "'name' is none of name, prefixes, tags, certificateName, samplingRate"),
            ("192.0.2.1 nam=x", "'nam=x' is none of"),
            ("192.0.2.1 name=a/b", "'a/b' is not a name of a sender"),
            ("192.0.2.1 certificateName=192.0.2.1", "'192.0.2.1' is not a name of a certificate"),
            ("192.0.2.1 prefixes=10.0.0.1/8", "10.0.0.0/8"),
            ("192.0.2.1 prefixes=::/128", "::/128 cannot be monitored"),
            ("192.0.2.1 tags=a/b", "'a/b' is not a tag"),
            ("192.0.2.1 samplingRate=0", "samplingRate is '0'"),
        ] {
            let error = text.parse::<Sender>().unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
