//! One datagram as a record of a classic pcap file of raw IP packets: written with all checksums, and read strictly, so
//! that a reader detects where a truncated or damaged file ends.
//!
//! The time of a record is outside the packet and not covered by the checksums of IP and UDP. Its own checksum is in a
//! field that has no meaning in an unfragmented packet: the identification of IPv4 (RFC 6864, section 4.1), the flow
//! label of IPv6 (RFC 6437).
//!
//! A checked record also ends with a CRC-32 over all its octets, after the end of the packet, where other programs see
//! padding. A salt, which no exporter knows, is part of it: so a reader that has lost its place can search for the next
//! record, and does not take for one what an exporter has put into a datagram. Its hop limit says how its payload came: other
//! programs see a UDP datagram, also where it was a message of a TCP connection.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use flow::{Timestamp, canonical};

use crate::reader::UdpDatagram;

/// The header of a file of such records: nanoseconds, little-endian, raw IP.
pub const FILE_HEADER: [u8; 24] = file_header(0x4_0000);

/// The header of a file of checked records. It has another snapshot length, which differs in three bits: one flipped bit
/// does not make it the header of the other kind.
pub const CHECKED_FILE_HEADER: [u8; 24] = file_header(0x3_0000);

const fn file_header(snapshot_length: u32) -> [u8; 24] {
    let mut header = [0; 24];
    let ([a, b, c, d], [e, f, g, h]) = (MAGIC_NANOSECONDS.to_le_bytes(), snapshot_length.to_le_bytes());
    (header[0], header[1], header[2], header[3]) = (a, b, c, d);
    (header[4], header[6]) = (2, 4);
    (header[16], header[17], header[18], header[19]) = (e, f, g, h);
    header[20] = LINKTYPE_RAW;
    header
}

const MAGIC_NANOSECONDS: u32 = 0xa1b2_3c4d;
const LINKTYPE_RAW: u8 = 101;
const UDP: u8 = 17;
/// Octets of the headers of a record, of IPv4 without options, of IPv6 and of UDP.
const RECORD_HEADER: usize = 16;
const IPV4_HEADER: usize = 20;
const IPV6_HEADER: usize = 40;
const UDP_HEADER: usize = 8;
/// Octets of the CRC-32 at the end of a checked record.
pub const CHECKSUM: usize = 4;

/// Maximum length of a checked record: record header, IPv6 header, longest payload of an IP packet, checksum.
pub const LONGEST_RECORD: usize = RECORD_HEADER + IPV6_HEADER + 65_535 + CHECKSUM;

/// How the payload of a record came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Carrier {
    /// It is a UDP datagram.
    #[default]
    Datagram,
    /// It is a message of a TCP connection.
    Message,
    /// It is the beginning of a message of a TCP connection that is longer than a packet can be.
    BegunMessage,
    /// It is the rest of the message that the record before has begun.
    RestOfMessage,
}

impl Carrier {
    /// Any values above 0 would do, but records of older programs have 64.
    const fn hop_limit(self) -> u8 {
        match self {
            Self::Datagram => 64,
            Self::Message => 65,
            Self::BegunMessage => 66,
            Self::RestOfMessage => 67,
        }
    }

    pub(crate) fn of(hop_limit: u8) -> Option<Self> {
        let all = [Self::Datagram, Self::Message, Self::BegunMessage, Self::RestOfMessage];
        all.into_iter().find(|carrier| carrier.hop_limit() == hop_limit)
    }
}

/// Appends a datagram and returns the number of octets. The destination may be the unspecified address of either family;
/// it becomes that of the source's family.
///
/// # Errors
/// [`io::ErrorKind::InvalidInput`], with nothing appended, when the addresses are of different families, the payload
/// does not fit an IP packet, or the time is after the year 2106.
pub fn append(
    octets: &mut Vec<u8>,
    received: Timestamp,
    source: SocketAddr,
    destination: SocketAddr,
    payload: &[u8],
) -> io::Result<usize> {
    let datagram = UdpDatagram { received, source, destination, carrier: Carrier::Datagram, payload };
    append_record(octets, &datagram, 0)
}

