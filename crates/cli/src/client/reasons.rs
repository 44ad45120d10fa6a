//! What errors of a connection and refusals mean for users of commands.

use std::error::Error;
use std::io::{self, ErrorKind};

use rustls::{CertificateError, InvalidMessage};

/// A URL of a collector, without a slash at its end.
///
/// # Errors
/// When it is none; the text is the URL that may be meant.
pub(super) fn url(text: &str) -> Result<String, String> {
    let text = text.trim_end_matches('/');
    match text.split_once("://") {
        Some(("http" | "https", host)) if !host.is_empty() && text.parse::<ureq::http::Uri>().is_ok() => {
            Ok(text.to_owned())
        }
        // That ends in a colon where only a scheme was written.
        None if !text.ends_with(':') && format!("http://{text}").parse::<ureq::http::Uri>().is_ok() => {
            Err(format!("write http://{text}, or https://{text} if the collector has a certificate"))
        }
        _ => Err("write it as http://127.0.0.1:8080 or https://collector.example.net:8080".to_owned()),
    }
}

/// Why there is no connection, and the fix; `None` if the error has no better words than its own.
pub(super) fn of_connection(error: &ureq::Error) -> Option<String> {
    let error = match error {
        ureq::Error::Io(error) => error,
        ureq::Error::HostNotFound => return Some("there is no such host".to_owned()),
        _ => return None,
    };
    match error.kind() {
        ErrorKind::ConnectionRefused => {
            return Some("connection refused: does the collector run there (netflow serve, http.listen)?".to_owned());
        }
        ErrorKind::InvalidInput => {
            return Some("certificates are of names and addresses, and this is neither".to_owned());
        }
        _ => {}
    }
    match of_encryption(error)? {
        rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            Some("it has no certificate: use http:// instead of https://".to_owned())
        }
        rustls::Error::InvalidCertificate(error) => Some(of_certificate(error, "--url")),
        _ => None,
    }
}

fn of_encryption(error: &io::Error) -> Option<&rustls::Error> {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error.get_ref()?);
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        cause = match error.downcast_ref::<io::Error>() {
            Some(error) => error.get_ref().map(|inner| inner as &(dyn Error + 'static)),
            None => error.source(),
        };
    }
    None
}

/// Why a certificate of a collector is not trusted, and the fix; the option is the one that names the collector.
pub(crate) fn of_certificate(error: &CertificateError, option: &str) -> String {
    match error {
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!(
                "its certificate is for another name: use a name of the certificate in {option}, or make one with this name or \
                 address (subjectAltName)"
            )
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "its certificate has expired: renew it, then reload the collector".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "its certificate is not valid yet: is the clock of this machine right?".to_owned()
        }
        // A bad signature is of another authority with the name of a trusted one, the last of a certificate that signed itself.
        CertificateError::UnknownIssuer | CertificateError::BadSignature | CertificateError::Other(_) => {
            "its certificate is of no authority that is trusted here: use --ca FILE with the certificate of the authority, or, if \
             the certificate signed itself, with the certificate itself"
                .to_owned()
        }
        other => format!("its certificate is not valid: {other}"),
    }
}

/// Requests that refusals propose, and the commands that send them; the first that fits counts.
const COMMANDS: [(&str, &str); 7] = [
    ("PUT /senders/<address> with \"tags\" sets tags", "netflow senders set ADDRESS tags=TAG sets it"),
    ("PUT /senders/<address>", "netflow senders add ADDRESS"),
    ("PUT /senders/", "netflow senders add "),
    ("PUT /networks/", "netflow networks add "),
    ("GET /networks/", "netflow networks show "),
    ("GET /unknown", "netflow doctor"),
    ("see /unknown", "see netflow doctor"),
];

/// The reason of a refusal, with commands instead of requests.
pub(super) fn of_refusal(reason: &str) -> String {
    COMMANDS.iter().fold(reason.to_owned(), |reason, (request, command)| reason.replace(request, command))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_without_its_scheme_is_an_error_that_writes_it_out() {
        assert_eq!(url("http://127.0.0.1:8080/").as_deref(), Ok("http://127.0.0.1:8080"));
        assert_eq!(url("https://[2001:db8::1]:8080").as_deref(), Ok("https://[2001:db8::1]:8080"));
        for wrong in ["127.0.0.1:8080", "collector", "[::1]:8080", "localhost:8080/"] {
            let error = url(wrong).unwrap_err();
            let host = wrong.trim_end_matches('/');
            assert!(error.starts_with(&format!("write http://{host}, or https://{host} ")), "{error}");
        }
        for wrong in ["", "ftp://host", "http://", "http://a b", "tcp:///x"] {
            assert!(url(wrong).unwrap_err().contains("http://127.0.0.1:8080"), "{wrong}");
        }
    }

    #[test]
    fn refusals_propose_commands() {
        let of = |text| of_refusal(text);
        assert_eq!(
            of("192.0.2.1 is not a registered sender: PUT /senders/192.0.2.1 registers it"),
            "192.0.2.1 is not a registered sender: netflow senders add 192.0.2.1 registers it"
        );
        assert_eq!(
            of("PUT /senders/<address> with \"tags\" sets tags"),
            "netflow senders set ADDRESS tags=TAG sets it"
        );
    }
}
