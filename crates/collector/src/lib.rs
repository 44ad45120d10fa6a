//! The ends of the pipeline: the sockets, and the flusher that turns tallies into stored blocks.
//!
//! | step | file | what happens |
//! | --- | --- | --- |
//! | 1 receive | `listening`, `receiver`, `kernel_drops` | sockets, bound or passed; threads that read them in batches |
//! |  | `export_connections` | TCP connections over which exporters send IPFIX messages |
//! |  | `forwarding` | copies of datagrams for other collectors |
//! | 2-5 | [`journaled_shard`] | a shard of the crate `pipeline` with its end of the journal; the cut; recovery |
//! | 6 commit | [`flusher`], `flusher_thread`, `first_flush` | tallies become numbered blocks in the store; roll-up; retention |
//!
//! | file | what it does |
//! | --- | --- |
//! | `start`, `settings`, `start_error`, `stop_error` | starts the parts and stops them |
//! | `local` | what is kept on this disk for a store on the network, so that a start needs nothing else |
//! | `acceptance` | routers that register themselves |
//! | `change` | applies a reload to a running collector |
//! | [`import`] | drives a shard and a flusher by a capture |
//! | [`senders`], [`restore_templates`] | reads from the store: registered senders; templates of the last run |
//! | `log_records`, `log_notes` | the records of the log once more, for its readers, compared with what the shards have noted |
//! | `log_consumer` | the thread of a reader of the log |
//! | `interfaces` | learns the names of routers' interfaces from options data, and stores them |
//! | `surveys` | asks the SNMP agents of routers the same, and for their own names |
//! | `known_names` | what routers are called |
//! | `reverse_names` | asks DNS for that |
//! | `certificate_names` | the names that certificates of senders must have |
//! | `origins` | the sources of AS numbers and countries that the shards look up |
//! | `monitoring` | the routes of routers, from BMP sessions |
//! | `stream_sockets` | options of TCP sockets |
//! | `remarks` | notices when the counters of a sender begin to mean something else |
//! | `remote` | stores again the registrations that a store on the network has lost |
//! | [`pulse`] | heartbeats of the threads |
//! | [`turn_mutex`] | that of a shard, which several threads want |
//! | `give_way` | work that waits for a processor that nothing else needs |
//! | [`status`], `flush_counts`, [`ledgers`] | all counts, and whether they balance at every flush |
//! | `prefix_counters` | what was counted for each monitored prefix, for metrics |
//! | `bit_rates` | the bit rates of each sender between two flushes |
//! | `view` | these as the plain values that the interface shows |
//!
//! A listener for another transport has one place, beside `receiver` and `export_connections`: it hands datagrams to a
//! [`JournaledShard`](journaled_shard::JournaledShard) and commits them.
//!
//! **Invariant:** no receiving thread waits for a store.

mod acceptance;
mod bit_rates;
mod certificate_names;
mod change;
mod export_connections;
mod first_flush;
mod flush_counts;
pub mod flusher;
mod flusher_thread;
mod forwarding;
mod give_way;
pub mod import;
mod interfaces;
pub mod journaled_shard;
mod keep;
mod kernel_drops;
mod known_names;
pub mod ledgers;
mod listening;
mod local;
mod lock;
mod log_consumer;
mod log_notes;
mod log_records;
mod monitoring;
mod origins;
mod prefix_counters;
pub mod pulse;
mod receiver;
mod remarks;
mod remote;
pub mod restore_templates;
mod reverse_names;
pub mod senders;
mod settings;
mod start;
mod start_error;
pub mod status;
mod stop_error;
mod stream_sockets;
mod surveys;
mod terms;
pub mod turn_mutex;
mod view;

pub use change::Prepared;
pub use export_connections::{ExportConnectionSettings, TlsCertificates, TlsSettings};
pub use flush_counts::FlushCounts;
pub use forwarding::{FORWARD_QUEUE, ForwardError, ForwardSource, ForwardTarget, MOST_TARGETS};
pub use give_way::lower_priority;
pub use interfaces::Interfaces;
pub use journal::Position;
pub use keep::Keep;
pub use local::Local;
pub use log_consumer::LogConsumer;
pub use log_records::{LogRecords, LostFlushes, ReadFlush, ReaderCounts, begin_readers};
pub use monitoring::BmpSettings;
pub use origins::Origins;
pub use pipeline::Logged;
pub use reverse_names::{DnsSettings, NamedByDns};
pub use senders::STORE_PATIENCE;
pub use settings::{Reloadable, Settings};
pub use start::{Collector, start};
pub use start_error::StartError;
pub use stop_error::StopError;
pub use surveys::{AgentSettings, Agents};
