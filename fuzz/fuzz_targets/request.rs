//! `robustness::requests::request` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| robustness::requests::request(input));
