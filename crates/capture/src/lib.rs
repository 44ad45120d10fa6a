//! Capture files to UDP datagrams and back. Export protocols are unknown here: what comes out is payloads with their
//! addresses and times, and what goes in is the same.
//!
//! | file | what lives there |
//! | --- | --- |
//! | [`reader`] | [`Capture`]: the way from a file to its datagrams, and the count of what was passed over |
//! | `file` | the two file formats, `file/pcap.rs` and `file/pcapng.rs`: octets to frames |
//! | `link` | link layers: what stands before the IP packet in a frame |
//! | `packet` | IPv4, IPv6 and UDP headers |
//! | `reassembly` | IP fragments put together, within bounds |
//! | [`frame`] | a datagram as a record of a pcap file, written and strictly read back |
//! | [`write`] | datagrams to a pcap file |
//! | [`error`] | why a file cannot be read, and where |

pub mod error;
mod file;
pub mod frame;
mod link;
mod packet;
pub mod reader;
mod reassembly;
pub mod write;

pub use error::{CaptureError, Damage};
pub use reader::{Capture, Statistics, UdpDatagram};
pub use write::Writer;
