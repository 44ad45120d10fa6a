//! pcapng (draft-ietf-opsawg-pcapng): blocks of a type, a length, a body and the length again. Sections may differ in
//! byte order; each interface has its own link layer and unit of time. Packets are in Enhanced, Simple and (obsolete)
//! Packet Blocks; all other blocks are skipped.

use flow::Timestamp;

use super::{ByteOrder, FRAME_LIMIT, Frame, Octets, ReadError};
use crate::error::Damage;
use crate::link::LinkLayer;

/// The same in both byte orders, because it precedes the declaration of the byte order.
pub(super) const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
const OBSOLETE_PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;

const BYTE_ORDER_MAGIC: u32 = 0x1a2b_3c4d;

/// Type, length, and the repeated length.
const BLOCK_OVERHEAD: u32 = 12;
/// A block that describes an interface is read into memory; its options are names and filters.
const DESCRIPTION_LIMIT: u32 = 65_536;
const INTERFACE_LIMIT: usize = 4096;

/// What the description of an interface declares about its packets.
struct Interface {
    link: Option<LinkLayer>,
    /// 0 means that packets are not truncated.
    snapshot_length: u32,
    clock: Clock,
}

/// How an interface counts time.
#[derive(Clone, Copy, Debug)]
struct Clock {
    ticks_per_second: u128,
    /// Seconds to add.
    offset: i64,
}

impl Clock {
    const MICROSECONDS: Self = Self { ticks_per_second: 1_000_000, offset: 0 };

    /// Ticks since the epoch as a point in time, clamped to the range of a timestamp.
    fn time(self, ticks: u64) -> Timestamp {
        let nanoseconds = u128::from(ticks) * 1_000_000_000 / self.ticks_per_second;
        let offset = i128::from(self.offset) * 1_000_000_000;
        let time = i128::try_from(nanoseconds).unwrap_or(i128::MAX).saturating_add(offset).max(0);
        Timestamp::from_nanoseconds(u64::try_from(time).unwrap_or(u64::MAX))
    }
}

/// The current section of a pcapng file.
pub(super) struct Pcapng {
    order: ByteOrder,
    interfaces: Vec<Interface>,
}

impl Pcapng {
    /// Reads the first section header after its block type.
    pub(super) fn start(octets: &mut Octets) -> Result<Self, ReadError> {
        let mut section = Self { order: ByteOrder::Little, interfaces: Vec::new() };
        let length = octets.array()?;
        section.begin(octets, length)?;
        Ok(section)
    }

    /// Reads a section header after its length, whose byte order the header declares.
    fn begin(&mut self, octets: &mut Octets, length: [u8; 4]) -> Result<(), ReadError> {
        let magic: [u8; 4] = octets.array()?;
        self.order = if magic == BYTE_ORDER_MAGIC.to_be_bytes() {
            ByteOrder::Big
        } else if magic == BYTE_ORDER_MAGIC.to_le_bytes() {
            ByteOrder::Little
        } else {
            return Err(Damage::ByteOrder.into());
        };
        self.interfaces.clear();
        let mut block = Block::new(self.order.u32(length))?;
        block.claim(4)?;
        block.end(octets, self.order)
    }

    /// Sets `start` to the offset of the current block.
    pub(super) fn next_frame(
        &mut self,
        octets: &mut Octets,
        buffer: &mut Vec<u8>,
        start: &mut u64,
    ) -> Result<Option<Frame>, ReadError> {
        loop {
            *start = octets.offset;
            let Some(kind) = octets.array_or_end::<4>()? else { return Ok(None) };
            let length: [u8; 4] = octets.array()?;
            let kind = self.order.u32(kind);
            if kind == SECTION_HEADER {
                self.begin(octets, length)?;
                continue;
            }
            let mut block = Block::new(self.order.u32(length))?;
            let frame = match kind {
                ENHANCED_PACKET | OBSOLETE_PACKET => Some(self.packet(kind, &mut block, octets, buffer)?),
                SIMPLE_PACKET => Some(self.simple_packet(&mut block, octets, buffer)?),
                INTERFACE_DESCRIPTION => {
                    self.describe_interface(&mut block, octets, buffer)?;
                    None
                }
                _ => None,
            };
            block.end(octets, self.order)?;
            if frame.is_some() {
                return Ok(frame);
            }
        }
    }

    /// The obsolete block differs in that its first word is an interface of 16 bits and a count of drops.
    fn packet(
        &self,
        kind: u32,
        block: &mut Block,
        octets: &mut Octets,
        buffer: &mut Vec<u8>,
    ) -> Result<Frame, ReadError> {
        block.claim(20)?;
        let header: [u8; 20] = octets.array()?;
        let [mut interface, high, low, length, original_length] = self.order.words(&header);
        if let (OBSOLETE_PACKET, Some(short)) = (kind, header.first_chunk::<2>()) {
            interface = self.order.u16(*short).into();
        }
        let described = self.interface(interface)?;
        block.fill(octets, buffer, length)?;
        let received = described.clock.time(u64::from(high) << 32 | u64::from(low));
        Ok(Frame { received, link: described.link, original_length, is_checked: false })
    }

