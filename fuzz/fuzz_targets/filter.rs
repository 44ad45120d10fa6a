//! `robustness::filters::filter` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| robustness::filters::filter(input));
