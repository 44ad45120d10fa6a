//! `robustness::dns_answers::answer` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| robustness::dns_answers::answer(input));
