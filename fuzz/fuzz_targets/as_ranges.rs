//! `robustness::origins::ranges` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| robustness::origins::ranges(input));
