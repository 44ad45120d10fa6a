//! `robustness::own_files::announcements` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| robustness::own_files::announcements(input));
