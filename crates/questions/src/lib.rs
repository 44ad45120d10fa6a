//! Questions about archived flows, as operators type them, and the answers, as JSON has them. The REST interface and the
//! commands have both from here, so that a word means the same everywhere.
//!
//! | file | content |
//! | --- | --- |
//! | `words` | the words of a question by name, as a query string or a command line has them |
//! | [`scope`] | what all questions have in common: the range of time, the filter, exporters, counters |
//! | [`rows`] | **flows one by one**, some at a time |
//! | [`top`] | **groups of flows**, the largest first |
//! | [`series`] | **the largest groups in steps of time** |
//! | [`parts`] | the same questions about ever longer parts of their time |
//! | `value` | values of columns and keys as JSON has them |
//! | `names` | what values are called |
//! | `source` | what has the flows: the archive, or a database with the same flows |
//! | [`coverage`] | what an answer was read from, and what is missing in it |
//! | `error` | what is wrong with a word, and where |
//!
//! ```
//! use questions::{TopQuestion, Words};
//!
//! let words: Words = [("filter", "dst port 443"), ("by", "srcip/24,proto"), ("last", "1d")].into_iter().collect();
//! let question = TopQuestion::read(&words, flow::Timestamp::from_seconds(1_795_960_800)).unwrap();
//! assert_eq!(question.keys[0].to_string(), "srcip/24/48");
//! ```
//!
//! Not here: how files are read (`archive`) and databases asked (`clickhouse`), who may ask what and when (`api`), and tables (`cli`).

pub mod coverage;
mod error;
mod names;
pub mod parts;
pub mod rows;
pub mod scope;
pub mod series;
mod source;
pub mod top;
mod value;
mod words;

#[cfg(test)]
mod tests;

pub use coverage::Coverage;
pub use error::{AnswerError, QuestionError};
pub use names::Names;
pub use parts::Question;
pub use rows::{FlowRow, FlowRows, RowsQuestion};
pub use scope::{Asked, Scope};
pub use series::{FlowSeries, SeriesQuestion};
pub use source::FlowSource;
pub use top::{FlowGroup, FlowSums, FlowTop, TopQuestion};
pub use value::{Record, Value};
pub use words::Words;

/// The memory of a question at most, in octets.
pub const MEMORY: usize = 256 << 20;
