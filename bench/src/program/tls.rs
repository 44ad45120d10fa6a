//! TLS for the REST interface of our collector: a certificate for 127.0.0.1, and clients that trust only this one.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context, ensure};
use rustls::client::Resumption;
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

/// A certificate with its key, and the configuration of its clients.
#[derive(Clone, Debug)]
pub(crate) struct Tls {
    certificate: PathBuf,
    key: PathBuf,
    /// Without resumption: each session costs a full handshake.
    pub(crate) client: Arc<ClientConfig>,
}

impl Tls {
    /// Makes a certificate in this directory.
    pub(crate) fn make(directory: &Path) -> anyhow::Result<Self> {
        let (certificate, key) = (directory.join("certificate.pem"), directory.join("key.pem"));
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"])
            .args(["-subj", "/CN=bench", "-addext", "subjectAltName=IP:127.0.0.1"])
            // The extension that -x509 adds makes it an authority, which must not be a server.
            .args(["-addext", "basicConstraints=critical,CA:FALSE"])
            .args([Path::new("-keyout"), &key, Path::new("-out"), &certificate])
            .output()
            .context("cannot start openssl: is it installed?")?;
        ensure!(made.status.success(), "openssl: {}", String::from_utf8_lossy(&made.stderr));
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(&certificate)?)?;
        let mut client = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        client.resumption = Resumption::disabled();
        Ok(Self { certificate, key, client: Arc::new(client) })
    }

    /// The settings of the collector.
    pub(crate) fn settings(&self) -> [(&'static str, String); 2] {
        let path = |path: &Path| path.to_string_lossy().into_owned();
        [("NETFLOW__ADMIN__TLS__CERTIFICATE", path(&self.certificate)), ("NETFLOW__ADMIN__TLS__KEY", path(&self.key))]
    }
}
