//! Any bytes as packets of MQTT 3.1.1.
#![no_main]

use wspipe::proto::mqtt::packet::Version;

libfuzzer_sys::fuzz_target!(|data: &[u8]| wspipe_fuzz::codec::run(data, Version::V311));
