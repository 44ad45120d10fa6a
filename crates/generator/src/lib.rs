//! A load: export datagrams of made-up flows, sent at a chosen rate, with exact totals of what was sent. For tests,
//! for measurements, and for operators who want to know what their machine can handle (`netflow generate`).
//!
//! Everything but the time follows from the seed: the same [`Load`] always makes the same flows in the same datagrams.
//! So names need not be noted while sending: the flows are made again and added up afterwards.
//!
//! | file | what lives there |
//! | --- | --- |
//! | [`load`] | [`Load`]: what to send, and which loads are refused |
//! | [`traffic`] | made-up flows |
//! | `datagram` | flows to datagrams of each protocol, and what changes in a datagram that is sent again |
//! | [`generator`](mod@generator) | [`Generator`]: one datagram after the other. Knows no socket and no clock |
//! | [`totals`] | what was sent: in all, by exporter, by name |
//! | [`transmission`] | datagrams onto the network at a rate |
//! | `random` | random numbers from a seed |

mod datagram;
pub mod generator;
pub mod load;
mod random;
pub mod totals;
pub mod traffic;
pub mod transmission;

pub use generator::{Generated, Generator};
pub use load::{Load, LoadError};
pub use totals::{NameKey, Names, Totals};
pub use traffic::{Popularity, Traffic};
pub use transmission::{Pace, transmit};
