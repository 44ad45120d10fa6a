//! Reads UDP datagrams from capture files and writes them; reads the messages of IPFIX files, too. Payloads are not interpreted:
//! export protocols are `wire`'s.
//!
//! | file | contents |
//! | --- | --- |
//! | [`reader`] | [`Capture`]: from a file to its datagrams, with counts of the other packets |
//! | `file` | the file formats, `file/pcap.rs` and `file/pcapng.rs`: from octets to frames; `file/ipfix.rs`: to messages |
//! | `link` | link layers: the headers before the IP packet of a frame |
//! | `packet` | IPv4, IPv6 and UDP headers |
//! | `reassembly` | bounded reassembly of IP fragments |
//! | [`frame`] | a datagram as a record of a pcap file, written and read strictly |
//! | [`write`](mod@write) | datagrams to a pcap file |
//! | [`error`] | why a file cannot be read, and where |

pub mod error;
mod file;
pub mod frame;
mod link;
mod packet;
pub mod reader;
mod reassembly;
pub mod write;

pub use error::{CaptureError, Damage, Unit};
pub use frame::Carrier;
pub use reader::{Capture, NO_ADDRESS, Statistics, UdpDatagram};
pub use write::Writer;
