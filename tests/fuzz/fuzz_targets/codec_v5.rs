//! Any bytes as packets of MQTT 5.0.
#![no_main]

use wspipe::proto::mqtt::packet::Version;

libfuzzer_sys::fuzz_target!(|data: &[u8]| wspipe_fuzz::codec::run(data, Version::V5));
