//! The columns of a flow: everything that is kept of a record, beyond what accounting counts. One declared table drives
//! the reading of records, the files of the archive, filters, streams and the documentation.
//!
//! | file | content |
//! | --- | --- |
//! | [`table`] | **the table**: for each column its name, meaning, places in records, and names in other systems |
//! | [`column`](mod@column) | the words in which the table is written |
//! | [`row`] | the values of one record |
//! | [`batch`] | many rows, column by column |
//! | [`texts`] | texts of many rows, each different one once |
//! | [`names`](mod@names) | the names of values: protocols, ports and others |
//! | [`document`] | `docs/columns.md` |
//!
//! Not here: how values are read from octets, which is the matter of `wire`, and how they are stored.
//!
//! To add a column: its row at the end of the table. `wire` reads its information elements without further code; structures
//! of sFlow are read in `wire::sflow`.

pub mod batch;
pub mod column;
pub mod document;
pub mod names;
pub mod row;
pub mod table;
pub mod texts;

pub use batch::{Addresses, Batch, Values};
pub use column::{Column, Encoding, Kind, Leaf, Logical, Physical, Source, Unit};
pub use row::{Columns, Row, RowKind, Value, version};
pub use table::{COLUMNS, COUNT, ELEMENT_PLACES, Id, OLDEST_SCHEMA, SCHEMA};
pub use texts::{Dictionary, Texts};
