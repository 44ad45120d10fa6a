//! From a capture file to its UDP datagrams: frame, link layer, IP, fragments, UDP. Other and unreadable packets are
//! skipped and counted. Memory is bounded for any file. The messages of an IPFIX file are datagrams without addresses.

use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::Path;
use std::{fs, mem};

use etherparse::{IpNumber, ip_number};
use flow::Timestamp;

use crate::error::{CaptureError, Unit};
use crate::file::{File, Frame, Octets};
use crate::frame::Carrier;
use crate::link::{LinkLayer, Network};
use crate::packet::{Fragment, IpContent, IpPacket, Udp, Unreadable, may_lead_to_udp, skip_extension_headers};
use crate::reassembly::{Progress, Reassembly};

/// One UDP datagram of a capture, or one message of an IPFIX file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UdpDatagram<'a> {
    /// When it, or its last fragment, was captured. [`Timestamp::EPOCH`] for the Simple Packet Blocks of pcapng, which
    /// have no time. Of a message in an IPFIX file, the export time of its header.
    pub received: Timestamp,
    /// Its source; never an IPv4-mapped IPv6 address. [`NO_ADDRESS`] in an IPFIX file.
    pub source: SocketAddr,
    /// Its destination; never an IPv4-mapped IPv6 address. [`NO_ADDRESS`] in an IPFIX file.
    pub destination: SocketAddr,
    /// How its payload came: only segments of the journal (`frame`) have more than datagrams.
    pub carrier: Carrier,
    /// The UDP payload, or the message.
    pub payload: &'a [u8],
}

/// The addresses of the messages of an IPFIX file, which has none.
pub const NO_ADDRESS: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0));

/// The fates of the packets of a capture. Each packet is in exactly one of the counts, except for the last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Returned as datagrams; includes fragments that complete one, and the messages of an IPFIX file.
    pub datagrams: u64,
    /// Fragments that did not complete a datagram.
    pub fragments: u64,
    /// Packets without UDP.
    pub not_udp: u64,
    /// Packets with an unsupported link layer.
    pub unknown_link_layer: u64,
    /// Truncated by the capture's snapshot length; `tcpdump -s 0` captures whole packets.
    pub truncated: u64,
    /// Packets whose headers contradict themselves.
    pub damaged: u64,
    /// IP packets with missing fragments, or refused because their fragments overlap.
    pub incomplete: u64,
}

/// An open capture file.
pub struct Capture {
    file: File,
    finished: bool,
    frame: Vec<u8>,
    payload: Vec<u8>,
    reassembly: Reassembly,
    /// A message of which the rest is in the next record.
    begun: Option<Begun>,
    statistics: Statistics,
}

/// The beginning of a message of a connection.
struct Begun {
    received: Timestamp,
    source: SocketAddr,
    octets: Vec<u8>,
}

/// The addresses of the datagram whose payload is in the buffer, and how it came.
struct Addresses {
    source: SocketAddr,
    destination: SocketAddr,
    carrier: Carrier,
}

/// Why a packet is not returned as a datagram.
enum Skipped {
    Fragment,
    NotUdp,
    UnknownLinkLayer,
    CutOff,
    Damaged,
}

impl From<Unreadable> for Skipped {
    fn from(unreadable: Unreadable) -> Self {
        match unreadable {
            Unreadable::CutOff => Self::CutOff,
            Unreadable::Damaged => Self::Damaged,
        }
    }
}

impl Capture {
    /// Opens a file and reads its header.
    ///
    /// # Errors
    /// When the file cannot be opened or is not a supported capture.
    pub fn open(path: &Path) -> Result<Self, CaptureError> {
        let file = fs::File::open(path).map_err(CaptureError::Open)?;
        Self::from_reader(file)
    }

    /// Reads the header of a capture from any reader, such as standard input. Needs no buffered reader.
    ///
    /// # Errors
    /// When reading fails or it is not a supported file.
    pub fn from_reader(reader: impl Read + Send + 'static) -> Result<Self, CaptureError> {
        Ok(Self {
            file: File::new(Octets::new(reader))?,
            finished: false,
            frame: Vec::new(),
            payload: Vec::new(),
            reassembly: Reassembly::default(),
            begun: None,
            statistics: Statistics::default(),
        })
    }

    /// Whether its datagrams have addresses: all files but IPFIX files have them.
    #[must_use]
    pub const fn has_addresses(&self) -> bool {
        matches!(self.file.unit(), Unit::Packet)
    }

