//! Where blocks, senders and writers are kept. A store only has to put, read, list and delete; exactness comes from
//! blocks being immutable (`accounting::block`), never from a store's transactions.
//!
//! | file | what lives there |
//! | --- | --- |
//! | [`registry`], [`blocks`], [`writers`] | the three traits of a store: senders, blocks, writers |
//! | [`registrations`] | registrations with the numbers of their changes, by which a loss is recognised |
//! | [`store`] | the three together |
//! | [`error`] | why a store did not do what it was asked |
//! | [`flush`] | one flush of a collector |
//! | [`memory`] | in memory, for tests |
//! | [`sqlite`] | the embedded store: one file |
//! | [`redis`] | Redis: one server, a cluster or sentinels |
//! | [`cassandra`] | Cassandra, or ScyllaDB |
//! | [`kept`] | what has expired, as far as blocks show |
//! | [`totals`](mod@totals) | what all writers counted in ranges of time, whatever is rolled up already |
//! | `snapshot` | one moment of a store, which all parts of an answer are about |
//! | [`roll_up`] | sums a writer's finished periods into coarser blocks |
//! | [`check`] | checks that a store is consistent |
//! | [`copy`] | everything of one store into another |
//! | [`export`] | what was counted, as rows |
//! | [`stated`] | what the configuration states, with what is registered |
//! | [`sender_words`] | a sender as words of a file |
//! | [`faulty`] | a store whose calls fail as planned, for tests |
//! | [`backup`] | a copy of the SQLite file while the collector writes to it |
//! | [`identity`] | the identity of a collector, on its own disk |
//! | [`remarks`] | when the counters of a sender began to mean something else |
//! | [`last_terms`] | by which terms a collector counted each sender last, from which remarks follow |
//! | [`known_senders`] | the registrations that a collector knows of its store on the network |
//! | [`spool`] | flushes that a store on the network has not accepted yet |
//!
//! `tests/contract` holds what every store must do, as tests that run over each of them.

pub mod backup;
mod batches;
pub mod blocks;
#[cfg(feature = "cassandra")]
pub mod cassandra;
pub mod check;
pub mod copy;
pub mod error;
pub mod export;
pub mod faulty;
pub mod flush;
pub mod identity;
pub mod kept;
pub mod known_senders;
pub mod last_terms;
pub mod memory;
#[cfg(feature = "redis")]
pub mod redis;
pub mod registrations;
pub mod registry;
pub mod remarks;
pub mod roll_up;
#[cfg(test)]
mod sample;
mod selection;
pub mod sender_words;
mod snapshot;
pub mod spool;
pub mod sqlite;
pub mod stated;
pub mod store;
pub mod totals;
pub mod writers;

pub use backup::BackupSource;
pub use blocks::{Blocks, Retention, Selection};
pub use error::{Reason, StoreError, chain};
pub use faulty::Faulty;
pub use flush::Flush;
pub use identity::Identity;
pub use last_terms::LastTerms;
pub use memory::Memory;
pub use registrations::{Registration, Registrations};
pub use registry::{Registry, Sender};
pub use remarks::{Remark, Remarks};
pub use sender_words::SenderError;
pub use sqlite::Sqlite;
pub use stated::{InForce, Stated};
pub use store::Store;
pub use totals::{Answers, Question, Totals, totals};
pub use writers::{Presence, Progress, WriterState, Writers};
