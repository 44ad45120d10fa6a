//! `bodies::structured_data` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| netflow_fuzz::bodies::structured_data(input));
