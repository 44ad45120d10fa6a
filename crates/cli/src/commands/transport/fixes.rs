//! What to check when an export connection is not opened, or breaks.

use std::io::{self, ErrorKind};

use anyhow::anyhow;
use export_client::{Error, Reason};
use rustix::io::Errno;
use rustls::AlertDescription;

use super::Transport;
use crate::client::reasons::of_certificate;

/// The error with its fix, and what it means for what was sent.
pub(super) fn explained(error: &Error, transport: Transport, has_certificate: bool) -> anyhow::Error {
    let fix = fix(error, transport, has_certificate);
    match error.messages {
        0 => anyhow!("{error}: {fix}"),
        messages => {
            anyhow!("{error}: {fix}. It was handed {messages} messages; how many of them have arrived is not known")
        }
    }
}

fn fix(error: &Error, transport: Transport, has_certificate: bool) -> String {
    let address = error.from.map_or_else(|| "ADDRESS".to_owned(), |from| from.ip().to_string());
    match &error.reason {
        Reason::Connect(error) => of_connecting(error, transport),
        Reason::NoAnswer => "is the address right, and do firewalls let this TCP port through?".to_owned(),
        Reason::Source(..) => "exporters need addresses of this machine (--source)".to_owned(),
        Reason::Tls(error) => of_encryption(error, has_certificate),
        Reason::NotTls => {
            "use a port of netflow.tls.listen, or --tcp instead of --tls for one of netflow.tcp.listen".to_owned()
        }
        Reason::IsTls => "use --tls instead of --tcp, or a port of netflow.tcp.listen".to_owned(),
        Reason::Closed | Reason::Broken(_) => {
            format!("its log has the reason; it accepts registered senders only (netflow senders add {address} PREFIX)")
        }
        Reason::NotRead | Reason::NotClosed => "see its log; netflow doctor checks it".to_owned(),
    }
}

fn of_connecting(error: &io::Error, transport: Transport) -> String {
    let files = [Errno::MFILE, Errno::NFILE].map(Errno::raw_os_error);
    if error.raw_os_error().is_some_and(|number| files.contains(&number)) {
        return "each exporter has a connection: raise the limit with ulimit -n, or send fewer exporters".to_owned();
    }
    match error.kind() {
        ErrorKind::ConnectionRefused => {
            format!("does a collector run there, with this port in netflow.{}.listen?", transport.name())
        }
        _ => "check the address, and routes and firewalls on the way".to_owned(),
    }
}

fn of_encryption(error: &rustls::Error, has_certificate: bool) -> String {
    match error {
        rustls::Error::InvalidCertificate(error) => of_certificate(error, "--to"),
        rustls::Error::AlertReceived(AlertDescription::CertificateRequired) => {
            "it demands a certificate: use --certificate FILE and --key FILE".to_owned()
        }
        rustls::Error::AlertReceived(_) if has_certificate => {
            "it may not accept the certificate of --certificate: its log has the reason".to_owned()
        }
        _ => "the log of the collector has the reason".to_owned(),
    }
}
