//! MQTT 3.1.1 and 5.0: packets, topics and the client's session, with no I/O.

pub mod codec;
pub mod inflight;
pub mod packet;
pub mod reason;
pub mod session;
pub mod topic;
