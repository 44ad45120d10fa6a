//! Arbitrary input: nothing panics, memory stays bounded, and decoding returns no more than the octets can hold. There
//! is one body of assertions for each decoder; the fuzzer runs the same bodies (`make fuzz`).
//!
//! | file | what it contains |
//! | --- | --- |
//! | `bodies` | the assertions |
//! | `seeds` | valid inputs to mutate: captures, and datagrams made here |
//!
//! `testing::mutation` mutates them. `NETFLOW_ROBUSTNESS_ROUNDS` sets the number of rounds.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a test fails by panicking")]
#![expect(unreachable_pub, reason = "the fuzz targets include these modules and reach them from outside")]

mod bodies;
mod seeds;

use bodies::{BODIES, Body, Step, input, is_of};
use seeds::Conversation;
use testing::mutation::with_every_number_extreme;
use testing::{Random, mutate};

/// Mutated inputs of each body.
fn rounds() -> usize {
    std::env::var("NETFLOW_ROBUSTNESS_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(3000)
}

fn body(name: &str) -> &'static Body {
    BODIES.iter().find(|body| body.name == name).expect("the body is in the table")
}

/// Runs a body over mutated conversations, of the body's versions only.
fn run_changed_datagrams(body: &Body, seed: u64) {
    let of_body = |conversation: Conversation| {
        let taken: Conversation = conversation.into_iter().filter(|payload| is_of(payload, body.versions)).collect();
        Some(taken).filter(|taken| !taken.is_empty())
    };
    let conversations: Vec<_> = seeds::conversations().into_iter().filter_map(of_body).collect();
    assert!(!conversations.is_empty(), "there are no seeds for {}", body.name);
    let mut random = Random::new(seed);
    for _ in 0..rounds() {
        let mut conversation = random.pick(&conversations).clone();
        for _ in 0..=random.below(3) {
            let other = random.pick(&conversations);
            let other = random.pick(other);
            let changed = random.index(conversation.len());
            mutate(&mut random, &mut conversation[changed], other);
        }
        let steps: Vec<_> =
            conversation.iter().map(|payload| Step { circumstances: random.below(256) as u8, payload }).collect();
        (body.run)(&input(steps));
    }
}

#[test]
fn changed_datagrams_of_fixed_versions_harm_nothing() {
    run_changed_datagrams(body("netflow_fixed"), 1);
}

#[test]
fn changed_datagrams_of_netflow_v9_harm_nothing() {
    run_changed_datagrams(body("netflow_v9"), 9);
}

#[test]
fn changed_datagrams_of_ipfix_harm_nothing() {
    run_changed_datagrams(body("ipfix"), 10);
}

#[test]
fn changed_datagrams_of_sflow_harm_nothing() {
    run_changed_datagrams(body("sflow"), 0x0005_f107);
}

#[test]
fn changed_records_are_still_written_as_json() {
    run_changed_datagrams(body("json"), 8259);
}

/// Runs a body over mutated inputs that are not datagrams.
fn run_changed(body: &Body, seed: u64, inputs: &[Vec<u8>]) {
    let mut random = Random::new(seed);
    for _ in 0..10 * rounds() {
        let mut input = random.pick(inputs).clone();
        for _ in 0..=random.below(4) {
            let other = random.pick(inputs);
            mutate(&mut random, &mut input, other);
        }
        (body.run)(&input);
    }
}

#[test]
fn changed_heads_of_packets_harm_nothing() {
    run_changed(body("sampled_packet"), 802, &seeds::sampled_packets(&seeds::conversations()));
}

#[test]
fn changed_lists_harm_nothing() {
    run_changed(body("structured_data"), 6313, &seeds::structured_lists());
}

#[test]
fn any_count_and_any_length_may_be_zero_one_or_the_greatest() {
    for conversation in seeds::made_here() {
        for changed in 0..conversation.len() {
            let (before, after) = conversation.split_at(changed);
            for payload in with_every_number_extreme(&conversation[changed]) {
                let around = before.iter().chain([&payload]).chain(&after[1..]);
                let input = input(around.map(|payload| Step { circumstances: 0, payload }));
                bodies::any(&input);
            }
        }
    }
}

#[test]
fn a_datagram_may_be_cut_anywhere() {
    for conversation in seeds::made_here() {
        for changed in 0..conversation.len() {
            for length in 0..conversation[changed].len() {
                let mut cut = conversation.clone();
                cut[changed].truncate(length);
                bodies::any(&input(cut.iter().map(|payload| Step { circumstances: 0, payload })));
            }
        }
    }
}

/// The seeds of the fuzzer are valid inputs of the bodies.
#[test]
fn an_input_is_the_sequence_that_it_was_made_of() {
    let steps =
        [(0, &b"first"[..]), (7, b""), (255, b"third")].map(|(circumstances, payload)| Step { circumstances, payload });
    assert_eq!(bodies::sequence(&input(steps)).collect::<Vec<_>>(), steps);
    let cut = bodies::sequence(&[0, 9, 1, b'x']).collect::<Vec<_>>();
    assert_eq!(cut, [Step { circumstances: 1, payload: b"x" }]);
}
