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
    _login: Login,
    /// WebSocket, anyone.
    pub ws: u16,
    /// MQTT over TCP, anyone.
    pub tcp: u16,
    /// WebSocket, with a password. These are listeners of a broker of their own: with settings for each listener
    /// mosquitto 2.0.2x keeps nothing for a session while its client is away.
    pub login_ws: u16,
    /// MQTT over TCP, with a password.
    pub login_tcp: u16,
    /// MQTT over TCP to the broker that wants passwords, for anyone.
    pub login_open: u16,
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

/// The broker that wants passwords.
struct Login {
    _peer: Peer,
    ws: u16,
    tcp: u16,
    open: u16,
}

// Without `socket_domain ipv4` 2.0.11 listens for WebSocket on every address, whatever is asked.
const WEBSOCKETS: &str = "protocol websockets\nsocket_domain ipv4\n";

fn try_start_with(settings: &str) -> Option<Mosquitto> {
    let dir = temp_dir("mosquitto");
    let [ws, tcp] = [(); 2].map(|()| free_port());
    let ports = [ws, tcp];
    let conf =
        format!("allow_anonymous true\n{settings}{}{}", listener(ws, &[WEBSOCKETS]), listener(tcp, &[]));
    #[cfg(feature = "tls")]
    let ([wss, tls], ports, conf) = {
        let extra = [(); 2].map(|()| free_port());
        let good = super::certs::shared().good.mosquitto();
        let listeners = [conf, listener(extra[0], &[WEBSOCKETS, &good]), listener(extra[1], &[&good])];
        (extra, [&ports[..], &extra].concat(), listeners.concat())
    };
    let peer = try_run(&dir, &conf, &ports)?;
    let login = try_login()?;
    Some(Mosquitto {
        peer,
        ws,
        tcp,
        login_ws: login.ws,
        login_tcp: login.tcp,
        login_open: login.open,
        _login: login,
        #[cfg(feature = "tls")]
        wss,
        #[cfg(feature = "tls")]
        tls,
    })
}

fn try_login() -> Option<Login> {
    let dir = temp_dir("mosquitto");
    let [ws, tcp, open] = [(); 3].map(|()| free_port());
    let login = login_settings(&dir);
    let conf = [
        String::from("per_listener_settings true\n"),
        listener(ws, &[WEBSOCKETS, &login]),
        listener(tcp, &[&login]),
        listener(open, &["allow_anonymous true\n"]),
    ];
    let peer = try_run(&dir, &conf.concat(), &[ws, tcp, open])?;
    Some(Login { _peer: peer, ws, tcp, open })
}

/// A broker with this configuration that listens on `ports`; none where it ends at once.
pub fn try_run(dir: &Path, conf: &str, ports: &[u16]) -> Option<Peer> {
    let user = if rustix::process::geteuid().is_root() { "user root\n" } else { "" };
    let file = dir.join("mosquitto.conf");
    // Settings for all come first; `per_listener_settings` before those that it is about.
    let (first, rest) = conf.split_once('\n').expect("lines");
    fs::write(&file, format!("{first}\npersistence false\nlog_dest stderr\n{user}{rest}"))
        .expect("target/tmp is writable");
    let mut peer = Peer::start("mosquitto", &["-c", &file.to_string_lossy()], dir);
    if !peer.ready(ports) {
        eprintln!("mosquitto ended at once:\n{}", peer.said());
        return None;
    }
    Some(peer)
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
