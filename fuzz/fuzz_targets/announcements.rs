//! `robustness::kept::announcements` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| robustness::kept::announcements(input));
