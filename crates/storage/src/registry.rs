//! The registered senders, with what each has announced.

use std::net::IpAddr;

use async_trait::async_trait;
use flow::{CertificateName, Network, Prefix, SenderName, SenderSettings, Setting, Tag, Timestamp};

use crate::registrations::{OPERATOR, Part, PartKind, RegisteredBy, Registrations, unnumbered};
use crate::{Remark, Remarks, StoreError};

/// A registered sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender {
    /// The source address of its datagrams, canonical.
    pub address: IpAddr,
    /// Its monitored prefixes, sorted, each once.
    pub prefixes: Vec<Prefix>,
    /// Its settings.
    pub settings: SenderSettings,
    /// Its tags, sorted, each once.
    pub tags: Vec<Tag>,
    /// What it is called.
    pub name: Option<SenderName>,
    /// The name that its certificate must have, where it sends over TLS. It is no setting: nothing is counted by it.
    pub certificate_name: Option<CertificateName>,
    /// Who has registered it.
    pub by: RegisteredBy,
    /// When its last datagram was received.
    pub last: Option<Timestamp>,
    /// The networks of the [operator](crate::registrations::OPERATOR), which is listed among the senders and is none.
    pub networks: Vec<Network>,
    /// The addresses that no collector may register by itself, of the operator as well.
    pub refused: Vec<IpAddr>,
}

impl Sender {
    /// A sender without prefixes and tags, and with all settings at their defaults.
    #[must_use]
    pub fn new(address: IpAddr, last: Option<Timestamp>) -> Self {
        Self {
            address,
            prefixes: Vec::new(),
            settings: SenderSettings::default(),
            tags: Vec::new(),
            name: None,
            certificate_name: None,
            by: RegisteredBy::Request,
            last,
            networks: Vec::new(),
            refused: Vec::new(),
        }
    }

    /// All parts of it.
    pub(crate) fn parts(&self) -> Vec<Part> {
        let Self { prefixes, settings, tags, name, certificate_name, by, networks, refused, .. } = self;
        let prefixes = prefixes.iter().copied().map(Part::Prefix);
        let parts = prefixes.chain(settings.changed().map(Part::Setting)).chain(tags.iter().copied().map(Part::Tag));
        let parts = parts.chain(name.clone().map(Part::Name)).chain(by_part(*by));
        let parts = parts.chain(certificate_name.clone().map(Part::CertificateName));
        let parts = parts.chain(networks.iter().cloned().map(Box::new).map(Part::Network));
        parts.chain(refused.iter().copied().map(Part::Refused)).collect()
    }

    /// Adds a part of it. Prefixes have to be sorted afterwards, unless they are added in order.
    pub(crate) fn add(&mut self, part: Part) {
        match part {
            Part::Network(network) => self.networks.push(*network),
            Part::Refused(address) => self.refused.push(address),
            Part::Name(name) => self.name = Some(name),
            Part::CertificateName(name) => self.certificate_name = Some(name),
            Part::By(by) => self.by = by,
            Part::Prefix(prefix) => self.prefixes.push(prefix),
            Part::Setting(setting) => self.settings.set(setting),
            Part::Tag(tag) => {
                if let Err(position) = self.tags.binary_search(&tag) {
                    self.tags.insert(position, tag);
                }
            }
        }
    }
}

/// A request needs no part: registrations of former programs have none.
fn by_part(by: RegisteredBy) -> Option<Part> {
    (by != RegisteredBy::Request).then_some(Part::By(by))
}

/// The senders of a store. Every call may be repeated without harm.
#[async_trait]
pub trait Registry: Send + Sync {
    /// All registered senders, sorted by address; the [operator](crate::registrations::OPERATOR) is among them if it has networks.
    async fn senders(&self) -> Result<Vec<Sender>, StoreError>;

    /// One sender.
    async fn sender(&self, address: IpAddr) -> Result<Option<Sender>, StoreError>;

    /// Registers the sender unless it is registered, and adds these prefixes.
    async fn add_prefixes(&self, address: IpAddr, prefixes: &[Prefix]) -> Result<(), StoreError>;

    /// Removes these prefixes; prefixes that the sender does not have are ignored. `false` when there is no such sender.
    async fn remove_prefixes(&self, address: IpAddr, prefixes: &[Prefix]) -> Result<bool, StoreError>;

    /// Registers the sender unless it is registered, and changes these settings.
    async fn set(&self, address: IpAddr, settings: &[Setting]) -> Result<(), StoreError>;

