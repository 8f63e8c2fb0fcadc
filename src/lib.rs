//! wspipe: WebSocket and MQTT over WebSocket for shell pipelines. The library behind the binary; no API is
//! promised to others.

pub mod cli;
pub mod config;
pub mod net;
pub mod proto;
pub mod serve;
pub mod sys;
