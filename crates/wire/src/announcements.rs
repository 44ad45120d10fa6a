//! What an exporter has announced, as octets that outlive the process: templates and sampling rates, and which of its ports
//! have standing. Where the octets are stored, and for how long, is not known here.
//!
//! `docs/storage.md` has the layout to the byte. A template is stored as the export message that announces it, so the
//! decoder of its protocol reads it, within the limits of the session. An announcement that could not be read is stored as
//! one that cannot be read. The header of a NetFlow v9 message is that of the
//! last message of its process, with the uptime at the announcement: both are needed to detect a later restart.
//!
//! Those of connections come after all others, each with octets of its own.
//!
//! Version 1 has no ports, and its rates have none either: they count as announced before everything else. Version 2 has no
//! rates of parts of a domain.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use flow::{Exporter, Protocol, Timestamp};

use crate::connection_states::CONNECTIONS_KEPT;
use crate::cursor::Cursor;
use crate::datagram::Datagram;
use crate::decoded::Decoded;
use crate::error::ErrorKind;
use crate::exporter_state::{ExporterState, SessionLimits};
use crate::field_specifier::FieldSpecifier;
use crate::message_writer::{Ipfix, NetflowV9, TemplateSpec};
use crate::pending::PendingBudget;
use crate::restart::Restarts;
use crate::sampling::{Announcer, Domain, Rate, Scope, Subject};
use crate::template_store::{KnownTemplate, Unreadable};
use crate::{ipfix, netflow_v9, version};

/// Version of the layout; the first octet.
const VERSION: u8 = 3;
/// Older versions that are read.
const VERSION_1: u8 = 1;
const VERSION_2: u8 = 2;
/// Octets of the CRC-32 at the end.
const CHECKSUM_LENGTH: usize = 4;

/// Information element paddingOctets.
const PADDING_OCTETS: u16 = 210;

/// First octet of a template.
const TEMPLATE: u8 = 1;
/// First octet of the rate of a sampler.
const SAMPLER: u8 = 2;
/// First octet of the rate of an observation domain.
const DOMAIN: u8 = 3;
/// First octet of a port with standing.
const PORT: u8 = 4;
/// First octet of who announced the rates that follow.
const ANNOUNCER: u8 = 5;
/// First octet of the rate of a part of an observation domain, or of flows.
const PART: u8 = 6;

/// Parts of a domain, in the rate of one.
const SCOPES: [fn(u64) -> Scope; 8] = [
    |_| Scope::Domain,
    Scope::Other,
    |id| Scope::Template(id as u16),
    Scope::LineCard,
    Scope::ObservationPoint,
    Scope::OutputInterface,
    Scope::Interface,
    |address| Scope::Exporter(Ipv4Addr::from_bits(address as u32).into()),
];
/// The part of an exporter with an IPv6 address.
const EXPORTER_V6: u8 = 8;

/// The only octet of: the exporter that sends the datagrams sends updates of connections.
const UPDATES: u8 = 7;
/// First octet of: an exporter that its records name does.
const NAMED_UPDATES: u8 = 8;

/// First octet of what was announced in a connection.
const CONNECTION: u8 = 9;

/// What an exporter has announced by datagrams, and in connections by their ports.
#[derive(Debug)]
pub(crate) struct Learnt {
    pub(crate) state: ExporterState,
    pub(crate) of_connections: BTreeMap<u16, ExporterState>,
}

/// Why announcements cannot be read. None of them is used then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnnouncementsError {
    /// Their layout is unknown to this program.
    #[error("announcements of version {0}; this program reads version {VERSION}")]
    UnknownVersion(u8),
    /// They are truncated or damaged.
    #[error("announcements with a wrong checksum")]
    Checksum,
    /// There is no announcement at this offset.
    #[error("no announcement at octet {0}")]
    Damaged(usize),
}

