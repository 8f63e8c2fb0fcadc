//! The peers themselves: that they are real, and where they listen.

use std::fs;

use crate::support::{
    mosquitto,
    watcher::{Seen, Watcher},
    websockets,
};

/// The local addresses that listen on the port, as the kernel writes them, in hex.
fn listening(port: u16) -> Vec<String> {
    let suffix = format!(":{port:04X}");
    let tables =
        ["/proc/net/tcp", "/proc/net/tcp6"].map(|table| fs::read_to_string(table).unwrap_or_default());
    let rows =
        tables.iter().flat_map(|table| table.lines()).map(|row| row.split_whitespace().collect::<Vec<_>>());
    // 0A is TCP_LISTEN.
    let listeners =
        rows.filter(|columns| columns.len() > 3 && columns[3] == "0A" && columns[1].ends_with(&suffix));
    listeners.map(|columns| columns[1].to_owned()).collect()
}

#[test]
#[cfg(target_os = "linux")]
fn they_listen_on_loopback_only() {
    let broker = mosquitto::shared();
    let ports = [broker.ws, broker.tcp, broker.login_ws, broker.login_tcp, websockets::shared().port];
    #[cfg(feature = "tls")]
    let ports = {
        let front = crate::support::nginx::shared();
        [&ports[..], &[broker.wss, broker.tls, front.good, front.expired, front.self_signed]].concat()
    };
    for port in ports {
        assert_eq!(listening(port), [format!("0100007F:{port:04X}")], "127.0.0.1 alone");
    }
}

#[test]
fn the_watcher_sees_what_is_published() {
    let port = mosquitto::shared().tcp;
    let mut watcher = Watcher::subscribe(port, "peers/#");
    Watcher::publish(port, "peers/a", b"x", false);
    let seen = Seen { topic: "peers/a".to_owned(), payload: b"x".to_vec(), retain: false };
    assert_eq!(watcher.next(), seen);
    assert_eq!(watcher.all_so_far(), []);
}
