//! `robustness::booked_origins::read` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| robustness::booked_origins::read(input));
