//! The way from a capture file to its UDP datagrams: frame, link layer, IP, fragments, UDP. What is no UDP datagram, or
//! cannot be read, is passed over and counted. Memory is bounded, whatever the file holds.

use std::fs;
use std::io::Read;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use etherparse::{IpNumber, ip_number};
use flow::Timestamp;

use crate::error::CaptureError;
use crate::file::{File, Frame, Octets};
use crate::link::{LinkLayer, Network};
use crate::packet::{Fragment, IpContent, IpPacket, Udp, Unreadable, may_lead_to_udp, skip_extension_headers};
use crate::reassembly::{Progress, Reassembly};

/// One UDP datagram of a capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UdpDatagram<'a> {
    /// When it was captured; for one that came in fragments, when the last of them was. [`Timestamp::EPOCH`] for the
    /// Simple Packet Blocks of pcapng, which have no time.
    pub received: Timestamp,
    /// Who sent it; never an IPv4-mapped IPv6 address.
    pub source: SocketAddr,
    /// Whom it was sent to; never an IPv4-mapped IPv6 address.
    pub destination: SocketAddr,
    /// What it carries.
    pub payload: &'a [u8],
}

/// What became of the packets of a capture. Each packet that was read is in exactly one of the counts but the last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Came out as a datagram, the last fragment of one included.
    pub datagrams: u64,
    /// Was a fragment that did not complete a datagram.
    pub fragments: u64,
    /// Carried no UDP.
    pub not_udp: u64,
    /// Had a link layer that is not known.
    pub unknown_link_layer: u64,
    /// Was cut by the capture's snapshot length: more would have to be captured (`tcpdump -s 0`).
    pub truncated: u64,
    /// Had headers that contradict themselves.
    pub damaged: u64,
    /// IP packets of which not all fragments came, or that were refused because their fragments overlap.
    pub incomplete: u64,
}

/// A capture file that is being read.
pub struct Capture {
    file: File,
    finished: bool,
    frame: Vec<u8>,
    payload: Vec<u8>,
    reassembly: Reassembly,
    statistics: Statistics,
}

/// The addresses of a datagram whose payload is in the buffer.
struct Addresses {
    source: SocketAddr,
    destination: SocketAddr,
}

/// Why a packet is no datagram.
enum PassedOver {
    Fragment,
    NotUdp,
    UnknownLinkLayer,
    CutOff,
    Damaged,
}

impl From<Unreadable> for PassedOver {
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
    /// When the file cannot be opened or is no capture that can be read.
    pub fn open(path: &Path) -> Result<Self, CaptureError> {
        let file = fs::File::open(path).map_err(CaptureError::Open)?;
        Self::from_reader(file)
    }

    /// Reads the header of a capture from anything, such as standard input. Buffers by itself.
    ///
    /// # Errors
    /// When it cannot be read or is no capture that can be read.
    pub fn from_reader(reader: impl Read + Send + 'static) -> Result<Self, CaptureError> {
        Ok(Self {
            file: File::new(Octets::new(reader))?,
            finished: false,
            frame: Vec::new(),
            payload: Vec::new(),
            reassembly: Reassembly::default(),
            statistics: Statistics::default(),
        })
    }

    /// The next UDP datagram; `None` at the end of the capture.
    ///
    /// # Errors
    /// When the file is damaged or cannot be read any further; from then on it is at its end.
    #[expect(clippy::should_implement_trait, reason = "lends its buffer, which an Iterator cannot")]
    pub fn next(&mut self) -> Result<Option<UdpDatagram<'_>>, CaptureError> {
        while let Some(frame) = self.next_frame()? {
            match self.read(&frame) {
                Ok(Addresses { source, destination }) => {
                    self.statistics.datagrams += 1;
                    let received = frame.received;
                    return Ok(Some(UdpDatagram { received, source, destination, payload: &self.payload }));
                }
                Err(reason) => self.count(&frame, reason),
            }
        }
        Ok(None)
    }

    /// What became of the packets that were read so far.
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

    fn count(&mut self, frame: &Frame, reason: PassedOver) {
        let cut_by_capture = (self.frame.len() as u64) < u64::from(frame.original_length);
        let count = match reason {
            PassedOver::Fragment => &mut self.statistics.fragments,
            PassedOver::NotUdp => &mut self.statistics.not_udp,
            PassedOver::UnknownLinkLayer => &mut self.statistics.unknown_link_layer,
            PassedOver::CutOff if cut_by_capture => &mut self.statistics.truncated,
            PassedOver::CutOff | PassedOver::Damaged => &mut self.statistics.damaged,
        };
        *count += 1;
    }

    /// Leaves the payload of the frame's datagram in the buffer.
    fn read(&mut self, frame: &Frame) -> Result<Addresses, PassedOver> {
        let packet = ip_packet(frame.link, &self.frame)?;
        let (source, destination) = (packet.source, packet.destination);
        match packet.content {
            IpContent::Whole { protocol, payload } => {
                read_udp(source, destination, protocol, payload, &mut self.payload)
            }
            IpContent::Fragment(Fragment { protocol, .. }) if !may_lead_to_udp(protocol) => Err(PassedOver::NotUdp),
            IpContent::Fragment(fragment) => {
                match self.reassembly.add(frame.received, source, destination, &fragment) {
                    Progress::Waiting => Err(PassedOver::Fragment),
                    Progress::Impossible => Err(PassedOver::Damaged),
                    Progress::Whole { protocol, payload } => {
                        let content = skip_extension_headers(protocol, &payload)?;
                        let IpContent::Whole { protocol, payload } = content else { return Err(PassedOver::Damaged) };
                        read_udp(source, destination, protocol, payload, &mut self.payload)
                    }
                }
            }
        }
    }
}

fn ip_packet(link: Option<LinkLayer>, frame: &[u8]) -> Result<IpPacket<'_>, PassedOver> {
    match link.ok_or(PassedOver::UnknownLinkLayer)?.strip(frame) {
        Network::Ip(packet) => Ok(IpPacket::read(packet)?),
        Network::Other => Err(PassedOver::NotUdp),
        Network::CutOff => Err(PassedOver::CutOff),
    }
}

fn read_udp(
    source: IpAddr,
    destination: IpAddr,
    protocol: IpNumber,
    octets: &[u8],
    payload: &mut Vec<u8>,
) -> Result<Addresses, PassedOver> {
    if protocol != ip_number::UDP {
        return Err(PassedOver::NotUdp);
    }
    let udp = Udp::read(octets)?;
    payload.clear();
    payload.extend_from_slice(udp.payload);
    Ok(Addresses {
        source: SocketAddr::new(source, udp.source_port),
        destination: SocketAddr::new(destination, udp.destination_port),
    })
}