    /// Registers the sender unless it is registered, and replaces its parts of a kind. `parts` are of this kind.
    async fn replace(&self, address: IpAddr, kind: PartKind, parts: &[Part]) -> Result<(), StoreError>;

    /// Registers the sender unless it is registered, and replaces its tags.
    async fn put_tags(&self, address: IpAddr, tags: &[Tag]) -> Result<(), StoreError> {
        let tags: Vec<Part> = tags.iter().copied().map(Part::Tag).collect();
        self.replace(address, PartKind::Tags, &tags).await
    }

    /// Registers the sender unless it is registered, and replaces or removes its name.
    async fn put_name(&self, address: IpAddr, name: Option<SenderName>) -> Result<(), StoreError> {
        let name: Vec<Part> = name.into_iter().map(Part::Name).collect();
        self.replace(address, PartKind::Name, &name).await
    }

    /// Registers the sender unless it is registered, and replaces or removes the name that its certificate must have.
    async fn put_certificate_name(&self, address: IpAddr, name: Option<CertificateName>) -> Result<(), StoreError> {
        let name: Vec<Part> = name.into_iter().map(Part::CertificateName).collect();
        self.replace(address, PartKind::CertificateName, &name).await
    }

    /// Registers the sender, and notes who does.
    async fn register(&self, address: IpAddr, by: RegisteredBy) -> Result<(), StoreError> {
        let by: Vec<Part> = by_part(by).into_iter().collect();
        self.replace(address, PartKind::By, &by).await
    }

    /// Forbids or permits that a collector registers an address by itself. These addresses are listed as those of the
    /// [operator](OPERATOR).
    async fn refuse(&self, address: IpAddr, is_refused: bool) -> Result<(), StoreError> {
        let refused: Vec<Part> = is_refused.then_some(Part::Refused(address)).into_iter().collect();
        self.replace(OPERATOR, PartKind::Refused(address), &refused).await
    }

    /// Replaces the network of this prefix, or removes it. Networks are listed as those of the [operator](OPERATOR).
    async fn put_network(&self, prefix: Prefix, network: Option<&Network>) -> Result<(), StoreError> {
        let network: Vec<Part> = network.cloned().map(Box::new).map(Part::Network).into_iter().collect();
        self.replace(OPERATOR, PartKind::Network(prefix), &network).await
    }

    /// Removes the sender with its prefixes, settings and tags; what was counted for it stays. `false` when there is no such sender. A store on
    /// this machine's disk keeps its templates until a [flush](crate::Store::put_flush) no longer needs them; others remove
    /// them.
    async fn remove_sender(&self, address: IpAddr) -> Result<bool, StoreError>;

    /// Stores when datagrams of these senders were last received; an older time never replaces a newer one, and senders
    /// that are not registered are ignored.
    async fn touch_senders(&self, last: &[(IpAddr, Timestamp)]) -> Result<(), StoreError>;

    /// Stores what senders have announced (templates, sampling rates), in the encoding of `wire`. It replaces what was stored
    /// of each sender before. A store may ignore senders that are not registered.
    async fn put_templates(&self, announced: &[(IpAddr, Vec<u8>)]) -> Result<(), StoreError>;

    /// What senders have announced, in no particular order.
    async fn templates(&self) -> Result<Vec<(IpAddr, Vec<u8>)>, StoreError>;

    /// The [remarks](crate::remarks) about a sender, registered or not, the oldest first.
    async fn remarks(&self, address: IpAddr) -> Result<Vec<Remark>, StoreError>;

    /// The remarks about all senders.
    async fn all_remarks(&self) -> Result<Remarks, StoreError>;

    /// Adds remarks. What is there already is not added again; of each sender the newest
    /// [256](crate::remarks::REMARKS_KEPT) stay.
    async fn put_remarks(&self, remarks: &Remarks) -> Result<(), StoreError>;

    /// All registrations and the removals of the last [90 days](crate::registrations::REMOVALS_KEPT), with the numbers of
    /// these changes. A store on this machine's disk numbers none: it loses them only together with everything else.
    async fn registrations(&self) -> Result<Registrations, StoreError> {
        Ok(unnumbered(&self.senders().await?))
    }

    /// Stores registrations and removals that the store has lost. Those of which it has a number as great are ignored.
    async fn put_registrations(&self, _lost: &Registrations) -> Result<(), StoreError> {
        Ok(())
    }
}