    /// Simple packets belong to the first interface and have no time.
    fn simple_packet(&self, block: &mut Block, octets: &mut Octets, buffer: &mut Vec<u8>) -> Result<Frame, ReadError> {
        block.claim(4)?;
        let original_length = self.order.u32(octets.array()?);
        let described = self.interface(0)?;
        let length = match described.snapshot_length {
            0 => original_length,
            limit => original_length.min(limit),
        };
        block.fill(octets, buffer, length)?;
        Ok(Frame { received: Timestamp::EPOCH, link: described.link, original_length, is_checked: false })
    }

    fn interface(&self, number: u32) -> Result<&Interface, ReadError> {
        let index = usize::try_from(number).unwrap_or(usize::MAX);
        self.interfaces.get(index).ok_or_else(|| Damage::Interface(number).into())
    }

    fn describe_interface(
        &mut self,
        block: &mut Block,
        octets: &mut Octets,
        buffer: &mut Vec<u8>,
    ) -> Result<(), ReadError> {
        if self.interfaces.len() == INTERFACE_LIMIT {
            return Err(Damage::TooManyInterfaces(INTERFACE_LIMIT).into());
        }
        if block.rest > DESCRIPTION_LIMIT {
            return Err(Damage::BlockLength(block.length).into());
        }
        block.claim(8)?;
        let header: [u8; 8] = octets.array()?;
        let [link, snapshot_length] = self.order.words(&header);
        // The link layer is in the first 16 bits on the wire; the other 16 are reserved.
        let link = match self.order {
            ByteOrder::Big => (link >> 16) as u16,
            ByteOrder::Little => (link & 0xffff) as u16,
        };
        let length = block.rest;
        block.fill(octets, buffer, length)?;
        let clock = clock(buffer, self.order);
        self.interfaces.push(Interface { link: LinkLayer::from_number(link), snapshot_length, clock });
        Ok(())
    }
}

/// The unread rest of a block.
struct Block {
    length: u32,
    rest: u32,
}

impl Block {
    fn new(length: u32) -> Result<Self, ReadError> {
        match length.checked_sub(BLOCK_OVERHEAD) {
            Some(rest) if length.is_multiple_of(4) => Ok(Self { length, rest }),
            _ => Err(Damage::BlockLength(length).into()),
        }
    }

    /// Takes octets from the body, before they are read.
    fn claim(&mut self, length: u32) -> Result<(), ReadError> {
        self.rest = self.rest.checked_sub(length).ok_or(Damage::BlockLength(self.length))?;
        Ok(())
    }

    fn fill(&mut self, octets: &mut Octets, buffer: &mut Vec<u8>, length: u32) -> Result<(), ReadError> {
        if length > FRAME_LIMIT {
            return Err(Damage::PacketLength(length).into());
        }
        self.claim(length)?;
        octets.fill(buffer, length)
    }

    /// Skips the rest of the body; the length after it must equal the first.
    fn end(self, octets: &mut Octets, order: ByteOrder) -> Result<(), ReadError> {
        octets.skip(self.rest)?;
        if order.u32(octets.array()?) == self.length { Ok(()) } else { Err(Damage::BlockLength(self.length).into()) }
    }
}

/// The clock by the options of an interface: `if_tsresol` (9) and `if_tsoffset` (14).
fn clock(mut options: &[u8], order: ByteOrder) -> Clock {
    let mut clock = Clock::MICROSECONDS;
    while let Some((&[c0, c1, l0, l1], rest)) = options.split_first_chunk::<4>() {
        let length = usize::from(order.u16([l0, l1]));
        let Some(value) = rest.get(..length) else { break };
        match (order.u16([c0, c1]), value) {
            (0, _) => break,
            (9, &[resolution, ..]) => {
                let exponent = u32::from(resolution & 0x7f);
                let base: u128 = if resolution & 0x80 == 0 { 10 } else { 2 };
                // Finer than any clock: all ticks of 64 bits together are less than a second.
                clock.ticks_per_second = base.checked_pow(exponent).unwrap_or(u128::MAX);
            }
            (14, value) => {
                if let Some(&offset) = value.first_chunk::<8>() {
                    clock.offset = match order {
                        ByteOrder::Big => i64::from_be_bytes(offset),
                        ByteOrder::Little => i64::from_le_bytes(offset),
                    };
                }
            }
            _ => {}
        }
        options = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    clock
}
