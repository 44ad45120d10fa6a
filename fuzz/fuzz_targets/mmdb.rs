//! `robustness::origins::mmdb` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| robustness::origins::mmdb(input));
