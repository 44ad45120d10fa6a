//! Encrypted connections to Cassandra.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::{Reason, StoreError};

/// Checks the certificates of the nodes, which have to name the addresses of the nodes, against one authority.
pub(super) fn configuration(authority: &Path) -> Result<Arc<ClientConfig>, StoreError> {
    let failed = |error: Reason| StoreError::config(authority.display(), error);
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(authority).map_err(|error| failed(error.into()))? {
        roots.add(certificate.map_err(|error| failed(error.into()))?).map_err(|error| failed(error.into()))?;
    }
    if roots.is_empty() {
        return Err(failed("no certificate in it".into()));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| failed(error.into()))?;
    Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
}
