//! What must hold of everything that comes from outside and is no datagram: files that were damaged or made by somebody
//! else, and requests. One body for each, and what a fuzzer starts from. The tests run the bodies over changed seeds, and
//! cargo-fuzz runs them as its targets (`make fuzz`). The bodies for datagrams are `crates/wire/tests/robustness`.
//!
//! | file | what is read |
//! | --- | --- |
//! | [`kept`] | blocks, what exporters have announced, the state file, segments of the journal |
//! | [`captures`] | pcap and pcapng files |
//! | [`filters`] | filters of flows, as `/tap` takes them |
//! | [`requests`] | requests to the REST interface: paths, queries, credentials, bodies |
//!
//! A body fails by panicking. None looks at a clock.
#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a body fails by panicking")]

pub mod captures;
pub mod filters;
pub mod kept;
pub mod requests;

/// Something that is read, and what must hold of it.
#[derive(Clone, Copy)]
pub struct Body {
    /// The name of its fuzz target.
    pub name: &'static str,
    /// Panics when what must hold does not.
    pub run: fn(&[u8]),
    /// Inputs that are as they should be.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All of them.
pub const BODIES: &[Body] = &[
    Body { name: "block", run: kept::block, seeds: kept::blocks },
    Body { name: "announcements", run: kept::announcements, seeds: kept::announced },
    Body { name: "state_file", run: kept::state_file, seeds: kept::state_files },
    Body { name: "journal_segment", run: kept::journal_segment, seeds: captures::segments },
    Body { name: "capture_file", run: captures::capture_file, seeds: captures::files },
    Body { name: "filter", run: filters::filter, seeds: filters::filters },
    Body { name: "request", run: requests::request, seeds: requests::requests },
];
