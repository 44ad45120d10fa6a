//! TLS 1.2 and 1.3 of export connections: of received octets, it makes those that the exporter has sent. Exporters show
//! certificates too (RFC 7011, section 11.3). Sockets are left to others, so that no thread waits for a handshake.

use std::fmt;
use std::io::{self, BufRead, Write};
use std::sync::Arc;

use flow::{CertificateName, Timestamp};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::client::verify_server_name;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{NoServerSessionStorage, ParsedCertificate, ResolvesServerCert, VerifierBuilderError};
use rustls::server::{ServerConnection, WebPkiClientVerifier};
use rustls::{
    AlertDescription, CertificateError, DigitallySignedStruct, DistinguishedName, Error, ProtocolVersion,
    RootCertStore, ServerConfig, SignatureScheme,
};
use view::TlsOfConnection;

use super::handshakes::HANDSHAKE_PATIENCE;

/// The names of a certificate that an error shows at most, and their characters.
const MOST_SHOWN: usize = 4;
const SHOWN_CHARACTERS: usize = 64;

/// The certificate of the collector, and the authorities that sign those of exporters.
#[derive(Clone, Debug)]
pub struct TlsCertificates {
    provider: Arc<CryptoProvider>,
    own: Arc<dyn ResolvesServerCert>,
    verifier: Arc<dyn ClientCertVerifier>,
}

impl TlsCertificates {
    /// These, for all connections that are accepted from now on.
    ///
    /// # Errors
    /// If there is no authority.
    pub fn new(own: Arc<dyn ResolvesServerCert>, authorities: RootCertStore) -> Result<Self, VerifierBuilderError> {
        let provider = Arc::new(ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(authorities), Arc::clone(&provider));
        Ok(Self { provider, own, verifier: verifier.build()? })
    }

    fn config(&self, name: Option<&CertificateName>) -> Result<ServerConfig, Error> {
        let name = name.map(server_name).transpose()?;
        let verifier = Arc::new(OfName { name, verifier: Arc::clone(&self.verifier) });
        let builder = ServerConfig::builder_with_provider(Arc::clone(&self.provider));
        let builder = builder.with_safe_default_protocol_versions()?.with_client_cert_verifier(verifier);
        let mut config = builder.with_cert_resolver(Arc::clone(&self.own));
        // No session is resumed: each connection shows its certificate, which may have expired since.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(config)
    }
}

/// The TLS of one connection.
pub(super) struct Tls {
    connection: ServerConnection,
    name: Option<CertificateName>,
    is_closed: bool,
}

impl Tls {
    /// Before the handshake. If a name is required, the certificate of the exporter must have it.
    pub(super) fn new(certificates: &TlsCertificates, name: Option<CertificateName>) -> Result<Self, TlsFailure> {
        let connection = certificates.config(name.as_ref()).and_then(|config| ServerConnection::new(Arc::new(config)));
        let connection = connection.map_err(|error| TlsFailure::of(&error, true))?;
        Ok(Self { connection, name, is_closed: false })
    }

    /// Takes octets that were received, and appends what the exporter has sent with them. After an error, what was sent before it
    /// is there too, and there may be an answer.
    pub(super) fn receive(&mut self, mut octets: &[u8], sent: &mut Vec<u8>) -> Result<(), TlsFailure> {
        while !octets.is_empty() && !self.is_closed {
            let is_handshaking = self.connection.is_handshaking();
            let failed = |error: &Error| TlsFailure::of(error, is_handshaking);
            // Reading a slice cannot fail, nor can the buffers be full, which are emptied each time.
            if self.connection.read_tls(&mut octets).map_err(|error| failed(&Error::General(error.to_string())))? == 0 {
                break;
            }
            let state = self.connection.process_new_packets();
            self.take(sent);
            self.is_closed = state.map_err(|error| failed(&error))?.peer_has_closed();
        }
        Ok(())
    }

    fn take(&mut self, sent: &mut Vec<u8>) {
        let mut reader = self.connection.reader();
        // An error means that there is nothing more now.
        while let Ok(octets) = reader.fill_buf() {
            if octets.is_empty() {
                break;
            }
            sent.extend_from_slice(octets);
            let count = octets.len();
            reader.consume(count);
        }
    }

