//! The certificates of the REST interface and of export connections, and their private keys, from their files.

use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context, bail};
use collector::{TlsCertificates, TlsSettings};
use flow::Timestamp;
use kafka::Mechanism;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use x509_cert::Certificate;
use x509_cert::der::Decode;
use x509_cert::time::{Time, Validity};

use crate::config::{Config, NetflowTls, Storage, Tls};

/// How long before its expiry a warning starts: certificates of 90 days are renewed after 60.
const SOON: Duration = Duration::from_secs(14 * 24 * 60 * 60);

/// How connections are encrypted: TLS 1.2 and 1.3. `None` when no certificate is configured.
///
/// # Errors
/// When a file cannot be read or has the wrong content, or the key belongs to another certificate.
pub(crate) fn server(tls: &Tls) -> anyhow::Result<Option<Arc<ServerConfig>>> {
    let (certificate, key) = match (&tls.certificate, &tls.key) {
        (None, None) => return Ok(None),
        (Some(certificate), Some(key)) => (certificate, key),
        _ => bail!("admin.tls.certificate and admin.tls.key belong together: set both or none"),
    };
    let own = certified(certificate, key, "admin.tls")?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(own);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Some(Arc::new(config)))
}

/// How export connections are encrypted: TLS 1.2 and 1.3, with certificates of exporters. `None` without listen addresses.
///
/// # Errors
/// When a file is not set, cannot be read or has the wrong content, or the key belongs to another certificate.
pub(crate) fn exporters(tls: &NetflowTls) -> anyhow::Result<Option<TlsSettings>> {
    if tls.listen.is_empty() {
        return Ok(None);
    }
    let (Some(certificate), Some(key), Some(ca)) = (&tls.own.certificate, &tls.own.key, &tls.ca) else {
        let files = [("certificate", &tls.own.certificate), ("key", &tls.own.key), ("ca", &tls.ca)];
        let missing = files.iter().filter(|(_, path)| path.is_none());
        let missing: Vec<String> = missing.map(|(key, _)| format!("netflow.tls.{key}")).collect();
        bail!(
            "netflow.tls.listen is set without {}: set certificate, key and ca, as exporters have to show certificates too",
            missing.join(" and ")
        );
    };
    let own = certified(certificate, key, "netflow.tls")?;
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(authorities(Some(ca), "netflow.tls.ca")?);
    Ok(Some(TlsSettings { listen: tls.listen.clone(), certificates: TlsCertificates::new(own, roots)? }))
}

/// A certificate with its chain and its private key, of these files, which a section of the configuration names.
fn certified(certificate: &Path, key: &Path, section: &str) -> anyhow::Result<Arc<SingleCertAndKey>> {
    let chain = read(certificate, &format!("{section}.certificate"))?;
    let chain = CertificateDer::pem_slice_iter(&chain).collect::<Result<Vec<_>, _>>();
    let chain =
        chain.with_context(|| format!("{} is not a valid PEM file ({section}.certificate)", certificate.display()))?;
    if chain.is_empty() {
        bail!("{} contains no PEM certificate ({section}.certificate)", certificate.display());
    }
    let secret = PrivateKeyDer::from_pem_slice(&read(key, &format!("{section}.key"))?)
        .with_context(|| format!("{} contains no PEM private key ({section}.key)", key.display()))?;
    let certified = CertifiedKey::from_der(chain, secret, &ring::default_provider())
        .with_context(|| format!("{} is not the private key of {}", key.display(), certificate.display()))?;
    Ok(Arc::new(SingleCertAndKey::from(certified)))
}

/// How connections to others are encrypted: their certificates are signed by the authority in this file, which this key names,
/// or by one that the system trusts.
///
/// # Errors
/// When the file cannot be read or has no certificate.
pub(crate) fn client(authority: Option<&Path>, key: &str) -> anyhow::Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    // What is not valid is not trusted.
    roots.add_parsable_certificates(authorities(authority, key)?);
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions()?;
    Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
}

/// The certificates of the authority in this file, which this key names, or of those that the system trusts.
///
/// # Errors
/// When the file cannot be read or has no certificate.
pub(crate) fn authorities(authority: Option<&Path>, key: &str) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let Some(path) = authority else { return Ok(rustls_native_certs::load_native_certs().certs) };
    let (pem, mut certificates) = (read(path, key)?, Vec::new());
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let parsed = certificate.map_err(anyhow::Error::from).and_then(|it| {
            RootCertStore::empty().add(it.clone())?;
            Ok(it)
        });
        certificates.push(parsed.with_context(|| format!("{} is not a valid PEM file ({key})", path.display()))?);
    }
    if certificates.is_empty() {
        bail!("{} contains no PEM certificate ({key})", path.display());
    }
    Ok(certificates)
}