/// The announcements that the state of an exporter and of its connections hold.
pub(crate) fn encode(state: &ExporterState, of_connections: &BTreeMap<u16, ExporterState>) -> Vec<u8> {
    let mut octets = encode_state(state);
    for (port, state) in of_connections {
        let announced = with_checksum(encode_state(state));
        // Templates have a limit, so this is never longer.
        let Ok(length) = u32::try_from(announced.len()) else { continue };
        octets.push(CONNECTION);
        octets.extend_from_slice(&port.to_be_bytes());
        octets.extend_from_slice(&length.to_be_bytes());
        octets.extend_from_slice(&announced);
    }
    with_checksum(octets)
}

fn with_checksum(mut octets: Vec<u8>) -> Vec<u8> {
    let checksum = crc32fast::hash(&octets);
    octets.extend_from_slice(&checksum.to_be_bytes());
    octets
}

fn encode_state(state: &ExporterState) -> Vec<u8> {
    let mut octets = vec![VERSION];
    for port in state.ports.iter() {
        octets.push(PORT);
        octets.extend_from_slice(&port.number.to_be_bytes());
        octets.extend_from_slice(&port.since.nanoseconds().to_be_bytes());
        octets.extend_from_slice(&port.last.nanoseconds().to_be_bytes());
    }
    for known in state.templates.oldest_first() {
        let (message, announced, port) = match known {
            Ok(known) => (message(&known, &state.restarts), known.announced, known.port),
            Err(unreadable) => {
                (unreadable_message(&unreadable, &state.restarts), unreadable.announced, unreadable.port)
            }
        };
        // No template that fitted a message is longer.
        let Ok(length) = u16::try_from(message.len()) else { continue };
        octets.push(TEMPLATE);
        octets.extend_from_slice(&announced.nanoseconds().to_be_bytes());
        octets.extend_from_slice(&port.to_be_bytes());
        octets.extend_from_slice(&length.to_be_bytes());
        octets.extend_from_slice(&message);
    }
    let mut before = None;
    for (announcer, subject, rate) in state.samplers.iter() {
        if before.replace(announcer) != Some(announcer) {
            let (protocol, domain) = announcer.domain;
            octets.push(ANNOUNCER);
            octets.push(if protocol == Protocol::NetflowV9 { 9 } else { 10 });
            octets.extend_from_slice(&domain.to_be_bytes());
            octets.extend_from_slice(&announcer.port.to_be_bytes());
            octets.extend_from_slice(&announcer.first.nanoseconds().to_be_bytes());
            octets.extend_from_slice(&announcer.last.nanoseconds().to_be_bytes());
        }
        encode_rate(subject, rate, &mut octets);
    }
    for exporter in state.connections.updating() {
        octets.push(if exporter.is_some() { NAMED_UPDATES } else { UPDATES });
        octets.extend(exporter.into_iter().flat_map(mapped));
    }
    octets
}

fn encode_rate(Subject { scope, sampler }: Subject, rate: Rate, octets: &mut Vec<u8>) {
    if scope != Scope::Domain || rate.flows > 1 {
        let (kind, number) = match scope {
            Scope::Domain => (0, 0),
            Scope::Exporter(IpAddr::V4(address)) => (7, address.to_bits().into()),
            // The first half; the other one follows.
            Scope::Exporter(IpAddr::V6(address)) => (EXPORTER_V6, (address.to_bits() >> 64) as u64),
            Scope::Other(number) => (1, number),
            Scope::Template(id) => (2, id.into()),
            Scope::LineCard(number) => (3, number),
            Scope::ObservationPoint(number) => (4, number),
            Scope::OutputInterface(index) => (5, index),
            Scope::Interface(index) => (6, index),
        };
        octets.extend_from_slice(&[PART, kind]);
        octets.extend_from_slice(&number.to_be_bytes());
        if let Scope::Exporter(IpAddr::V6(address)) = scope {
            octets.extend_from_slice(&(address.to_bits() as u64).to_be_bytes());
        }
        octets.extend_from_slice(&rate.flows.to_be_bytes());
    }
    octets.push(if sampler.is_some() { SAMPLER } else { DOMAIN });
    octets.extend(sampler.into_iter().flat_map(u64::to_be_bytes));
    octets.extend_from_slice(&rate.packets.to_be_bytes());
}

