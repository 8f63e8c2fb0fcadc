//! The pure part: bytes and `now` in; bytes, output and deadlines out.
//!
//! Nothing here opens, reads, sleeps or asks the clock. A machine has four kinds of methods and no
//! others: getters; `handle_*` (something happened, with `now`); `poll_*` (what to send, to print, to
//! wait for); constructors. One mutation, then drain everything, then the next.

pub mod backoff;
pub mod format;
pub mod framing;
pub mod histogram;
pub mod keepalive;
pub mod latency;
pub mod link;
pub mod mqtt;
pub mod plot;
pub mod tally;
