//! Which AS and which country an address belongs to, and which file knows it.
//!
//! Many routers export AS 0, and none exports countries. Files have both: MaxMind databases (GeoLite2, IPinfo, DB-IP), the
//! ranges of iptoasn.com, and lists of AS names. They are compiled into one [`Table`], which answers in tens of
//! nanoseconds. What it answers depends on the files only. [`Files`] reads them again when they change. [`Sources`] has
//! everything that knows the AS of an address at one moment, and decides which of it counts. Threads and timers are left to
//! others.
//!
//! | file | what it does |
//! | --- | --- |
//! | [`files`] | knows when files have changed, and reads them |
//! | [`contents`] | recognises the kind of a file, and reads it |
//! | `mmdb`, `text` | read each kind |
//! | `pieces` | compiles ranges that nest or overlap into disjoint ones, and merges files |
//! | `lookup_ipv4`, `lookup_ipv6` | find the range of an address |
//! | [`table`] | what files are asked |
//! | [`networks`] | the AS numbers of the operator's own networks |
//! | [`order`], [`sources`] | exporter, networks, routes and files together: the AS number that counts |
//! | `names` | AS names |
//! | [`limits`] | how much a file may have |
//!
//! ```
//! use std::path::Path;
//!
//! use origin::{Contents, Table};
//!
//! let ranges = Contents::parse(Path::new("ip2asn.tsv"), b"192.0.2.0\t192.0.2.255\t64500\tCH\tExample\n")?;
//! let names = Contents::parse(Path::new("names.txt"), b"64500 Example Ltd\n")?;
//! let table = Table::new(vec![names, ranges])?;
//! let origin = table.get([192, 0, 2, 1].into()).ok_or("unknown")?;
//! assert_eq!((origin.asn(), table.name(64500)), (Some(64500), Some("Example Ltd")));
//! assert_eq!(origin.country().map(|country| country.to_string()), Some("CH".to_owned()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod contents;
pub mod error;
pub mod files;
pub mod limits;
mod lookup_ipv4;
mod lookup_ipv6;
mod mmdb;
mod names;
pub mod networks;
pub mod order;
mod origin;
mod pieces;
pub mod sources;
pub mod table;
mod text;

pub use contents::{Contents, Kind, SourceFile};
pub use error::{Error, Place};
pub use files::Files;
pub use flow::Country;
pub use networks::Networks;
pub use order::{Order, OrderError, Source};
pub use origin::Origin;
pub use sources::{End, Found, OfRouter, Sources, Stated};
pub use table::Table;