/// The message that announces a template.
fn message(known: &KnownTemplate<'_>, restarts: &Restarts) -> Vec<u8> {
    let (id, kind) = (known.template.id(), known.template.kind());
    let mut fields = known.template.fields().to_vec();
    if fields.is_empty() {
        // All its fields had length 0 and are not stored, but an announcement has at least one.
        fields.push(FieldSpecifier::iana(PADDING_OCTETS, 0));
    }
    let template = TemplateSpec { id, kind, fields };
    if known.protocol == Protocol::NetflowV9 {
        NetflowV9::new(header_v9(restarts, known.domain, known.port, known.announced)).template(&template).finish()
    } else {
        Ipfix::new(ipfix::Header { domain: known.domain.into(), ..Default::default() }).template(&template).finish()
    }
}

/// A message with an announcement that cannot be read: of one field, which is missing.
fn unreadable_message(unreadable: &Unreadable, restarts: &Restarts) -> Vec<u8> {
    let Unreadable { protocol, domain, id, port, announced } = *unreadable;
    let content = [id, 1].map(u16::to_be_bytes).concat();
    if protocol == Protocol::NetflowV9 {
        let header = header_v9(restarts, domain, port, announced);
        NetflowV9::new(header).set(netflow_v9::TEMPLATE_SET, &content).finish()
    } else {
        let header = ipfix::Header { domain: domain.into(), ..Default::default() };
        Ipfix::new(header).set(ipfix::TEMPLATE_SET, &content).finish()
    }
}