/// Appends a datagram as [`append`] does, or what came in another way, as a checked record.
///
/// # Errors
/// Those of [`append`].
pub fn append_checked(octets: &mut Vec<u8>, salt: u32, datagram: &UdpDatagram<'_>) -> io::Result<()> {
    let start = octets.len();
    append_record(octets, datagram, CHECKSUM)?;
    let checksum = checksum(salt, octets.get(start..).unwrap_or_default());
    octets.extend(checksum);
    Ok(())
}

fn checksum(salt: u32, record: &[u8]) -> [u8; CHECKSUM] {
    let mut hasher = crc32fast::Hasher::new_with_initial(salt);
    hasher.update(record);
    hasher.finalize().to_le_bytes()
}

/// Appends a record that has room for a trailer, which the caller appends.
fn append_record(
    octets: &mut Vec<u8>,
    &UdpDatagram { received, source, destination, carrier, payload }: &UdpDatagram<'_>,
    trailer: usize,
) -> io::Result<usize> {
    let seconds = u32::try_from(received.seconds()).map_err(|_| invalid("the time is after the year 2106"))?;
    let time = Time { seconds, nanoseconds: (received.nanoseconds() % 1_000_000_000) as u32 };
    let udp = Udp {
        ports: [source.port(), destination.port()],
        length: u16::try_from(UDP_HEADER + payload.len()).map_err(|_| too_long())?,
        payload,
        carrier,
        trailer,
    };
    let start = octets.len();
    match (canonical(source.ip()), canonical(destination.ip())) {
        (IpAddr::V4(from), IpAddr::V4(to)) => append_ipv4(octets, time, from, to, &udp)?,
        (IpAddr::V6(from), IpAddr::V6(to)) => append_ipv6(octets, time, from, to, &udp),
        (IpAddr::V4(from), to) if to.is_unspecified() => {
            append_ipv4(octets, time, from, Ipv4Addr::UNSPECIFIED, &udp)?;
        }
        (IpAddr::V6(from), to) if to.is_unspecified() => append_ipv6(octets, time, from, Ipv6Addr::UNSPECIFIED, &udp),
        _ => return Err(invalid("source and destination are addresses of different families")),
    }
    Ok(octets.len() - start)
}

/// Reads the record at the start of the octets and returns its length; `None` if [`append`] could not have written
/// exactly these octets.
#[must_use]
pub fn read(octets: &[u8]) -> Option<(UdpDatagram<'_>, usize)> {
    let (datagram, length) = read_record(octets, 0)?;
    (datagram.carrier == Carrier::Datagram).then_some((datagram, length))
}

/// Reads the checked record at the start of the octets and returns its length; `None` if [`append_checked`] could not have written exactly these octets with this salt.
#[must_use]
pub fn read_checked(octets: &[u8], salt: u32) -> Option<(UdpDatagram<'_>, usize)> {
    let (datagram, length) = read_record(octets, CHECKSUM)?;
    let (record, found) = octets.get(..length)?.split_last_chunk::<CHECKSUM>()?;
    (checksum(salt, record) == *found).then_some((datagram, length))
}

/// The length that the header of a record gives, whatever follows; `None` if it cannot be that of a record.
#[must_use]
pub fn length(octets: &[u8]) -> Option<usize> {
    let (header, _) = octets.split_first_chunk::<RECORD_HEADER>()?;
    let [_, _, length, original_length] = words(header);
    let length = Some(length as usize).filter(|_| length == original_length)?;
    (length >= IPV4_HEADER + UDP_HEADER).then_some(RECORD_HEADER + length)
}

