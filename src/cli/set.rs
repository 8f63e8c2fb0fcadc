//! Sets of commands, for the tables that say which of them have a thing.

use super::{command::Command, flags::Set};

pub const ECHO: Set = Command::Echo.set();
pub const CAT: Set = Command::Cat.set();
pub const MQTT: Set = Command::Mqtt.set();
pub const PUB: Set = Command::Pub.set();
pub const SUB: Set = Command::Sub.set();
pub const RR: Set = Command::Rr.set();
pub const SERVE: Set = Command::Serve.set();
/// Those whose messages are WebSocket's own.
pub const WEBSOCKETS: Set = ECHO | CAT;
/// Those that mosquitto has too.
pub const MOSQUITTO: Set = PUB | SUB | RR;
pub const MQTTS: Set = MQTT | MOSQUITTO;
/// All that connect.
pub const CLIENTS: Set = WEBSOCKETS | MQTTS;
pub const ALL: Set = CLIENTS | SERVE;
