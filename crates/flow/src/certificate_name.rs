//! The name that the certificate of an exporter must have, such as `edge-1.example.net` (RFC 7011, section 11.3).

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// A DNS name, in lower case.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CertificateName(Arc<str>);

/// A text is no name of a certificate. Shown to the operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a name of a certificate: use a DNS name of its subjectAltName, such as edge-1.example.net")]
pub struct CertificateNameError(String);

impl CertificateName {
    /// The most characters of a DNS name, and of one of its labels (RFC 1035, section 2.3.4).
    const LONGEST: usize = 253;
    const LONGEST_LABEL: usize = 63;

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for CertificateName {
    type Err = CertificateNameError;

    fn from_str(text: &str) -> Result<Self, CertificateNameError> {
        let last = text.rsplit('.').next().unwrap_or_default();
        // An IPv4 address has the form of a name; the last label of a name has a letter (RFC 3696, section 2).
        let is_address = last.bytes().all(|octet| octet.is_ascii_digit());
        match text.len() <= Self::LONGEST && !is_address && text.split('.').all(is_label) {
            true => Ok(Self(text.to_ascii_lowercase().into())),
            false => Err(CertificateNameError(text.chars().take(64).collect())),
        }
    }
}

fn is_label(label: &str) -> bool {
    let is_allowed = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_');
    (1..=CertificateName::LONGEST_LABEL).contains(&label.len())
        && label.bytes().all(is_allowed)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

impl fmt::Display for CertificateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dns_names_are_names_in_lower_case_and_other_texts_are_refused() {
        let label = "x".repeat(63);
        let longest = format!("{label}.{label}.{label}.{}", "x".repeat(61));
        for (text, name) in [
            ("edge-1.example.net", "edge-1.example.net"),
            ("Edge_1", "edge_1"),
            ("1.2.3.4a", "1.2.3.4a"),
            (longest.as_str(), longest.as_str()),
        ] {
            assert_eq!(text.parse::<CertificateName>().unwrap().as_str(), name);
        }
        let long_label = "x".repeat(64);
        for text in ["", ".", "a.", "a..b", "a b", "*.example.net", "-a", "a-.b", "192.0.2.1", "::1", "käfig", "a=b"] {
            let refused = text.parse::<CertificateName>().unwrap_err().to_string();
            assert!(refused.contains("is not a name of a certificate: use a DNS name"), "{refused}");
        }
        for text in [long_label, format!("x{longest}")] {
            assert!(text.parse::<CertificateName>().is_err());
        }
    }
}
