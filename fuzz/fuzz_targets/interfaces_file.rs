//! `robustness::own_files::interfaces_file` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| robustness::own_files::interfaces_file(input));
