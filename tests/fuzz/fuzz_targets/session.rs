//! A list of operations on an MQTT session.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| wspipe_fuzz::session::run(data));