/// Problems that do not prevent encryption: a private key is world-readable, or a certificate of a chain is not valid
/// now, or expires soon. And passwords that are sent without encryption.
pub(crate) fn warnings(config: &Config, now: SystemTime) -> Vec<String> {
    let is_encrypted = !config.netflow.tls.listen.is_empty();
    let exporters = is_encrypted.then_some((&config.netflow.tls.own, "netflow.tls"));
    let used = [(&config.admin.tls, "admin.tls")].into_iter().chain(exporters);
    used.flat_map(|(tls, section)| warnings_of(tls, section, now)).chain(readable_passwords(config)).collect()
}

/// Passwords that are sent to other machines as they are. With SCRAM, Kafka does not get the password.
fn readable_passwords(config: &Config) -> impl Iterator<Item = String> {
    let Config { storage, redis, cassandra, kafka, clickhouse, .. } = config;
    let sent = [
        ("redis", &redis.hosts, &redis.access, *storage == Storage::Redis),
        ("cassandra", &cassandra.hosts, &cassandra.access, *storage == Storage::Cassandra),
        ("kafka", &kafka.brokers, &kafka.access, kafka.is_on() && kafka.mechanism == Mechanism::Plain),
        ("clickhouse", &clickhouse.hosts, &clickhouse.access, clickhouse.is_on()),
    ];
    sent.into_iter().filter_map(|(section, hosts, access, is_sent)| {
        let host = hosts.iter().find(|host| !is_this_machine(host))?;
        (is_sent && access.password.is_some() && !access.tls).then(|| {
            format!("{section}.password is sent without TLS to {host}: anyone who sees the traffic can read it; set {section}.tls = true")
        })
    })
}

/// Whether a host, with or without its port, is this machine.
fn is_this_machine(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, _)) if host.parse::<IpAddr>().is_err() => name,
        _ => host,
    };
    name == "localhost" || name.trim_matches(['[', ']']).parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

fn warnings_of(tls: &Tls, section: &str, now: SystemTime) -> impl Iterator<Item = String> {
    let validity = tls.certificate.as_deref().and_then(|path| validity_warning(path, section, now));
    exposed_key(tls, section).into_iter().chain(validity)
}

fn exposed_key(tls: &Tls, section: &str) -> Option<String> {
    let path = tls.key.as_ref()?;
    let mode = fs::metadata(path).ok()?.mode();
    let path = path.display();
    (mode & 0o007 != 0)
        .then(|| format!("everybody can read the private key {path} ({section}.key): run chmod o-rwx {path}"))
}

/// A warning about the certificate of the chain that expires first. Unreadable ones are left to rustls, which rejects them.
fn validity_warning(path: &Path, section: &str, now: SystemTime) -> Option<String> {
    let chain = fs::read(path).ok()?;
    let chain = CertificateDer::pem_slice_iter(&chain).filter_map(|item| Certificate::from_der(&item.ok()?).ok());
    let validities = chain.map(|certificate| *certificate.tbs_certificate().validity());
    let Validity { not_before, not_after, .. } = validities.min_by_key(|it| it.not_after.to_unix_duration())?;
    let at = |time: Time| Timestamp::from(time.to_system_time());
    let path = path.display();
    let what = if now > not_after.to_system_time() {
        format!("expired at {}: clients reject it; renew it, then reload", at(not_after))
    } else if now < not_before.to_system_time() {
        format!("is not valid before {}: clients reject it until then; check the clock of this machine", at(not_before))
    } else if now + SOON > not_after.to_system_time() {
        format!("expires at {}: renew it, then reload", at(not_after))
    } else {
        return None;
    };
    Some(format!("the certificate {path} ({section}.certificate) {what}"))
}

fn read(path: &Path, key: &str) -> anyhow::Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {} ({key})", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;

    /// The sections whose password is sent without TLS.
    fn sections(config: &Config) -> Vec<String> {
        readable_passwords(config).map(|warning| warning.split('.').next().unwrap().to_owned()).collect()
    }

    #[test]
    fn passwords_that_others_can_read_are_reported() {
        let mut config = Config::default();
        let passwords = [
            &mut config.redis.access,
            &mut config.cassandra.access,
            &mut config.kafka.access,
            &mut config.clickhouse.access,
        ];
        passwords.into_iter().for_each(|access| access.password = Some(Secret::new("secret".to_owned())));
        config.redis.hosts = vec!["redis.example".to_owned()];
        assert!(sections(&config).is_empty(), "none is used");
        config.storage = Storage::Redis;
        config.kafka.brokers = vec!["127.0.0.1:9092".to_owned(), "192.0.2.1:9092".to_owned()];
        config.clickhouse.hosts = vec!["[2001:db8::1]:8123".to_owned()];
        assert_eq!(sections(&config), ["redis", "clickhouse"], "SCRAM does not send it");
        config.kafka.mechanism = Mechanism::Plain;
        config.clickhouse.access.tls = true;
        assert_eq!(sections(&config), ["redis", "kafka"]);
        config.redis.hosts = ["localhost", "127.0.0.1:6379", "::1", "[::1]:6379"].map(str::to_owned).to_vec();
        assert_eq!(sections(&config), ["kafka"]);
        config.kafka.access.password = None;
        assert!(sections(&config).is_empty());
    }
}