    /// Writes what TLS has to send, as far as the socket takes it.
    pub(super) fn answer(&mut self, socket: &mut impl Write) -> io::Result<()> {
        while self.connection.wants_write() {
            match self.connection.write_tls(socket) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Whether the exporter is not verified yet.
    pub(super) fn is_handshaking(&self) -> bool {
        self.connection.is_handshaking()
    }

    /// Whether the exporter has announced the end (`close_notify`). Without it, octets may be missing.
    pub(super) const fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Requires this name of the certificate from now on. Returns what is wrong if it has not got it. A handshake is completed
    /// with the former name before.
    pub(super) fn require(&mut self, name: Option<CertificateName>) -> Option<TlsFailure> {
        if self.name == name || self.is_handshaking() {
            return None;
        }
        let certificate = self.connection.peer_certificates().and_then(<[_]>::first);
        let verified = match (&name, certificate) {
            (Some(name), Some(certificate)) => server_name(name).and_then(|name| verify_name(certificate, &name)),
            _ => Ok(()),
        };
        self.name = name;
        verified.err().map(|error| TlsFailure::of(&error, false))
    }

    /// Announces the end.
    pub(super) fn close(&mut self) {
        self.connection.send_close_notify();
    }

    /// What is shown of it; `None` before the end of the handshake.
    pub(super) fn shown(&self) -> Option<TlsOfConnection> {
        if self.is_handshaking() {
            return None;
        }
        let version = match self.connection.protocol_version()? {
            ProtocolVersion::TLSv1_3 => "1.3",
            _ => "1.2",
        };
        let required = self.name.as_ref().map(ToString::to_string);
        let certificate = self.connection.peer_certificates().and_then(<[_]>::first);
        Some(TlsOfConnection { version, certificate_name: required.or_else(|| first_name(certificate?)) })
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("name", &self.name).finish_non_exhaustive()
    }
}

fn server_name(name: &CertificateName) -> Result<ServerName<'static>, Error> {
    ServerName::try_from(name.as_str().to_owned()).map_err(|error| Error::General(error.to_string()))
}

fn verify_name(certificate: &CertificateDer<'_>, name: &ServerName<'_>) -> Result<(), Error> {
    verify_server_name(&ParsedCertificate::try_from(certificate)?, name)
}

/// The first DNS name of a certificate.
fn first_name(certificate: &CertificateDer<'_>) -> Option<String> {
    // Those that it has are a part of the error about one that it does not have.
    let other = ServerName::try_from("none.invalid").ok()?;
    match verify_name(certificate, &other) {
        Err(Error::InvalidCertificate(CertificateError::NotValidForNameContext { presented, .. })) => {
            dns_names(&presented).next()
        }
        _ => None,
    }
}

/// DNS names among those that a certificate has, which come from strangers: escaped and cut.
fn dns_names(presented: &[String]) -> impl Iterator<Item = String> {
    let names = presented.iter().filter_map(|name| name.strip_prefix("DnsName(\"")?.strip_suffix("\")"));
    names.map(shown)
}

fn shown(text: &str) -> String {
    text.escape_debug().take(SHOWN_CHARACTERS).collect()
}

/// Also verifies that a certificate has a name, if one is required.
#[derive(Debug)]
struct OfName {
    name: Option<ServerName<'static>>,
    verifier: Arc<dyn ClientCertVerifier>,
}

impl ClientCertVerifier for OfName {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.verifier.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.verifier.verify_client_cert(certificate, intermediates, now);
        let verified = verified.map_err(|error| match error {
            // Of an authority with the name of ours, such as one that was made again.
            Error::InvalidCertificate(CertificateError::BadSignature) => CertificateError::UnknownIssuer.into(),
            error => error,
        })?;
        self.name.as_ref().map_or(Ok(()), |name| verify_name(certificate, name))?;
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

/// Why TLS cannot continue.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub(super) struct TlsFailure {
    /// One word.
    pub(super) kind: &'static str,
    /// What is wrong and how to fix it.
    reason: String,
}

impl TlsFailure {
    /// All kinds.
    pub(super) const KINDS: [&'static str; 8] = [
        "no_certificate",
        "unknown_authority",
        "expired_certificate",
        "wrong_name",
        "bad_certificate",
        "not_tls",
        Self::INCOMPLETE,
        "tls_error",
    ];

