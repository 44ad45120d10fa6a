//! The names of numbers, in both directions: what `https` means, and what 443 is called. Filters, counters, the REST
//! interface and commands have them from here, so that a name means the same everywhere.
//!
//! | file | content |
//! | --- | --- |
//! | `protocols.txt` | **the names of IP protocols** |
//! | `ports.txt` | **the names of ports** |
//! | [`table`] | names with numbers: reading, showing, proposing |
//! | `registry` | from the files to tables |
//!
//! ```
//! assert_eq!(names::ports().number("HTTPS"), Some(443));
//! assert_eq!(names::ports().name(443), Some("https"));
//! assert_eq!(names::port_over(17, 514), Some("syslog"));
//! assert_eq!(names::protocols().nearest("tpc"), Some("tcp"));
//! ```
//!
//! Not here: which columns and fields have names (`columns`, `accounting`).

mod registry;
pub mod table;

pub use registry::{port_over, ports, protocols};
pub use table::{Names, nearest};
