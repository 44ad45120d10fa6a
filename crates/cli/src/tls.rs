//! The certificate of the REST interface, and its private key, from their files.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::config::Tls;

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

/// What to say when others than the owner and the group can read the private key.
pub(crate) fn exposed_key(tls: &Tls) -> Option<String> {
    let path = tls.key.as_ref()?;
    let mode = fs::metadata(path).ok()?.mode();
    let path = path.display();
    (mode & 0o007 != 0)
        .then(|| format!("everybody can read the private key {path} (admin.tls.key): run chmod o-rwx {path}"))
}

fn read(path: &Path, key: &str) -> anyhow::Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {} ({key})", path.display()))
}
