//! `bodies::sampled_packet` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| netflow_fuzz::bodies::sampled_packet(input));
