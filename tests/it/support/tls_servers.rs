//! TLS servers that want something: a client certificate, a version, a protocol.

use std::{fs, path::PathBuf, sync::OnceLock};

use super::{
    Peer,
    certs::{self, Pair},
    free_port, temp_dir, websockets,
};

/// A server of one port.
pub struct Server {
    pub port: u16,
    peer: Peer,
}

impl Server {
    /// `wss://` of it, by the name that its certificate has.
    pub fn wss(&self) -> String {
        format!("wss://localhost:{}/", self.port)
    }

    /// Its log, to be shown by failing tests.
    pub fn log(&self) -> PathBuf {
        self.peer.log.clone()
    }
}

/// `openssl s_server`, which answers any request with a page: past TLS, then, the upgrade is refused with 200.
pub fn s_server(pair: &Pair, args: &[&str]) -> Server {
    let dir = temp_dir("s_server");
    let (cert, key) = (pair.chain.to_string_lossy(), pair.key.to_string_lossy());
    let start = |port: u16| {
        let accept = format!("127.0.0.1:{port}");
        let own =
            ["s_server", "-accept", &accept, "-cert", &cert, "-cert_chain", &cert, "-key", &key, "-www"];
        let mut peer = Peer::start("openssl", &[&own[..], args].concat(), &dir);
        peer.ready(&[port]).then_some(Server { port, peer })
    };
    (0..5).find_map(|_| start(free_port())).expect("openssl s_server starts")
}

/// nginx, every path of which leads to Python `websockets`.
pub struct Nginx {
    peer: Peer,
    /// Wants a client certificate that goes back to the root, by way of one intermediate authority at most.
    pub mutual: u16,
    pub only_1_2: u16,
    pub only_1_3: u16,
    pub only_1_1: u16,
}

impl Nginx {
    /// Its log, to be shown by failing tests.
    pub fn log(&self) -> PathBuf {
        self.peer.log.clone()
    }
}

/// The one that the tests of this process share.
pub fn nginx() -> &'static Nginx {
    static FRONT: OnceLock<Nginx> = OnceLock::new();
    FRONT.get_or_init(|| (0..5).find_map(|_| try_nginx()).expect("nginx starts: run scripts/setup"))
}

fn try_nginx() -> Option<Nginx> {
    let dir = temp_dir("nginx-tls");
    let certs = certs::shared();
    let mutual = format!(
        "ssl_client_certificate {};\nssl_verify_client on;\nssl_verify_depth 2;\n",
        certs.ca.display()
    );
    let settings = [
        mutual.as_str(),
        "ssl_protocols TLSv1.2;\n",
        "ssl_protocols TLSv1.3;\n",
        "ssl_protocols TLSv1.1;\nssl_ciphers DEFAULT@SECLEVEL=0;\n",
    ];
    let ports = settings.map(|_| free_port());
    let servers: String = settings
        .iter()
        .zip(ports)
        .map(|(settings, port)| {
            format!(
                "server {{\nlisten 127.0.0.1:{port} ssl;\nssl_certificate {};\nssl_certificate_key {};\n{settings}\
                 proxy_set_header Upgrade $http_upgrade;\nproxy_set_header Connection upgrade;\n\
                 location / {{ proxy_pass http://127.0.0.1:{}; }}\n}}\n",
                certs.good.chain.display(),
                certs.good.key.display(),
                websockets::shared().port,
            )
        })
        .collect();
    let peer = super::nginx::start(&dir, &servers, &ports)?;
    let [mutual, only_1_2, only_1_3, only_1_1] = ports;
    Some(Nginx { peer, mutual, only_1_2, only_1_3, only_1_1 })
}

/// mosquitto that wants a client certificate which goes back to the root.
pub struct Mosquitto {
    peer: Peer,
    /// MQTT over TLS.
    pub tls: u16,
    /// WebSocket over TLS.
    pub wss: u16,
}

impl Mosquitto {
    /// The URLs of both.
    pub fn urls(&self) -> [String; 2] {
        [format!("mqtts://localhost:{}", self.tls), format!("wss://localhost:{}", self.wss)]
    }

    /// Its log, to be shown by failing tests.
    pub fn log(&self) -> PathBuf {
        self.peer.log.clone()
    }
}

/// The one that the tests of this process share.
pub fn mosquitto() -> &'static Mosquitto {
    static BROKER: OnceLock<Mosquitto> = OnceLock::new();
    BROKER.get_or_init(|| (0..5).find_map(|_| try_mosquitto()).expect("mosquitto starts: run scripts/setup"))
}

fn try_mosquitto() -> Option<Mosquitto> {
    let dir = temp_dir("mosquitto-tls");
    let (certs, [tls, wss]) = (certs::shared(), [(); 2].map(|()| free_port()));
    let mut conf =
        String::from("per_listener_settings true\npersistence false\nlog_dest stderr\nlog_type all\n");
    if rustix::process::geteuid().is_root() {
        conf.push_str("user root\n");
    }
    let common = format!(
        "allow_anonymous true\n{}cafile {}\nrequire_certificate true\n",
        certs.good.mosquitto(),
        certs.ca.display()
    );
    conf.push_str(&format!("listener {tls} 127.0.0.1\n{common}"));
    conf.push_str(&format!("listener {wss} 127.0.0.1\nprotocol websockets\nsocket_domain ipv4\n{common}"));
    let file = dir.join("mosquitto.conf");
    fs::write(&file, conf).expect("target/tmp is writable");
    let mut peer = Peer::start("mosquitto", &["-c", &file.to_string_lossy()], &dir);
    peer.ready(&[tls, wss]).then_some(Mosquitto { peer, tls, wss })
}