    const INCOMPLETE: &'static str = "handshake_incomplete";

    /// The handshake was not complete in time.
    pub(super) fn too_slow() -> Self {
        let reason = format!("its TLS handshake was not complete within {} seconds", HANDSHAKE_PATIENCE.as_secs());
        Self { kind: Self::INCOMPLETE, reason }
    }

    /// The connection was closed before the handshake was complete.
    pub(super) fn early() -> Self {
        Self {
            kind: Self::INCOMPLETE,
            reason: "it closed the connection before the TLS handshake was complete".to_owned(),
        }
    }

    fn of(error: &Error, is_handshaking: bool) -> Self {
        let (kind, reason) = match error {
            Error::NoCertificatesPresented => (
                "no_certificate",
                "it showed no certificate: it needs one that an authority in netflow.tls.ca has signed".to_owned(),
            ),
            Error::InvalidCertificate(error) => of_certificate(error),
            Error::AlertReceived(alert) => ("tls_error", of_alert(*alert)),
            Error::PeerIncompatible(_) => (
                "tls_error",
                format!("it and the collector, which has TLS 1.2 and 1.3, have nothing in common: {error}"),
            ),
            Error::InvalidMessage(_) if is_handshaking => {
                ("not_tls", "it does not begin with TLS: without TLS, send to netflow.tcp.listen".to_owned())
            }
            error => ("tls_error", format!("TLS failed: {}", shown(&error.to_string()))),
        };
        Self { kind, reason }
    }
}

fn of_certificate(error: &CertificateError) -> (&'static str, String) {
    let at = |time: &UnixTime| Timestamp::from_seconds(time.as_secs());
    match error {
        CertificateError::UnknownIssuer => {
            ("unknown_authority", "no authority in netflow.tls.ca has signed its certificate".to_owned())
        }
        CertificateError::ExpiredContext { not_after, .. } => {
            ("expired_certificate", format!("its certificate expired at {}: renew it", at(not_after)))
        }
        // Also of one whose time ends before it begins.
        CertificateError::Expired => ("expired_certificate", "its certificate expired: renew it".to_owned()),
        CertificateError::NotValidYetContext { not_before, .. } => (
            "bad_certificate",
            format!("its certificate is not valid before {}: check the clock of this machine", at(not_before)),
        ),
        CertificateError::NotValidForNameContext { expected, presented } => {
            let names: Vec<String> = dns_names(presented).take(MOST_SHOWN + 1).collect();
            let has = match names.get(..MOST_SHOWN) {
                _ if names.is_empty() => "has no DNS name in its subjectAltName".to_owned(),
                Some(first) if names.len() > MOST_SHOWN => format!("has {} and more", first.join(", ")),
                _ => format!("has {}", names.join(", ")),
            };
            let expected = expected.to_str();
            ("wrong_name", format!("its certificate must have the name {expected} (certificateName), and {has}"))
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            ("bad_certificate", "its certificate is not for clients: its extendedKeyUsage needs clientAuth".to_owned())
        }
        error => ("bad_certificate", format!("its certificate cannot be used: {}", shown(&error.to_string()))),
    }
}

fn of_alert(alert: AlertDescription) -> String {
    use AlertDescription::{BadCertificate, CertificateExpired, CertificateUnknown, UnknownCA, UnsupportedCertificate};
    match alert {
        BadCertificate | CertificateExpired | CertificateUnknown | UnknownCA | UnsupportedCertificate => {
            format!("it rejects the certificate of the collector, netflow.tls.certificate ({alert:?})")
        }
        alert => format!("it ended TLS with the alert {alert:?}"),
    }
}

#[cfg(test)]
mod tests;
