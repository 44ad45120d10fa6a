//! `bodies::netflow_v9` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| netflow_fuzz::bodies::netflow_v9(input));
