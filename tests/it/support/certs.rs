//! Certificates of every kind that a client must tell apart, made by the openssl command.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    os::unix::fs::OpenOptionsExt,
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
    /// That authority.
    pub inner: PathBuf,
    /// What a client shows.
    pub clients: Clients,
}

/// Certificates of clients, and their keys in every form that there is. Passwords are [`PASSWORD`].
pub struct Clients {
    /// EC, by the root, the key in PKCS #8.
    pub ec: Pair,
    /// RSA, by the root, the key in PKCS #8.
    pub rsa: Pair,
    /// By an authority that servers do not know.
    pub stranger: Pair,
    /// Valid until 2020.
    pub expired: Pair,
    /// By the intermediate authority, which is in the file.
    pub chained: Pair,
    /// Keys of `ec` and `rsa` in other forms: the certificate, the key, and whether it has a password.
    pub forms: Vec<(PathBuf, PathBuf, bool)>,
    /// Key and certificate of `rsa` in one file, either first.
    pub together: [PathBuf; 2],
    /// `ec` and its chain as PKCS #12, with the password, and without one.
    pub pkcs12: [PathBuf; 2],
    /// As Windows made them for long: RC2, which OpenSSL 3 does not load.
    pub legacy: PathBuf,
    /// What has [`PASSWORD`] in its only line.
    pub password: PathBuf,
}

/// What the encrypted keys are encrypted with.
pub const PASSWORD: &str = "hunter2 geheim ä";

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
[client]
basicConstraints = CA:FALSE
extendedKeyUsage = clientAuth
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
        let clients = Clients::make(&maker, &root, &other, &inner);
        Certs {
            clients,
            inner: inner.chain.clone(),
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

impl Clients {
    fn make(maker: &Maker<'_>, root: &Pair, other: &Pair, inner: &Pair) -> Clients {
        let ec = maker.signed("client-ec", root, "client", NOW);
        let rsa = maker.signed_with("client-rsa", root, "client", NOW, &["-newkey", "rsa:2048"]);
        let chained = maker.signed("client-chained", inner, "client", NOW);
        let file = |name: &str| maker.dir.join(name);
        let read = |path: &Path| fs::read(path).expect("openssl wrote it");
        let written = |name: &str, parts: &[&Path]| {
            let path = file(name);
            let content = parts.iter().flat_map(|part| read(part)).collect::<Vec<_>>();
            private(&path, content);
            path
        };
        let password = file("password");
        private(&password, format!("{PASSWORD}\n"));
        let mut forms = Vec::new();
        for (name, pair) in [("ec", &ec), ("rsa", &rsa)] {
            for (form, options) in FORMS {
                let key = file(&format!("client-{name}-{form}.key"));
                let (from, to) = (pair.key.to_string_lossy(), key.to_string_lossy());
                maker.openssl(&["pkey", "-in", &from, "-out", &to], options);
                forms.push((pair.chain.clone(), key, form.contains("encrypted")));
            }
        }
        let chain = written("client-chain.pem", &[&chained.chain, &inner.chain]);
        let pkcs12 = |name: &str, options: &[&str], words: &str| {
            let path = file(name);
            let start = [&["pkcs12", "-export", "-passout", words], options].concat();
            let [from, key, to] = [&ec.chain, &ec.key, &path].map(|path| path.to_string_lossy());
            maker.openssl(&start, &[("-in", &from), ("-inkey", &key), ("-out", &to)]);
            path
        };
        let words = format!("pass:{PASSWORD}");
        Clients {
            pkcs12: [pkcs12("client.p12", &[], &words), pkcs12("open.p12", &[], "pass:")],
            legacy: pkcs12("legacy.p12", &["-legacy"], &words),
            together: [
                written("together.pem", &[&rsa.chain, &rsa.key]),
                written("key-first.pem", &[&rsa.key, &rsa.chain]),
            ],
            stranger: maker.signed("client-stranger", other, "client", NOW),
            expired: maker.signed("client-expired", root, "client", ["20190101000000Z", "20200101000000Z"]),
            chained: Pair { chain, key: chained.key },
            ec,
            rsa,
            forms,
            password,
        }
    }
}

/// The forms of a key, besides PKCS #8 as it is.
const FORMS: [(&str, &[(&str, &str)]); 3] = [
    ("traditional", &[("-traditional", "")]),
    ("encrypted", &[("-aes256", ""), ("-passout", "file:password")]),
    ("encrypted-traditional", &[("-traditional", ""), ("-aes128", ""), ("-passout", "file:password")]),
];

/// What a key is unless something else is said.
const EC: [&str; 4] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"];

impl Maker<'_> {
    fn signed(&self, name: &str, by: &Pair, extensions: &str, dates: [&str; 2]) -> Pair {
        self.signed_with(name, by, extensions, dates, &EC)
    }

    fn signed_with(
        &self,
        name: &str,
        by: &Pair,
        extensions: &str,
        [from, until]: [&str; 2],
        key: &[&str],
    ) -> Pair {
        let pair = self.pair(name);
        let request = self.dir.join(format!("{name}.csr"));
        self.openssl(
            &[&["req", "-new", "-config", "openssl.cnf", "-subj", &format!("/CN={name}")], key].concat(),
            &[("-nodes", ""), ("-keyout", &pair.key.to_string_lossy()), ("-out", &request.to_string_lossy())],
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

/// A file that nobody else can read.
pub fn private(path: &Path, content: impl AsRef<[u8]>) {
    let file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(content.as_ref())).expect("target/tmp is writable");
}
