//! mosquitto, with listeners for everything the tests ask of it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use super::{Peer, free_port, temp_dir, wait_until};

/// The user that may log in on the listeners with a password, and publish and read below `open/`.
pub const USER: &str = "anna";
/// Its password: everything that a URL must escape.
pub const PASSWORD: &str = "p@ss:w/rd ä%?#";

/// A broker.
pub struct Mosquitto {
    peer: Peer,
    /// WebSocket, anyone.
    pub ws: u16,
    /// MQTT over TCP, anyone.
    pub tcp: u16,
    /// WebSocket, with a password.
    pub login_ws: u16,
    /// MQTT over TCP, with a password.
    pub login_tcp: u16,
    /// WebSocket over TLS, anyone.
    #[cfg(feature = "tls")]
    pub wss: u16,
    /// MQTT over TLS, anyone.
    #[cfg(feature = "tls")]
    pub tls: u16,
}

/// The one that the tests of this process share. Client ids and topics keep them apart.
pub fn shared() -> &'static Mosquitto {
    static BROKER: OnceLock<Mosquitto> = OnceLock::new();
    BROKER.get_or_init(|| (0..5).find_map(|_| try_start()).expect("mosquitto starts: run scripts/setup"))
}

/// One whose queues have no end: mosquitto drops beyond 1000 messages by default.
pub fn roomy() -> &'static Mosquitto {
    static BROKER: OnceLock<Mosquitto> = OnceLock::new();
    let settings = "max_queued_messages 0\nmax_queued_bytes 0\n";
    BROKER.get_or_init(|| start_with(settings))
}

/// One of a test's own, with these settings before the listeners.
pub fn start_with(settings: &str) -> Mosquitto {
    (0..5).find_map(|_| try_start_with(settings)).expect("mosquitto starts: run scripts/setup")
}

impl Mosquitto {
    /// `ws://` of the listener for anyone.
    pub fn ws_url(&self) -> String {
        format!("ws://127.0.0.1:{}", self.ws)
    }

    /// `mqtt://` of the listener for anyone.
    pub fn tcp_url(&self) -> String {
        format!("mqtt://127.0.0.1:{}", self.tcp)
    }

    /// Its log, to be shown by failing tests.
    pub fn log(&self) -> PathBuf {
        self.peer.log.clone()
    }

    /// Waits until the log has a line with all of `texts`.
    #[track_caller]
    pub fn logged(&self, texts: &[&str]) {
        let found = || self.peer.said().lines().any(|line| texts.iter().all(|text| line.contains(text)));
        assert!(wait_until(found), "mosquitto logged no line with {texts:?}:\n{}", self.peer.said());
    }
}

fn try_start() -> Option<Mosquitto> {
    try_start_with("log_type all\n")
}

fn try_start_with(settings: &str) -> Option<Mosquitto> {
    let dir = temp_dir("mosquitto");
    let [ws, tcp, login_ws, login_tcp] = [(); 4].map(|()| free_port());
    let ports = [ws, tcp, login_ws, login_tcp];
    let anyone = "allow_anonymous true\n";
    let login = login_settings(&dir);
    let mut conf = format!("per_listener_settings true\npersistence false\nlog_dest stderr\n{settings}");
    if rustix::process::geteuid().is_root() {
        conf.push_str("user root\n");
    }
    // Without `socket_domain ipv4` 2.0.11 listens for WebSocket on every address, whatever is asked.
    let websockets = "protocol websockets\nsocket_domain ipv4\n";
    conf.push_str(&listener(ws, &[websockets, anyone]));
    conf.push_str(&listener(tcp, &[anyone]));
    conf.push_str(&listener(login_ws, &[websockets, &login]));
    conf.push_str(&listener(login_tcp, &[&login]));
    #[cfg(feature = "tls")]
    let ([wss, tls], ports) = {
        let extra = [(); 2].map(|()| free_port());
        let good = super::certs::shared().good.mosquitto();
        conf.push_str(&listener(extra[0], &[websockets, &good, anyone]));
        conf.push_str(&listener(extra[1], &[&good, anyone]));
        (extra, [&ports[..], &extra].concat())
    };
    let file = dir.join("mosquitto.conf");
    fs::write(&file, conf).expect("target/tmp is writable");
    let mut peer = Peer::start("mosquitto", &["-c", &file.to_string_lossy()], &dir);
    if !peer.ready(&ports) {
        eprintln!("mosquitto ended at once:\n{}", peer.said());
        return None;
    }
    Some(Mosquitto {
        peer,
        ws,
        tcp,
        login_ws,
        login_tcp,
        #[cfg(feature = "tls")]
        wss,
        #[cfg(feature = "tls")]
        tls,
    })
}

fn listener(port: u16, settings: &[&str]) -> String {
    format!("listener {port} 127.0.0.1\n{}", settings.concat())
}

fn login_settings(dir: &Path) -> String {
    let (passwords, acl) = (dir.join("passwords"), dir.join("acl"));
    let made =
        Command::new("mosquitto_passwd").args(["-b", "-c"]).arg(&passwords).args([USER, PASSWORD]).output();
    let made = made.expect("mosquitto_passwd is there: run scripts/setup");
    assert!(made.status.success(), "mosquitto_passwd: {}", String::from_utf8_lossy(&made.stderr));
    fs::write(&acl, format!("user {USER}\ntopic readwrite open/#\n")).expect("target/tmp is writable");
    format!("allow_anonymous false\npassword_file {}\nacl_file {}\n", passwords.display(), acl.display())
}
