//! `robustness::kept::journal_segment` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| robustness::kept::journal_segment(input));
