//! The archive: every flow that the log has, in Parquet files that other programs read as they are.
//!
//! | file | content |
//! | --- | --- |
//! | `schema` | the columns of a file, from the table of columns |
//! | `part_name` | which rows a file has: the hour, and from which flush to which |
//! | `part_writer`, `column_encoder`, `text_pages`, `footer_checksum` | writes a file |
//! | [`writer`] | **takes the rows of the log**, flush by flush, and knows what is archived already |
//! | `chunk`, [`open_parts`] | the rows that are in no complete file yet, which the writer shares with questions |
//! | [`missing`] | a file of what is missing although it was counted |
//! | [`folder`] | what is in the folder of the archive, and who may change it |
//! | `row_file` | writes a file of chosen columns that is not of the archive |
//! | [`retention`] | what is deleted, and when nothing more is written |
//! | `inspection`, [`check`](mod@check) | reads files completely, and compares them with what they state |
//! | [`compact`], `row_order`, `page_filters` | joins the files of hours that have passed; brings the rows of hosts together, and knows which pages have an address |
//! | [`status`] | what the footers state |
//! | [`scan`] | **answers questions**: groups of flows, and flows one by one |
//!
//! The folder has `date=2026-11-28/hour=21/<writer>-<epoch>-<first flush>-<last flush>.parquet`. Date and hour are those in which
//! a datagram was received, in UTC. A file never changes: it has the suffix `.tmp` until it is complete and synced. All rows
//! of a flush and hour are in one file, so the names say what is archived, whatever became of the cursor of the reader.
//!
//! Not here: how flows are read from the log (`collector`), and how questions are asked (`cli`, `api`).

pub mod check;
mod chunk;
mod column_encoder;
pub mod compact;
pub mod folder;
mod footer_checksum;
mod inspection;
pub mod missing;
pub mod open_parts;
mod page_filters;
pub mod part_name;
mod part_writer;
pub mod retention;
mod row_file;
mod row_order;
pub mod scan;
mod schema;
pub mod status;
mod text_pages;
pub mod writer;

pub use missing::Missing;
pub use open_parts::{OpenParts, Reach};
pub use part_name::PartName;
pub use retention::{Kept, Reserve, Retention};
pub use row_file::RowFile;
pub use scan::Scan;
pub use schema::schema;
pub use writer::Writer;
