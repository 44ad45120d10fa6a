//! `robustness::export_streams::stream` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| robustness::export_streams::stream(input));
