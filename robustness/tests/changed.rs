//! The bodies over mutated seeds. `NETFLOW_ROBUSTNESS_ROUNDS` sets the number of rounds.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use robustness::{BODIES, Body};
use testing::{Random, mutate};

fn run_changed(name: &str) {
    let Body { run, seeds, .. } = BODIES.iter().find(|body| body.name == name).expect("the body is in the table");
    let rounds = std::env::var("NETFLOW_ROBUSTNESS_ROUNDS").ok().and_then(|rounds| rounds.parse().ok());
    let seeds = seeds();
    seeds.iter().for_each(|seed| run(seed));
    let mut random = Random::new(name.len() as u64);
    for _ in 0..rounds.unwrap_or(1000) {
        let mut input = random.pick(&seeds).clone();
        for _ in 0..=random.below(4) {
            let other = random.pick(&seeds);
            mutate(&mut random, &mut input, other);
        }
        run(&input);
    }
}

#[test]
fn changed_blocks_are_read_or_refused() {
    run_changed("block");
}

#[test]
fn changed_announcements_are_read_or_refused() {
    run_changed("announcements");
}

#[test]
fn changed_state_files_are_read_or_refused() {
    run_changed("state_file");
}

#[test]
fn changed_names_of_interfaces_are_read_or_damaged() {
    run_changed("interfaces_file");
}

#[test]
fn changed_segments_are_read_up_to_the_change() {
    run_changed("journal_segment");
}

#[test]
fn changed_origins_are_read_or_left_out() {
    run_changed("booked_origins");
}

#[test]
fn changed_captures_are_read_or_refused() {
    run_changed("capture_file");
}

#[test]
fn changed_bmp_sessions_are_read_or_refused() {
    run_changed("bmp_session");
}

#[test]
fn changed_answers_of_dns_servers_are_read_or_refused() {
    run_changed("dns_answer");
}

#[test]
fn changed_answers_of_agents_are_read_or_refused() {
    run_changed("snmp_answer");
}

#[test]
fn changed_streams_of_exporters_are_cut_and_decoded_or_refused() {
    run_changed("export_stream");
}

#[test]
fn changed_filters_are_read_or_refused() {
    run_changed("filter");
}

#[test]
fn changed_databases_of_origins_are_read_or_refused() {
    run_changed("mmdb");
}

#[test]
fn changed_ranges_of_origins_are_read_or_refused() {
    run_changed("as_ranges");
}

#[test]
fn changed_lists_of_as_names_are_read_or_refused() {
    run_changed("as_names");
}

#[test]
fn changed_requests_are_answered() {
    run_changed("request");
}
