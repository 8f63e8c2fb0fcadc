//! nginx as TLS front: one port a certificate, all with the same two places behind them.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::OnceLock,
};

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
    /// A Unix socket that speaks TLS, with the good certificate.
    pub unix_tls: PathBuf,
    /// One that does not.
    pub unix_plain: PathBuf,
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
    let tcp = |port: u16| format!("listen 127.0.0.1:{port} ssl;\n");
    let mut servers: String =
        pairs.iter().zip(ports).map(|(pair, port)| server(&tcp(port), Some(pair))).collect();
    let (unix_tls, unix_plain) = (dir.join("tls"), dir.join("plain"));
    let unix = |path: &Path| format!("listen unix:{}", path.display());
    servers.push_str(&server(&format!("{} ssl;\n", unix(&unix_tls)), Some(&certs.good)));
    servers.push_str(&server(&format!("{};\n", unix(&unix_plain)), None));
    let peer = start(&dir, &servers, &ports)?;
    let [good, expired, future, wrong_host, self_signed, no_chain, full_chain] = ports;
    Some(Nginx {
        peer,
        good,
        expired,
        future,
        wrong_host,
        self_signed,
        no_chain,
        full_chain,
        unix_tls,
        unix_plain,
    })
}

/// nginx with these servers; none where it ends at once.
pub fn start(dir: &Path, servers: &str, ports: &[u16]) -> Option<Peer> {
    let temp = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {kind};\n"));
    let conf = format!(
        "daemon off;\nmaster_process off;\npid nginx.pid;\nerror_log stderr info;\nevents {{}}\n\
         http {{\naccess_log off;\nproxy_http_version 1.1;\nproxy_read_timeout 60s;\n{}{servers}}}\n",
        temp.concat(),
    );
    fs::write(dir.join("nginx.conf"), conf).expect("target/tmp is writable");
    let place = dir.to_string_lossy();
    let mut peer = Peer::start("nginx", &["-p", &place, "-c", "nginx.conf", "-e", "stderr"], dir);
    if !peer.ready(ports) {
        eprintln!("nginx ended at once:\n{}", peer.said());
        return None;
    }
    Some(peer)
}

fn server(listen: &str, pair: Option<&Pair>) -> String {
    let certificate = pair.map_or_else(String::new, |pair| {
        format!("ssl_certificate {};\nssl_certificate_key {};\n", pair.chain.display(), pair.key.display())
    });
    let headers = "proxy_set_header Upgrade $http_upgrade;\nproxy_set_header Connection upgrade;\n";
    format!(
        "server {{\n{listen}{certificate}{headers}\
         location = /down {{ return 302 http://localhost/; }}\n\
         location / {{ proxy_pass http://127.0.0.1:{}; }}\nlocation = /mqtt {{ proxy_pass http://127.0.0.1:{}; }}\n}}\n",
        websockets::shared().port,
        mosquitto::shared().ws,
    )
}
