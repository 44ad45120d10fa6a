//! What an operator states about one sender, where exporters differ and their datagrams do not say how.
//!
//! A setting has a name and a value. [`SenderSettings`] shows as `name=value`, separated by spaces, without those at their
//! default; stores and the journal keep this text. An empty text is all defaults.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use crate::ObservedAt;

/// The settings of one sender. By default its datagrams are counted as they say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SenderSettings {
    /// `samplingRate`: multiplies bytes and packets, whatever the exporter announces. `None`: what it announces.
    pub sampling_rate: Option<NonZeroU32>,
    /// `flowDirection`: which flows are counted, by the interface side on which the exporter observed them.
    pub flow_direction: FlowDirection,
    /// `outCounters`: what the elements 23 and 24 count.
    pub out_counters: OutCounters,
    /// `natAddresses`: by which addresses translated flows are counted.
    pub nat_addresses: NatAddresses,
    /// `tunnels`: by which of their headers packets in tunnels are counted.
    pub tunnels: Tunnels,
    /// `identity`: which exporter its flows are of.
    pub identity: Identity,
}

/// A setting with a few possible values.
trait Choice: Copy + Default + PartialEq + 'static {
    /// All values with their names.
    const ALL: &'static [(Self, &'static str)];

    fn name(self) -> &'static str {
        Self::ALL.iter().find(|(value, _)| *value == self).map_or("", |(_, name)| name)
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, of)| *of == name).map(|(value, _)| *value)
    }
}

/// Which flows are counted, by flowDirection (IPFIX element 61). An exporter that observes on all interfaces, at ingress and
/// at egress, reports each packet twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FlowDirection {
    /// All.
    #[default]
    Both,
    /// Those observed at ingress, and those that do not say.
    Ingress,
    /// Those observed at egress, and those that do not say.
    Egress,
}

impl FlowDirection {
    /// Whether a flow counts that was observed there.
    #[must_use]
    pub fn counts(self, observed: Option<ObservedAt>) -> bool {
        !matches!(
            (self, observed),
            (Self::Ingress, Some(ObservedAt::Egress)) | (Self::Egress, Some(ObservedAt::Ingress))
        )
    }
}

impl Choice for FlowDirection {
    const ALL: &'static [(Self, &'static str)] =
        &[(Self::Both, "both"), (Self::Ingress, "ingress"), (Self::Egress, "egress")];
}

/// What postOctetDeltaCount and postPacketDeltaCount (elements 23 and 24, `OUT_BYTES` and `OUT_PKTS` in NetFlow v9) count in
/// a record that has 1 and 2 as well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum OutCounters {
    /// The same packets after the exporter has treated them (RFC 5102).
    #[default]
    Same,
    /// The packets from destination to source, as Meraki and nProbe send them.
    Reverse,
}

impl Choice for OutCounters {
    const ALL: &'static [(Self, &'static str)] = &[(Self::Same, "same"), (Self::Reverse, "reverse")];
}

/// By which addresses a flow is counted that network address translation has changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum NatAddresses {
    /// Source and destination as the exporter reports them.
    #[default]
    Reported,
    /// Those of the inside network: the source before and the destination after translation.
    Inside,
}

impl Choice for NatAddresses {
    const ALL: &'static [(Self, &'static str)] = &[(Self::Reported, "reported"), (Self::Inside, "inside")];
}

/// By which of its headers a packet in a tunnel is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Tunnels {
    /// The outer one, between the ends of the tunnel.
    #[default]
    Outer,
    /// That of the innermost packet, as its length is.
    Inner,
}

impl Choice for Tunnels {
    const ALL: &'static [(Self, &'static str)] = &[(Self::Outer, "outer"), (Self::Inner, "inner")];
}

/// Which exporter the flows are of that come from an address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Identity {
    /// The one at this address.
    #[default]
    Source,
    /// The one that the datagram or the record names: the address is that of a relay.
    Agent,
}

impl Choice for Identity {
    const ALL: &'static [(Self, &'static str)] = &[(Self::Source, "source"), (Self::Agent, "agent")];
}

/// The names of all settings.
pub const NAMES: [&str; 6] = ["samplingRate", "flowDirection", "outCounters", "natAddresses", "tunnels", "identity"];

/// The value of `samplingRate` for which the exporter's own rate counts.
const ANNOUNCED: &str = "announced";

/// Why a setting is refused. Shown to the operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    /// The text is not of the form `name=value`.
    #[error("'{0}' is not a setting: write <name>=<value>, such as samplingRate=1000")]
    Form(String),
    /// There is no such setting.
    #[error("there is no setting '{0}' of a sender; there are {names}", names = NAMES.join(", "))]
    Unknown(String),
    /// The setting has no such value.
    #[error("{name} is '{value}'; it must be {values}")]
    Value {
        /// The setting.
        name: &'static str,
        /// The given value.
        value: String,
        /// The possible values.
        values: String,
    },
}

/// One of the settings. Shows as `name=value`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Setting {
    /// `samplingRate`
    SamplingRate(Option<NonZeroU32>),
    /// `flowDirection`
    FlowDirection(FlowDirection),
    /// `outCounters`
    OutCounters(OutCounters),
    /// `natAddresses`
    NatAddresses(NatAddresses),
    /// `tunnels`
    Tunnels(Tunnels),
    /// `identity`
    Identity(Identity),
}

