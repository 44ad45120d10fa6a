//! Robustness against input from outside that is not a datagram: damaged or foreign files, and requests. Each kind of
//! input has a body of assertions, and seeds. The tests run the bodies over mutated seeds; cargo-fuzz runs them as its
//! targets (`make fuzz`). The bodies for datagrams are in `crates/wire/tests/robustness`.
//!
//! | file | input |
//! | --- | --- |
//! | [`bmp_sessions`] | connections of routers that send their routes |
//! | [`own_files`] | blocks, announcements of exporters, the state file, names of interfaces, journal segments |
//! | [`booked_origins`] | what a journal has of the origins of flows |
//! | [`captures`] | pcap, pcapng and IPFIX files |
//! | [`dns_answers`] | answers of DNS servers |
//! | [`export_streams`] | what exporters send in TCP connections |
//! | [`filters`] | filters of flows |
//! | [`origins`] | files of AS numbers, AS names and countries |
//! | [`snmp_answers`] | answers of SNMP agents |
//! | [`requests`] | requests to the REST interface: paths, queries, credentials, bodies |
//!
//! A body fails by panicking. None reads a clock.
#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a body fails by panicking")]

pub mod bmp_sessions;
pub mod booked_origins;
pub mod captures;
pub mod dns_answers;
pub mod export_streams;
pub mod filters;
pub mod origins;
pub mod own_files;
pub mod requests;
pub mod snmp_answers;

/// A kind of input and its assertions.
#[derive(Clone, Copy)]
pub struct Body {
    /// The name of its fuzz target.
    pub name: &'static str,
    /// Panics if an assertion fails.
    pub run: fn(&[u8]),
    /// Valid inputs.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All bodies.
pub const BODIES: &[Body] = &[
    Body { name: "block", run: own_files::block, seeds: own_files::blocks },
    Body { name: "announcements", run: own_files::announcements, seeds: own_files::announced },
    Body { name: "state_file", run: own_files::state_file, seeds: own_files::state_files },
    Body { name: "interfaces_file", run: own_files::interfaces_file, seeds: own_files::interfaces_files },
    Body { name: "journal_segment", run: own_files::journal_segment, seeds: captures::segments },
    Body { name: "booked_origins", run: booked_origins::read, seeds: booked_origins::booked },
    Body { name: "capture_file", run: captures::capture_file, seeds: captures::files },
    Body { name: "bmp_session", run: bmp_sessions::session, seeds: bmp_sessions::sessions },
    Body { name: "snmp_answer", run: snmp_answers::answer, seeds: snmp_answers::answers },
    Body { name: "dns_answer", run: dns_answers::answer, seeds: dns_answers::answers },
    Body { name: "export_stream", run: export_streams::stream, seeds: export_streams::streams },
    Body { name: "filter", run: filters::filter, seeds: filters::filters },
    Body { name: "mmdb", run: origins::mmdb, seeds: origins::databases },
    Body { name: "as_ranges", run: origins::ranges, seeds: origins::range_files },
    Body { name: "as_names", run: origins::names, seeds: origins::name_lists },
    Body { name: "request", run: requests::request, seeds: requests::requests },
];
