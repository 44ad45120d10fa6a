//! `bodies::as_json` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| netflow_fuzz::bodies::as_json(input));