    /// The next UDP datagram, or message; `None` at the end of the file.
    ///
    /// # Errors
    /// When the file is damaged or reading fails; later calls return `None`.
    #[expect(clippy::should_implement_trait, reason = "lends its buffer, which an Iterator cannot")]
    pub fn next(&mut self) -> Result<Option<UdpDatagram<'_>>, CaptureError> {
        while let Some(frame) = self.next_frame()? {
            match self.read(&frame) {
                Ok(Addresses { source, destination, carrier }) => {
                    let received = frame.received;
                    let Some(carrier) = self.join(received, source, carrier) else {
                        self.count(&frame, Skipped::Fragment);
                        continue;
                    };
                    self.statistics.datagrams += 1;
                    return Ok(Some(UdpDatagram { received, source, destination, carrier, payload: &self.payload }));
                }
                Err(reason) => self.count(&frame, reason),
            }
        }
        Ok(None)
    }

    /// The fates of the packets that were read so far.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        Statistics { incomplete: self.reassembly.incomplete(), ..self.statistics }
    }

    fn next_frame(&mut self) -> Result<Option<Frame>, CaptureError> {
        if self.finished {
            return Ok(None);
        }
        let frame = self.file.next_frame(&mut self.frame);
        self.finished = !matches!(frame, Ok(Some(_)));
        frame
    }

    fn count(&mut self, frame: &Frame, reason: Skipped) {
        let cut_by_capture = (self.frame.len() as u64) < u64::from(frame.original_length);
        let count = match reason {
            Skipped::Fragment => &mut self.statistics.fragments,
            Skipped::NotUdp => &mut self.statistics.not_udp,
            Skipped::UnknownLinkLayer => &mut self.statistics.unknown_link_layer,
            Skipped::CutOff if cut_by_capture => &mut self.statistics.truncated,
            Skipped::CutOff | Skipped::Damaged => &mut self.statistics.damaged,
        };
        *count += 1;
    }

    /// Joins the two parts of a long message in the buffer; `None` if that has a part without the other one.
    fn join(&mut self, received: Timestamp, source: SocketAddr, carrier: Carrier) -> Option<Carrier> {
        let begun = self.begun.take().filter(|begun| (begun.received, begun.source) == (received, source));
        match carrier {
            Carrier::Datagram | Carrier::Message => Some(carrier),
            Carrier::BegunMessage => {
                self.begun = Some(Begun { received, source, octets: mem::take(&mut self.payload) });
                None
            }
            Carrier::RestOfMessage => {
                let rest = mem::replace(&mut self.payload, begun?.octets);
                self.payload.extend(rest);
                Some(Carrier::Message)
            }
        }
    }

    /// Copies the payload of the frame's datagram to the buffer.
    fn read(&mut self, frame: &Frame) -> Result<Addresses, Skipped> {
        if !self.has_addresses() {
            mem::swap(&mut self.frame, &mut self.payload);
            let carrier = Carrier::Datagram;
            return Ok(Addresses { source: NO_ADDRESS, destination: NO_ADDRESS, carrier });
        }
        let packet = ip_packet(frame.link, &self.frame)?;
        let (source, destination) = (packet.source, packet.destination);
        match packet.content {
            IpContent::Whole { protocol, payload } => {
                let read = read_udp(source, destination, protocol, payload, &mut self.payload)?;
                let mark = Some(packet.hop_limit).filter(|_| frame.is_checked);
                Ok(Addresses { carrier: mark.and_then(Carrier::of).unwrap_or_default(), ..read })
            }
            IpContent::Fragment(Fragment { protocol, .. }) if !may_lead_to_udp(protocol) => Err(Skipped::NotUdp),
            IpContent::Fragment(fragment) => {
                match self.reassembly.add(frame.received, source, destination, &fragment) {
                    Progress::Waiting => Err(Skipped::Fragment),
                    Progress::Impossible => Err(Skipped::Damaged),
                    Progress::Whole { protocol, payload } => {
                        let content = skip_extension_headers(protocol, &payload)?;
                        let IpContent::Whole { protocol, payload } = content else { return Err(Skipped::Damaged) };
                        read_udp(source, destination, protocol, payload, &mut self.payload)
                    }
                }
            }
        }
    }
}

fn ip_packet(link: Option<LinkLayer>, frame: &[u8]) -> Result<IpPacket<'_>, Skipped> {
    match link.ok_or(Skipped::UnknownLinkLayer)?.strip(frame) {
        Network::Ip(packet) => Ok(IpPacket::read(packet)?),
        Network::Other => Err(Skipped::NotUdp),
        Network::CutOff => Err(Skipped::CutOff),
    }
}

fn read_udp(
    source: IpAddr,
    destination: IpAddr,
    protocol: IpNumber,
    octets: &[u8],
    payload: &mut Vec<u8>,
) -> Result<Addresses, Skipped> {
    if protocol != ip_number::UDP {
        return Err(Skipped::NotUdp);
    }
    let udp = Udp::read(octets)?;
    payload.clear();
    payload.extend_from_slice(udp.payload);
    Ok(Addresses {
        source: SocketAddr::new(source, udp.source_port),
        destination: SocketAddr::new(destination, udp.destination_port),
        carrier: Carrier::Datagram,
    })
}
