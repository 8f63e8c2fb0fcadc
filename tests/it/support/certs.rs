//! Certificates of every kind that a client must tell apart, made by the openssl command.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use super::temp_dir;

/// A certificate with its chain, and its key, as PEM files.
pub struct Pair {
    pub chain: PathBuf,
    pub key: PathBuf,
}

/// One set for a test process.
pub struct Certs {
    /// The root that all but `self_signed` go back to: the `--cafile`.
    pub ca: PathBuf,
    /// Another root.
    pub other_ca: PathBuf,
    /// For localhost, 127.0.0.1 and ::1.
    pub good: Pair,
    /// Valid until 2020.
    pub expired: Pair,
    /// Valid from 2090.
    pub future: Pair,
    /// For elsewhere.example.
    pub wrong_host: Pair,
    /// Signed by itself.
    pub self_signed: Pair,
    /// By an intermediate authority that the server does not send.
    pub no_chain: Pair,
    /// The same with it.
    pub full_chain: Pair,
}

/// Those of this process.
pub fn shared() -> &'static Certs {
    static CERTS: OnceLock<Certs> = OnceLock::new();
    CERTS.get_or_init(|| Certs::make(&temp_dir("certs")))
}

impl Pair {
    /// As the settings of a mosquitto listener.
    pub fn mosquitto(&self) -> String {
        format!("certfile {}\nkeyfile {}\n", self.chain.display(), self.key.display())
    }
}

/// `openssl ca` is the one command that sets both dates on every version of OpenSSL.
const CONF: &str = "
[ca]
default_ca = own
[own]
dir = .
database = index.txt
serial = serial
new_certs_dir = .
default_md = sha256
policy = any
unique_subject = no
copy_extensions = none
[any]
commonName = supplied
[req]
distinguished_name = dn
prompt = no
[dn]
CN = unused
[root]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
[here]
basicConstraints = CA:FALSE
subjectAltName = DNS:localhost,IP:127.0.0.1,IP:::1
[elsewhere]
basicConstraints = CA:FALSE
subjectAltName = DNS:elsewhere.example
";

impl Certs {
    fn make(dir: &Path) -> Certs {
        fs::write(dir.join("openssl.cnf"), CONF).expect("target/tmp is writable");
        fs::write(dir.join("index.txt"), "").expect("target/tmp is writable");
        fs::write(dir.join("serial"), "1000\n").expect("target/tmp is writable");
        let maker = Maker { dir };
        let root = maker.self_signed("root", "root");
        let other = maker.self_signed("other", "root");
        let inner = maker.signed("inner", &root, "root", NOW);
        let no_chain = maker.signed("inner-leaf", &inner, "here", NOW);
        let full = dir.join("full.pem");
        let read = |path: &Path| fs::read(path).expect("openssl wrote it");
        fs::write(&full, [read(&no_chain.chain), read(&inner.chain)].concat())
            .expect("target/tmp is writable");
        Certs {
            good: maker.signed("good", &root, "here", NOW),
            expired: maker.signed("expired", &root, "here", ["20190101000000Z", "20200101000000Z"]),
            future: maker.signed("future", &root, "here", ["20900101000000Z", "20910101000000Z"]),
            wrong_host: maker.signed("wrong-host", &root, "elsewhere", NOW),
            self_signed: maker.self_signed("self-signed", "here"),
            full_chain: Pair { chain: full, key: no_chain.key.clone() },
            no_chain,
            ca: root.chain,
            other_ca: other.chain,
        }
    }
}

/// Dates between which these tests run.
const NOW: [&str; 2] = ["20240101000000Z", "20890101000000Z"];

struct Maker<'a> {
    dir: &'a Path,
}

impl Maker<'_> {
    fn signed(&self, name: &str, by: &Pair, extensions: &str, [from, until]: [&str; 2]) -> Pair {
        let pair = self.pair(name);
        let request = self.dir.join(format!("{name}.csr"));
        self.openssl(
            &["req", "-new", "-config", "openssl.cnf", "-subj", &format!("/CN={name}")],
            &[
                ("-newkey", "ec"),
                ("-pkeyopt", "ec_paramgen_curve:prime256v1"),
                ("-nodes", ""),
                ("-keyout", &pair.key.to_string_lossy()),
                ("-out", &request.to_string_lossy()),
            ],
        );
        self.openssl(
            &["ca", "-batch", "-notext", "-config", "openssl.cnf", "-extensions", extensions],
            &[
                ("-startdate", from),
                ("-enddate", until),
                ("-cert", &by.chain.to_string_lossy()),
                ("-keyfile", &by.key.to_string_lossy()),
                ("-in", &request.to_string_lossy()),
                ("-out", &pair.chain.to_string_lossy()),
            ],
        );
        pair
    }

    fn self_signed(&self, name: &str, extensions: &str) -> Pair {
        let pair = self.pair(name);
        self.openssl(
            &["req", "-x509", "-config", "openssl.cnf", "-subj", &format!("/CN={name}")],
            &[
                ("-newkey", "ec"),
                ("-pkeyopt", "ec_paramgen_curve:prime256v1"),
                ("-nodes", ""),
                ("-days", "3650"),
                ("-extensions", extensions),
                ("-keyout", &pair.key.to_string_lossy()),
                ("-out", &pair.chain.to_string_lossy()),
            ],
        );
        pair
    }

    fn pair(&self, name: &str) -> Pair {
        Pair { chain: self.dir.join(format!("{name}.pem")), key: self.dir.join(format!("{name}.key")) }
    }

    fn openssl(&self, start: &[&str], options: &[(&str, &str)]) {
        let words = options.iter().flat_map(|(name, value)| [*name, *value]).filter(|word| !word.is_empty());
        let output = Command::new("openssl").args(start).args(words).current_dir(self.dir).output();
        let output = output.expect("openssl is there: run scripts/setup");
        assert!(output.status.success(), "openssl {start:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}
