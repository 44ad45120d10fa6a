//! `robustness::captures::capture_file` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| robustness::captures::capture_file(input));