impl Setting {
    /// The setting of this name and value.
    ///
    /// # Errors
    /// If there is no such setting, or it has no such value.
    pub fn new(name: &str, value: &str) -> Result<Self, SettingError> {
        match name {
            "samplingRate" => rate(value).map(Self::SamplingRate),
            "flowDirection" => choice("flowDirection", value).map(Self::FlowDirection),
            "outCounters" => choice("outCounters", value).map(Self::OutCounters),
            "natAddresses" => choice("natAddresses", value).map(Self::NatAddresses),
            "tunnels" => choice("tunnels", value).map(Self::Tunnels),
            "identity" => choice("identity", value).map(Self::Identity),
            _ => Err(SettingError::Unknown(name.to_owned())),
        }
    }

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SamplingRate(_) => "samplingRate",
            Self::FlowDirection(_) => "flowDirection",
            Self::OutCounters(_) => "outCounters",
            Self::NatAddresses(_) => "natAddresses",
            Self::Tunnels(_) => "tunnels",
            Self::Identity(_) => "identity",
        }
    }

    /// Its value.
    #[must_use]
    pub fn value(self) -> String {
        match self {
            Self::SamplingRate(rate) => rate.map_or_else(|| ANNOUNCED.to_owned(), |rate| rate.to_string()),
            Self::FlowDirection(value) => value.name().to_owned(),
            Self::OutCounters(value) => value.name().to_owned(),
            Self::NatAddresses(value) => value.name().to_owned(),
            Self::Tunnels(value) => value.name().to_owned(),
            Self::Identity(value) => value.name().to_owned(),
        }
    }

    /// Whether it has the value that it has without being set.
    #[must_use]
    pub fn is_default(self) -> bool {
        SenderSettings::default().all().contains(&self)
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.name(), self.value())
    }
}

impl FromStr for Setting {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Self, SettingError> {
        let (name, value) = text.split_once('=').ok_or_else(|| SettingError::Form(text.to_owned()))?;
        Self::new(name, value)
    }
}

impl SenderSettings {
    /// Sets one of them.
    pub const fn set(&mut self, setting: Setting) {
        match setting {
            Setting::SamplingRate(rate) => self.sampling_rate = rate,
            Setting::FlowDirection(value) => self.flow_direction = value,
            Setting::OutCounters(value) => self.out_counters = value,
            Setting::NatAddresses(value) => self.nat_addresses = value,
            Setting::Tunnels(value) => self.tunnels = value,
            Setting::Identity(value) => self.identity = value,
        }
    }

    /// All of them, in the order of [`NAMES`].
    #[must_use]
    pub const fn all(&self) -> [Setting; NAMES.len()] {
        [
            Setting::SamplingRate(self.sampling_rate),
            Setting::FlowDirection(self.flow_direction),
            Setting::OutCounters(self.out_counters),
            Setting::NatAddresses(self.nat_addresses),
            Setting::Tunnels(self.tunnels),
            Setting::Identity(self.identity),
        ]
    }

    /// Those that are set.
    pub fn changed(&self) -> impl Iterator<Item = Setting> + use<> {
        self.all().into_iter().filter(|setting| !setting.is_default())
    }
}

impl FromIterator<Setting> for SenderSettings {
    fn from_iter<I: IntoIterator<Item = Setting>>(settings: I) -> Self {
        let mut all = Self::default();
        settings.into_iter().for_each(|setting| all.set(setting));
        all
    }
}

fn rate(value: &str) -> Result<Option<NonZeroU32>, SettingError> {
    if value == ANNOUNCED {
        return Ok(None);
    }
    value.parse().map(Some).map_err(|_| SettingError::Value {
        name: "samplingRate",
        value: value.to_owned(),
        values: format!("a whole number from 1 to {}, or '{ANNOUNCED}'", u32::MAX),
    })
}

fn choice<C: Choice>(name: &'static str, value: &str) -> Result<C, SettingError> {
    C::named(value).ok_or_else(|| {
        let values: Vec<String> = C::ALL.iter().map(|(_, name)| format!("'{name}'")).collect();
        SettingError::Value { name, value: value.to_owned(), values: values.join(" or ") }
    })
}

impl fmt::Display for SenderSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, setting) in self.changed().enumerate() {
            let space = if index == 0 { "" } else { " " };
            write!(f, "{space}{setting}")?;
        }
        Ok(())
    }
}

impl FromStr for SenderSettings {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Self, SettingError> {
        text.split_whitespace().map(str::parse).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_is_read_back_from_its_text() {
        assert_eq!(SenderSettings::default().to_string(), "");
        assert_eq!("".parse(), Ok(SenderSettings::default()));
        let text = "samplingRate=1000 flowDirection=ingress outCounters=reverse natAddresses=inside tunnels=inner identity=agent";
        let settings: SenderSettings = text.parse().unwrap();
        assert_eq!(settings.to_string(), text);
        assert_eq!(settings.changed().count(), NAMES.len(), "{text} leaves one of them at its default");
        assert_eq!(settings.all().map(Setting::name), NAMES);
        for default in SenderSettings::default().all() {
            assert_eq!(default.to_string().parse(), Ok(default));
            let mut settings = settings;
            settings.set(default);
            assert!(!settings.to_string().contains(default.name()), "{default} is no default");
        }
    }

    #[test]
    fn what_is_no_setting_is_refused_with_what_would_be_one() {
        let refused = |text: &str| text.parse::<SenderSettings>().unwrap_err().to_string();
        assert_eq!(refused("rate"), "'rate' is not a setting: write <name>=<value>, such as samplingRate=1000");
        assert_eq!(
            refused("rate=1"),
            "there is no setting 'rate' of a sender; there are samplingRate, flowDirection, outCounters, natAddresses, \
             tunnels, identity"
        );
        assert_eq!(
            refused("samplingRate=0"),
            "samplingRate is '0'; it must be a whole number from 1 to 4294967295, or 'announced'"
        );
        assert_eq!(refused("flowDirection=in"), "flowDirection is 'in'; it must be 'both' or 'ingress' or 'egress'");
    }
}
