//! The names of numbers, in both directions: what `https` means, and what 443 is called. Filters, counters, the REST
//! interface and commands have them from here, so that a name means the same everywhere.
//!
//! | file | content |
//! | --- | --- |
//! | `protocols.txt` | **the names of IP protocols** |
//! | `ports.txt` | **the names of ports** |
//! | `countries.txt` | **the names of countries** |
//! | [`table`] | names with numbers: reading, showing, proposing |
//! | `registry`, `countries` | from the files to tables |
//! | `as_names` | the names of AS: a trait, because they are not known here |
//!
//! ```
//! assert_eq!(names::ports().number("HTTPS"), Some(443));
//! assert_eq!(names::ports().name(443), Some("https"));
//! assert_eq!(names::port_over(17, 514), Some("syslog"));
//! assert_eq!(names::protocols().nearest("tpc"), Some("tcp"));
//! ```
//!
//! Not here: which columns and fields have names (`columns`, `accounting`).

mod as_names;
mod countries;
mod registry;
pub mod table;

pub use as_names::{AsNames, NoAsNames};
pub use countries::country;
pub use registry::{port_over, ports, protocols};
pub use table::{Names, nearest};
