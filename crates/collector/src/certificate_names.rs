//! The names that the certificates of senders must have for export connections with TLS.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use flow::CertificateName;

/// A handle to the names. Its copies are handles to the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct CertificateNames(Arc<ArcSwap<HashMap<IpAddr, CertificateName>>>);

impl CertificateNames {
    /// Replaces all of them.
    pub(crate) fn replace(&self, names: HashMap<IpAddr, CertificateName>) {
        if **self.0.load() != names {
            self.0.store(Arc::new(names));
        }
    }

    /// That of a sender, if it must have one.
    pub(crate) fn of(&self, sender: IpAddr) -> Option<CertificateName> {
        self.0.load().get(&sender).cloned()
    }
}
