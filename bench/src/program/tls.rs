//! TLS for our collector: a certificate for 127.0.0.1, and clients of the REST interface and exporters that trust only this one.

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context, ensure};
use export_client::Encryption;
use rustls::client::Resumption;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
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
        let roots = trusting(&certificate)?;
        let mut client = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        client.resumption = Resumption::disabled();
        Ok(Self { certificate, key, client: Arc::new(client) })
    }

    /// The settings of its REST interface.
    pub(crate) fn settings(&self) -> [(&'static str, String); 2] {
        let path = |path: &Path| path.to_string_lossy().into_owned();
        [("NETFLOW__ADMIN__TLS__CERTIFICATE", path(&self.certificate)), ("NETFLOW__ADMIN__TLS__KEY", path(&self.key))]
    }

    /// The settings of its export connections, at which the certificate is also that of the exporters.
    pub(crate) fn exporter_settings(&self) -> [(&'static str, String); 3] {
        let path = |path: &Path| path.to_string_lossy().into_owned();
        [
            ("NETFLOW__NETFLOW__TLS__CERTIFICATE", path(&self.certificate)),
            ("NETFLOW__NETFLOW__TLS__KEY", path(&self.key)),
            ("NETFLOW__NETFLOW__TLS__CA", path(&self.certificate)),
        ]
    }

    /// The side of exporters.
    pub(crate) fn exporter(&self) -> anyhow::Result<Encryption> {
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(trusting(&self.certificate)?)
            .with_client_auth_cert(
                vec![CertificateDer::from_pem_file(&self.certificate)?],
                PrivateKeyDer::from_pem_file(&self.key)?,
            )?;
        Ok(Encryption { config: Arc::new(config), name: IpAddr::from(Ipv4Addr::LOCALHOST).into() })
    }
}

/// Only this certificate is trusted.
fn trusting(certificate: &Path) -> anyhow::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(certificate)?)?;
    Ok(roots)
}