/// An address as one of IPv6 (RFC 4291, section 2.5.5.2).
fn mapped(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

fn header_v9(restarts: &Restarts, domain: u32, port: u16, announced: Timestamp) -> netflow_v9::Header {
    let last = restarts.last(domain, port).unwrap_or_default();
    netflow_v9::Header {
        source_id: domain.into(),
        sequence: last.sequence.into(),
        unix_seconds: u32::try_from(last.exported.seconds()).unwrap_or_default().into(),
        uptime: last.uptime_at(announced).into(),
        ..Default::default()
    }
}

/// The states that [`encode`] wrote: ports, templates, samplers and restarts.
///
/// # Errors
/// If the octets are damaged.
pub(crate) fn decode(octets: &[u8], limits: SessionLimits) -> Result<Learnt, AnnouncementsError> {
    let mut of_connections = BTreeMap::new();
    let state = decode_state(octets, limits, &mut |cursor| {
        let (port, length) = (cursor.u16()?, cursor.u32()?);
        let octets = cursor.take(length as usize)?;
        let state = decode_state(octets, limits, &mut |_| None).ok()?;
        (of_connections.len() < CONNECTIONS_KEPT).then(|| of_connections.insert(port, state)).map(drop)
    })?;
    Ok(Learnt { state, of_connections })
}

fn decode_state(
    octets: &[u8],
    limits: SessionLimits,
    connection: &mut dyn FnMut(&mut Cursor<'_>) -> Option<()>,
) -> Result<ExporterState, AnnouncementsError> {
    let (content, checksum) = octets.split_last_chunk::<CHECKSUM_LENGTH>().ok_or(AnnouncementsError::Checksum)?;
    if crc32fast::hash(content) != u32::from_be_bytes(*checksum) {
        return Err(AnnouncementsError::Checksum);
    }
    let mut cursor = Cursor::new(content);
    let version = match cursor.u8() {
        Some(version @ (VERSION_1 | VERSION_2 | VERSION)) => version,
        version => return Err(version.map_or(AnnouncementsError::Checksum, AnnouncementsError::UnknownVersion)),
    };
    let mut state = ExporterState::new(limits, PendingBudget::new(limits.pending.octets));
    let mut announcer = None;
    while !cursor.is_empty() {
        let offset = cursor.offset();
        let kind = cursor.u8();
        let read = kind.and_then(|kind| match kind {
            SAMPLER | DOMAIN if version == VERSION_1 => {
                announcer = Some(Announcer { domain: domain(&mut cursor)?, ..Announcer::UNKNOWN });
                rate(kind, announcer, (Scope::Domain, 1), &mut cursor, &mut state)
            }
            SAMPLER | DOMAIN => rate(kind, announcer, (Scope::Domain, 1), &mut cursor, &mut state),
            PART if version == VERSION => {
                let (part, kind) = (part(&mut cursor)?, cursor.u8()?);
                rate(kind, announcer, part, &mut cursor, &mut state)
            }
            TEMPLATE => template(&mut cursor, &mut state),
            UPDATES if version == VERSION => {
                state.connections.restore(None);
                Some(())
            }
            NAMED_UPDATES if version == VERSION => {
                let exporter = Ipv6Addr::from(cursor.array::<16>()?);
                state.connections.restore(Some(IpAddr::V6(exporter).to_canonical()));
                Some(())
            }
            CONNECTION if version == VERSION => connection(&mut cursor),
            PORT if version != VERSION_1 => port(&mut cursor, &mut state),
            ANNOUNCER if version != VERSION_1 => {
                announcer = announcing(&mut cursor);
                announcer.map(|_| ())
            }
            _ => None,
        });
        read.ok_or(AnnouncementsError::Damaged(offset))?;
    }
    state.restarts.mark_restored();
    Ok(state)
}

fn template(octets: &mut Cursor<'_>, state: &mut ExporterState) -> Option<()> {
    let received = time(octets)?;
    let exporter = Exporter::udp(IpAddr::V4(Ipv4Addr::UNSPECIFIED), octets.u16()?);
    let length = octets.u16()?;
    let payload = octets.take(usize::from(length))?;
    let (datagram, mut decoded) = (Datagram { exporter, received, payload }, Decoded::default());
    match version::protocol_of(payload) {
        Ok(Protocol::NetflowV9) => netflow_v9::decode(state, &datagram, &mut |_| {}, &mut decoded),
        Ok(Protocol::Ipfix) => ipfix::decode(state, &datagram, &mut |_| {}, &mut decoded),
        _ => return None,
    }
    let learnt = decoded.templates + decoded.options_templates == 1;
    // Not damaged, but over the limits, or never readable.
    let refused = decoded
        .first_error
        .is_some_and(|error| matches!(error.kind, ErrorKind::TooManyTemplates | ErrorKind::TruncatedTemplate));
    (learnt || refused).then_some(())
}

fn port(octets: &mut Cursor<'_>, state: &mut ExporterState) -> Option<()> {
    let (number, since, last) = (octets.u16()?, time(octets)?, time(octets)?);
    state.ports.restore(number, since, last);
    Some(())
}

fn announcing(octets: &mut Cursor<'_>) -> Option<Announcer> {
    Some(Announcer { domain: domain(octets)?, port: octets.u16()?, first: time(octets)?, last: time(octets)? })
}

/// A part of a domain, and one of how many of its flows is reported.
fn part(octets: &mut Cursor<'_>) -> Option<(Scope, u16)> {
    let (kind, number) = (octets.u8()?, octets.u64()?);
    let scope = match kind {
        EXPORTER_V6 => {
            let address = u128::from(number) << 64 | u128::from(octets.u64()?);
            Scope::Exporter(Ipv6Addr::from_bits(address).into())
        }
        kind => SCOPES.get(usize::from(kind))?(number),
    };
    Some((scope, octets.u16().filter(|flows| *flows > 0)?))
}

fn rate(
    kind: u8,
    announcer: Option<Announcer>,
    (scope, flows): (Scope, u16),
    octets: &mut Cursor<'_>,
    state: &mut ExporterState,
) -> Option<()> {
    let sampler = match kind {
        SAMPLER => Some(octets.u64()?),
        DOMAIN => None,
        _ => return None,
    };
    let rate = Rate { packets: octets.u32()?, flows };
    state.samplers.restore(announcer?, Subject { scope, sampler }, rate);
    Some(())
}

fn domain(octets: &mut Cursor<'_>) -> Option<Domain> {
    let protocol = match octets.u8()? {
        9 => Protocol::NetflowV9,
        10 => Protocol::Ipfix,
        _ => return None,
    };
    Some((protocol, octets.u32()?))
}

fn time(octets: &mut Cursor<'_>) -> Option<Timestamp> {
    octets.u64().map(Timestamp::from_nanoseconds)
}

#[cfg(test)]
mod tests;
