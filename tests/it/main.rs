//! wspipe as its users run it: the binary, against real peers and against scripted ones.
//!
//! The peers are installed by `scripts/setup`; a missing one is a failure. Every process and port here is this
//! test's own.

mod support;

mod architecture;
mod cat_ends;
mod cat_framing;
mod cat_live;
mod cat_pipe;
mod cat_reconnect;
mod cat_streams;
mod cat_terminal;
mod cloud;
#[cfg(not(feature = "native-tls"))]
mod coming;
#[cfg(not(feature = "native-tls"))]
mod coming_mqtt;
#[cfg(not(feature = "native-tls"))]
mod coming_ws;
mod conformance_mqtt;
mod conformance_ws;
mod conformance_ws_frames;
mod echo;
mod format;
mod generate;
mod health;
mod hostile;
mod http;
mod http_redirects;
mod limits;
mod look;
mod mq_doubt;
mod mq_ends;
mod mq_flags;
mod mq_kill;
mod mq_links;
mod mq_packets;
mod mq_pipes;
mod mq_rabbit;
mod mq_readme;
mod mq_real;
mod mq_reconnect;
mod mq_request;
mod mq_scripted;
mod mq_sessions;
mod mq_silence;
mod mq_terminal;
mod mq_wills;
mod mq_wire;
mod mqtt;
mod mqtt_round;
mod mqtt_scripted;
mod mqtt_wire;
mod peers;
mod proxy;
mod proxy_scripted;
mod readme;
mod route;
mod secrets;
mod serve;
mod signals;
mod stall;
mod timing;
#[cfg(feature = "tls")]
mod tls;
// Of native-tls less is asked: these are what OpenSSL is there for.
#[cfg(all(feature = "tls", not(feature = "native-tls")))]
mod tls_client;
#[cfg(all(feature = "tls", not(feature = "native-tls")))]
mod tls_options;
mod usage;
mod ways;
