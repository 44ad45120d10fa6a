//! `robustness::bmp_sessions::session` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| robustness::bmp_sessions::session(input));
