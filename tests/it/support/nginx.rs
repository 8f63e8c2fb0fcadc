//! nginx as TLS front: one port a certificate, all with the same two places behind them.

use std::{fs, path::PathBuf, sync::OnceLock};

use super::{
    Peer,
    certs::{self, Pair},
    free_port, mosquitto, temp_dir, websockets,
};

/// The fronts. `/mqtt` leads to mosquitto, every other path to Python `websockets`.
pub struct Nginx {
    peer: Peer,
    pub good: u16,
    pub expired: u16,
    pub future: u16,
    pub wrong_host: u16,
    pub self_signed: u16,
    pub no_chain: u16,
    pub full_chain: u16,
}

/// The one that the tests of this process share.
pub fn shared() -> &'static Nginx {
    static FRONT: OnceLock<Nginx> = OnceLock::new();
    FRONT.get_or_init(|| (0..5).find_map(|_| try_start()).expect("nginx starts: run scripts/setup"))
}

impl Nginx {
    /// Its log, to be shown by failing tests.
    pub fn log(&self) -> PathBuf {
        self.peer.log.clone()
    }
}

fn try_start() -> Option<Nginx> {
    let dir = temp_dir("nginx");
    let certs = certs::shared();
    let pairs = [
        &certs.good,
        &certs.expired,
        &certs.future,
        &certs.wrong_host,
        &certs.self_signed,
        &certs.no_chain,
        &certs.full_chain,
    ];
    let ports = pairs.map(|_| free_port());
    let servers: String = pairs.iter().zip(ports).map(|(pair, port)| server(pair, port)).collect();
    let temp = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {kind};\n"));
    let conf = format!(
        "daemon off;\nmaster_process off;\npid nginx.pid;\nerror_log stderr info;\nevents {{}}\n\
         http {{\naccess_log off;\nproxy_http_version 1.1;\nproxy_read_timeout 60s;\n{}{servers}}}\n",
        temp.concat(),
    );
    fs::write(dir.join("nginx.conf"), conf).expect("target/tmp is writable");
    let place = dir.to_string_lossy();
    let mut peer = Peer::start("nginx", &["-p", &place, "-c", "nginx.conf", "-e", "stderr"], &dir);
    if !peer.ready(&ports) {
        eprintln!("nginx ended at once:\n{}", peer.said());
        return None;
    }
    let [good, expired, future, wrong_host, self_signed, no_chain, full_chain] = ports;
    Some(Nginx { peer, good, expired, future, wrong_host, self_signed, no_chain, full_chain })
}

fn server(pair: &Pair, port: u16) -> String {
    let headers = "proxy_set_header Upgrade $http_upgrade;\nproxy_set_header Connection upgrade;\n";
    format!(
        "server {{\nlisten 127.0.0.1:{port} ssl;\nssl_certificate {};\nssl_certificate_key {};\n{headers}\
         location / {{ proxy_pass http://127.0.0.1:{}; }}\nlocation = /mqtt {{ proxy_pass http://127.0.0.1:{}; }}\n}}\n",
        pair.chain.display(),
        pair.key.display(),
        websockets::shared().port,
        mosquitto::shared().ws,
    )
}
