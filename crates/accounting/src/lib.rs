//! Who is counted where. Pure code: no I/O, no clock, no threads; everything is a function of its arguments.
//!
//! | file | what lives there |
//! | --- | --- |
//! | [`field`] | the fields that flows are counted by, one row each, and the names of counters (`proto:6`) |
//! | [`direction`] | in, out, in:local, out:local, and which of them a flow has |
//! | [`prefix_table`] | all monitored prefixes that contain an address |
//! | [`period`] | minutes, hours, days, months and years as intervals of time |
//! | `about_all` | what blocks say of `all` beside its counters |
//! | [`block`] | immutable tables of counters with an identity, and their encoding |
//! | [`tally`] | the open minutes: counters that are still being added to |
//! | [`rollup`] | finer blocks summed into coarser ones |
//! | [`query`] | the date grammar of the REST interface and which blocks answer it |
//! | [`variance`] | how far totals of sampled flows may be off |
//! | [`range`] | any stretch of time, and the fewest intervals that it is made of |

mod about_all;
pub mod block;
mod counter_map;
pub mod direction;
pub mod field;
pub mod period;
pub mod prefix_table;
pub mod query;
pub mod range;
pub mod rollup;
#[cfg(test)]
mod samples;
mod table;
pub mod tally;
pub mod variance;