fn read_record(octets: &[u8], trailer: usize) -> Option<(UdpDatagram<'_>, usize)> {
    let (header, rest) = octets.split_first_chunk::<RECORD_HEADER>()?;
    let [seconds, nanoseconds, length, original_length] = words(header);
    let length = Some(length as usize).filter(|_| length == original_length)?;
    let packet = rest.get(..length)?.get(..length.checked_sub(trailer)?)?;
    let time = Time { seconds, nanoseconds };
    let Packet { source, destination, carrier, mark, datagram } = match packet.first()? >> 4 {
        4 => read_ipv4(packet)?,
        6 => read_ipv6(packet)?,
        _ => return None,
    };
    if mark != time.checksum() || nanoseconds >= 1_000_000_000 {
        return None;
    }
    let (&[a, b, c, d, e, f, _, _], payload) = datagram.split_first_chunk::<UDP_HEADER>()?;
    if usize::from(u16::from_be_bytes([e, f])) != datagram.len() {
        return None;
    }
    let received = Timestamp::new(seconds.into(), nanoseconds);
    let source = SocketAddr::new(source, u16::from_be_bytes([a, b]));
    let destination = SocketAddr::new(destination, u16::from_be_bytes([c, d]));
    Some((UdpDatagram { received, source, destination, carrier, payload }, RECORD_HEADER + length))
}

/// The four numbers of the header of a record.
fn words(header: &[u8; RECORD_HEADER]) -> [u32; 4] {
    let mut words = header.as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word));
    [(); 4].map(|()| words.next().unwrap_or_default())
}

/// The receive time in the header of a record.
#[derive(Clone, Copy)]
struct Time {
    seconds: u32,
    nanoseconds: u32,
}

impl Time {
    /// Over the octets of the file, so that it is the same on any machine. Not 0 for a time of 0.
    fn checksum(self) -> [u8; 2] {
        let mut sum = Sum(1);
        sum.add(&self.seconds.to_le_bytes());
        sum.add(&self.nanoseconds.to_le_bytes());
        sum.complement()
    }

    fn header(self, length: usize) -> [u8; RECORD_HEADER] {
        let mut header = [0; RECORD_HEADER];
        let words = [self.seconds, self.nanoseconds, length as u32, length as u32];
        header.as_chunks_mut::<4>().0.iter_mut().zip(words).for_each(|(place, word)| *place = word.to_le_bytes());
        header
    }
}

/// A UDP datagram without its addresses (RFC 768).
struct Udp<'a> {
    ports: [u16; 2],
    /// Octets, header included.
    length: u16,
    payload: &'a [u8],
    carrier: Carrier,
    /// Octets that follow the packet in its record.
    trailer: usize,
}

impl Udp<'_> {
    /// The header; `pseudo_header` is the sum of the addresses.
    fn header(&self, pseudo_header: Sum) -> [u8; UDP_HEADER] {
        let ([a, b], [c, d], [e, f]) =
            (self.ports[0].to_be_bytes(), self.ports[1].to_be_bytes(), self.length.to_be_bytes());
        let mut sum = pseudo_header;
        // The length is in the pseudo header too.
        sum.add(&[0, UDP, e, f, a, b, c, d, e, f, 0, 0]);
        sum.add(self.payload);
        let [g, h] = match sum.complement() {
            // 0 means: no checksum.
            [0, 0] => [0xff, 0xff],
            checksum => checksum,
        };
        [a, b, c, d, e, f, g, h]
    }
}

fn append_ipv4(octets: &mut Vec<u8>, time: Time, from: Ipv4Addr, to: Ipv4Addr, udp: &Udp<'_>) -> io::Result<()> {
    let length = u16::try_from(IPV4_HEADER + usize::from(udp.length)).map_err(|_| too_long())?;
    let ([a, b], [c, d]) = (length.to_be_bytes(), time.checksum());
    let mut sum = Sum(0);
    let addresses = [from.octets(), to.octets()];
    addresses.iter().for_each(|address| sum.add(address));
    let udp_header = udp.header(sum);
    let hop_limit = udp.carrier.hop_limit();
    sum.add(&[0x45, 0, a, b, c, d, 0x40, 0, hop_limit, UDP, 0, 0]);
    let [e, f] = sum.complement();
    octets.reserve(RECORD_HEADER + usize::from(length) + udp.trailer);
    octets.extend(time.header(usize::from(length) + udp.trailer));
    octets.extend([0x45, 0, a, b, c, d, 0x40, 0, hop_limit, UDP, e, f]);
    addresses.iter().for_each(|address| octets.extend(address));
    octets.extend(udp_header);
    octets.extend_from_slice(udp.payload);
    Ok(())
}

