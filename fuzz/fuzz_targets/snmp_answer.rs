//! `robustness::snmp_answers::answer` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| robustness::snmp_answers::answer(input));
