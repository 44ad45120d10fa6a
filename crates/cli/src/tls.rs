//! The certificate of the REST interface, and its private key, from their files.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context, bail};
use flow::Timestamp;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use x509_cert::Certificate;
use x509_cert::der::Decode;
use x509_cert::time::{Time, Validity};

use crate::config::Tls;

/// How long before its end a certificate is told to be renewed: those of 90 days are renewed after 60.
const SOON: Duration = Duration::from_secs(14 * 24 * 60 * 60);

/// How connections are encrypted: TLS 1.2 and 1.3. `None` when no certificate is configured.
///
/// # Errors
/// When a file cannot be read or does not hold what it should, or the key belongs to another certificate.
pub(crate) fn server(tls: &Tls) -> anyhow::Result<Option<Arc<ServerConfig>>> {
    let (certificate, key) = match (&tls.certificate, &tls.key) {
        (None, None) => return Ok(None),
        (Some(certificate), Some(key)) => (certificate, key),
        _ => bail!("admin.tls.certificate and admin.tls.key belong together: name both files or none"),
    };
    let chain = read(certificate, "admin.tls.certificate")?;
    let chain = CertificateDer::pem_slice_iter(&chain).collect::<Result<Vec<_>, _>>();
    let chain = chain.with_context(|| format!("{} is no PEM (admin.tls.certificate)", certificate.display()))?;
    if chain.is_empty() {
        bail!("{} holds no certificate in PEM (admin.tls.certificate)", certificate.display());
    }
    let secret = PrivateKeyDer::from_pem_slice(&read(key, "admin.tls.key")?)
        .with_context(|| format!("{} holds no private key in PEM (admin.tls.key)", key.display()))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, secret)
        .with_context(|| format!("{} does not go with {}", key.display(), certificate.display()))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Some(Arc::new(config)))
}

/// What is not as it should be, although connections could be encrypted: others can read the private key, or a certificate
/// of the chain is not valid now, or soon will not be.
pub(crate) fn warnings(tls: &Tls, now: SystemTime) -> Vec<String> {
    let validity = tls.certificate.as_deref().and_then(|path| validity_warning(path, now));
    exposed_key(tls).into_iter().chain(validity).collect()
}

fn exposed_key(tls: &Tls) -> Option<String> {
    let path = tls.key.as_ref()?;
    let mode = fs::metadata(path).ok()?.mode();
    let path = path.display();
    (mode & 0o007 != 0)
        .then(|| format!("everybody can read the private key {path} (admin.tls.key): run chmod o-rwx {path}"))
}

/// Of the certificate in the chain that ends first. What cannot be read is no certificate to rustls either, which says so.
fn validity_warning(path: &Path, now: SystemTime) -> Option<String> {
    let chain = fs::read(path).ok()?;
    let chain = CertificateDer::pem_slice_iter(&chain).filter_map(|item| Certificate::from_der(&item.ok()?).ok());
    let validities = chain.map(|certificate| *certificate.tbs_certificate().validity());
    let Validity { not_before, not_after, .. } = validities.min_by_key(|it| it.not_after.to_unix_duration())?;
    let at = |time: Time| Timestamp::from(time.to_system_time());
    let path = path.display();
    let what = if now > not_after.to_system_time() {
        format!("has expired at {}: clients refuse it. Renew it, and reload", at(not_after))
    } else if now < not_before.to_system_time() {
        format!("is valid from {} on only: clients refuse it until then. Look at this machine's clock", at(not_before))
    } else if now + SOON > not_after.to_system_time() {
        format!("expires at {}: renew it, and reload", at(not_after))
    } else {
        return None;
    };
    Some(format!("the certificate {path} (admin.tls.certificate) {what}"))
}

fn read(path: &Path, key: &str) -> anyhow::Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {} ({key})", path.display()))
}
