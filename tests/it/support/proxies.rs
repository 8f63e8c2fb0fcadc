//! Real proxies: tinyproxy (HTTP CONNECT) and microsocks (SOCKS5), each for anyone and with a login.

use std::{fs, path::PathBuf, sync::OnceLock};

use super::{Peer, free_port, temp_dir};

/// The login of those that want one. microsocks takes it in its arguments.
pub const USER: &str = "anna";
/// Its password.
pub const PASSWORD: &str = "s3cret-of-anna";

/// The proxies' ports.
pub struct Proxies {
    peers: Vec<Peer>,
    pub http: u16,
    pub http_login: u16,
    pub socks: u16,
    pub socks_login: u16,
}

/// The ones that the tests of this process share.
pub fn shared() -> &'static Proxies {
    static PROXIES: OnceLock<Proxies> = OnceLock::new();
    PROXIES.get_or_init(|| {
        let (first, http) = start(|port, dir| tinyproxy(port, dir, ""));
        let auth = format!("BasicAuth {USER} {PASSWORD}\n");
        let (second, http_login) = start(|port, dir| tinyproxy(port, dir, &auth));
        let (third, socks) = start(|port, dir| microsocks(port, dir, &[]));
        let (fourth, socks_login) = start(|port, dir| microsocks(port, dir, &["-u", USER, "-P", PASSWORD]));
        Proxies { peers: vec![first, second, third, fourth], http, http_login, socks, socks_login }
    })
}

impl Proxies {
    /// URLs of all of them, logins included.
    pub fn urls(&self) -> Vec<String> {
        let login = format!("{USER}:{PASSWORD}");
        vec![
            format!("http://127.0.0.1:{}", self.http),
            format!("http://{login}@127.0.0.1:{}", self.http_login),
            format!("socks5://127.0.0.1:{}", self.socks),
            format!("socks5://{login}@127.0.0.1:{}", self.socks_login),
            format!("socks5h://127.0.0.1:{}", self.socks),
            format!("socks5h://{login}@127.0.0.1:{}", self.socks_login),
        ]
    }

    /// Their logs, in the order above, to be shown by failing tests.
    pub fn logs(&self) -> Vec<PathBuf> {
        self.peers.iter().map(|peer| peer.log.clone()).collect()
    }

    /// What the two HTTP proxies logged.
    pub fn http_said(&self) -> String {
        self.peers[..2].iter().map(Peer::said).collect()
    }
}

fn start(begin: impl Fn(u16, PathBuf) -> Peer) -> (Peer, u16) {
    // A port may be taken between finding it and using it.
    let started = (0..5).find_map(|_| {
        let port = free_port();
        let mut peer = begin(port, temp_dir("proxy"));
        let ready = peer.ready(&[port]);
        if !ready {
            eprintln!("a proxy ended at once:\n{}", peer.said());
        }
        ready.then_some((peer, port))
    });
    started.expect("tinyproxy and microsocks start: run scripts/setup")
}

fn tinyproxy(port: u16, dir: PathBuf, settings: &str) -> Peer {
    let conf = format!("Port {port}\nListen 127.0.0.1\nTimeout 60\nLogLevel Connect\n{settings}");
    let file = dir.join("tinyproxy.conf");
    fs::write(&file, conf).expect("target/tmp is writable");
    Peer::start("tinyproxy", &["-d", "-c", &file.to_string_lossy()], &dir)
}

fn microsocks(port: u16, dir: PathBuf, login: &[&str]) -> Peer {
    let port = port.to_string();
    // It takes the first address of a name, of the family that it comes from: servers here have IPv4 only.
    let args = [&["-i", "127.0.0.1", "-b", "127.0.0.1", "-p", &port], login].concat();
    Peer::start("microsocks", &args, &dir)
}