fn append_ipv6(octets: &mut Vec<u8>, time: Time, from: Ipv6Addr, to: Ipv6Addr, udp: &Udp<'_>) {
    let ([a, b], [c, d]) = (udp.length.to_be_bytes(), time.checksum());
    let mut sum = Sum(0);
    let addresses = [from.octets(), to.octets()];
    addresses.iter().for_each(|address| sum.add(address));
    let length = IPV6_HEADER + usize::from(udp.length);
    octets.reserve(RECORD_HEADER + length + udp.trailer);
    octets.extend(time.header(length + udp.trailer));
    octets.extend([0x60, 0, c, d, a, b, UDP, udp.carrier.hop_limit()]);
    addresses.iter().for_each(|address| octets.extend(address));
    octets.extend(udp.header(sum));
    octets.extend_from_slice(udp.payload);
}

/// The packet of a record.
struct Packet<'a> {
    source: IpAddr,
    destination: IpAddr,
    carrier: Carrier,
    /// The checksum of the time.
    mark: [u8; 2],
    /// The UDP datagram.
    datagram: &'a [u8],
}

fn read_ipv4(packet: &[u8]) -> Option<Packet<'_>> {
    let (header, datagram) = packet.split_first_chunk::<IPV4_HEADER>()?;
    let &[0x45, 0, a, b, c, d, 0x40, 0, hop_limit, UDP, _, _, ref addresses @ ..] = header else { return None };
    let mut sum = Sum(0);
    sum.add(header);
    if usize::from(u16::from_be_bytes([a, b])) != packet.len() || sum.complement() != [0, 0] {
        return None;
    }
    let (from, to) = addresses.split_first_chunk::<4>()?;
    udp_checksum_fits(addresses, datagram)?;
    let (source, destination) = (Ipv4Addr::from(*from).into(), Ipv4Addr::from(*to.first_chunk()?).into());
    Some(Packet { source, destination, carrier: Carrier::of(hop_limit)?, mark: [c, d], datagram })
}

fn read_ipv6(packet: &[u8]) -> Option<Packet<'_>> {
    let (header, datagram) = packet.split_first_chunk::<IPV6_HEADER>()?;
    let &[0x60, 0, c, d, a, b, UDP, hop_limit, ref addresses @ ..] = header else { return None };
    if usize::from(u16::from_be_bytes([a, b])) != datagram.len() {
        return None;
    }
    let (from, to) = addresses.split_first_chunk::<16>()?;
    udp_checksum_fits(addresses, datagram)?;
    let address = |octets: &[u8; 16]| IpAddr::V6(Ipv6Addr::from(*octets));
    let (source, destination) = (address(from), address(to.first_chunk()?));
    Some(Packet { source, destination, carrier: Carrier::of(hop_limit)?, mark: [c, d], datagram })
}

fn udp_checksum_fits(addresses: &[u8], datagram: &[u8]) -> Option<()> {
    let [a, b] = u16::try_from(datagram.len()).ok()?.to_be_bytes();
    let mut sum = Sum(0);
    sum.add(addresses);
    sum.add(&[0, UDP, a, b]);
    sum.add(datagram);
    (sum.complement() == [0, 0]).then_some(())
}

/// The sum of the internet checksum (RFC 1071). It is independent of the byte order, so it adds words of four octets in
/// the machine's.
#[derive(Clone, Copy)]
struct Sum(u64);

impl Sum {
    /// Adds octets; only the last call may add an odd number.
    fn add(&mut self, octets: &[u8]) {
        let (words, rest) = octets.as_chunks::<4>();
        self.0 += words.iter().map(|word| u64::from(u32::from_ne_bytes(*word))).sum::<u64>();
        let mut last = [0; 4];
        last.iter_mut().zip(rest).for_each(|(place, octet)| *place = *octet);
        self.0 += u64::from(u32::from_ne_bytes(last));
    }

    /// The checksum, in the byte order of a packet.
    fn complement(self) -> [u8; 2] {
        let mut sum = self.0;
        while sum > 0xffff {
            sum = (sum >> 16) + (sum & 0xffff);
        }
        (!(sum as u16)).to_ne_bytes()
    }
}

fn too_long() -> io::Error {
    invalid("the payload does not fit an IP packet")
}

fn invalid(reason: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, reason)
}
