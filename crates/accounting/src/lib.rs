//! What is counted, and where. Pure code without I/O, clocks or threads: results depend on the arguments only.
//!
//! | file | what it contains |
//! | --- | --- |
//! | [`field`] | the fields that flows are counted by, one row each, and the names of counters (`proto:6`) |
//! | [`direction`] | in, out, in:local, out:local, and which of them apply to a flow |
//! | [`prefix_table`] | all monitored prefixes that contain an address |
//! | [`period`] | minutes, hours, days, months and years as intervals of time |
//! | `about_all` | metadata that blocks store with `all`: variances, complete fields |
//! | [`block`] | immutable, identified tables of counters, and their encoding |
//! | [`tally`] | the open minutes: counters to which flows are still added |
//! | [`rollup`] | sums of finer blocks as coarser blocks |
//! | [`watermarks`] | how far a writer is rolled up, and the blocks that count for an interval because of that |
//! | [`five_minutes`] | the 5 minutes of `all` in hours and days, for percentiles |
//! | [`presence`] | what arrived from a sender, and when a collector ran, as blocks beside the counters |
//! | [`query`] | the dates of the REST interface |
//! | [`variance`] | the error of totals of sampled flows |
//! | [`range`] | arbitrary ranges of time, and the fewest intervals that cover one |
//! | [`zone`] | local dates: the ranges of days, months and years in a time zone |

mod about_all;
pub mod block;
mod counter_map;
pub mod direction;
pub mod field;
pub mod five_minutes;
pub mod period;
pub mod prefix_table;
pub mod presence;
pub mod query;
pub mod range;
pub mod rollup;
#[cfg(test)]
mod samples;
mod table;
pub mod tally;
pub mod variance;
pub mod watermarks;
pub mod zone;
