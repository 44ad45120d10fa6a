//! Which certificates of collectors are trusted, by every command with `--ca`.
//!
//! A certificate is trusted if an authority signed it: one of `--ca`, or of the system. A certificate that is itself in the file
//! of `--ca` is trusted too. This is for the certificates of `openssl req -x509`, which sign themselves: they state that they
//! are authorities, and rustls accepts no authority as the certificate of a server. Errors are in `reasons`.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WantsClientCert, WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, ConfigBuilder, DigitallySignedStruct, RootCertStore, SignatureScheme};
use x509_cert::Certificate;
use x509_cert::der::Decode;
use x509_cert::der::asn1::ObjectIdentifier;

/// subjectAltName (RFC 5280, section 4.2.1.6).
const ALTERNATIVE_NAMES: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.17");

/// TLS 1.2 and 1.3 to a collector; `authority` is the file of `--ca`.
///
/// # Errors
/// When the file cannot be read or has no certificates.
pub(crate) fn client(authority: Option<&Path>) -> anyhow::Result<ConfigBuilder<ClientConfig, WantsClientCert>> {
    let provider = Arc::new(ring::default_provider());
    let trusted = match authority {
        Some(path) => certificates(path)?,
        None => rustls_native_certs::load_native_certs().certs,
    };
    let mut authorities = RootCertStore::empty();
    authorities.add_parsable_certificates(trusted.iter().cloned());
    let verifier = Verifier {
        algorithms: provider.signature_verification_algorithms,
        // It is an error only if there are none.
        authorities: WebPkiServerVerifier::builder_with_provider(Arc::new(authorities), Arc::clone(&provider))
            .build()
            .ok(),
        itself: if authority.is_some() { trusted } else { Vec::new() },
    };
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)))
}

/// The certificates in this file.
///
/// # Errors
/// When it cannot be read or has none.
pub(crate) fn certificates(path: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let pem = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .with_context(|| format!("{} is not a valid PEM file", path.display()))?;
    if certificates.is_empty() {
        bail!("{} contains no PEM certificate", path.display());
    }
    Ok(certificates)
}

/// Trusts the authorities, and a certificate that is among the given ones itself.
#[derive(Debug)]
struct Verifier {
    algorithms: WebPkiSupportedAlgorithms,
    /// `None` without any.
    authorities: Option<Arc<WebPkiServerVerifier>>,
    itself: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if self.itself.iter().any(|trusted| trusted.as_ref() == certificate.as_ref()) {
            return verify_itself(certificate, name, now);
        }
        let authorities = self.authorities.as_ref().ok_or(CertificateError::UnknownIssuer)?;
        authorities.verify_server_cert(certificate, intermediates, name, ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Of a certificate that is trusted itself: its time and its names. Without alternative names, its common name counts, as curl
/// has it.
fn verify_itself(
    certificate: &CertificateDer<'_>,
    name: &ServerName<'_>,
    now: UnixTime,
) -> Result<ServerCertVerified, rustls::Error> {
    let parsed = Certificate::from_der(certificate).map_err(|_| CertificateError::BadEncoding)?;
    let validity = parsed.tbs_certificate().validity();
    let seconds = Duration::from_secs(now.as_secs());
    if seconds > validity.not_after.to_unix_duration() {
        return Err(CertificateError::Expired.into());
    }
    if seconds < validity.not_before.to_unix_duration() {
        return Err(CertificateError::NotValidYet.into());
    }
    let extensions = parsed.tbs_certificate().extensions();
    if extensions.into_iter().flatten().any(|extension| extension.extn_id == ALTERNATIVE_NAMES) {
        verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
    } else if !is_common_name(&parsed, name) {
        return Err(CertificateError::NotValidForName.into());
    }
    Ok(ServerCertVerified::assertion())
}

fn is_common_name(certificate: &Certificate, name: &ServerName<'_>) -> bool {
    let Ok(Some(common)) = certificate.tbs_certificate().subject().common_name() else { return false };
    let common = common.value();
    match name {
        ServerName::DnsName(name) => name.as_ref().eq_ignore_ascii_case(&common),
        ServerName::IpAddress(address) => common.parse::<IpAddr>().is_ok_and(|of| of == IpAddr::from(*address)),
        _ => false,
    }
}
