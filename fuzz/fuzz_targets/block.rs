//! `robustness::kept::block` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| robustness::kept::block(input));
