//! What the tests stand on: the binary under test, real peers, scripted peers, certificates.

mod peer;
mod run;

#[cfg(feature = "tls")]
pub mod certs;
#[cfg(not(feature = "native-tls"))]
pub mod coming;
pub mod fields;
pub mod mosquitto;
#[cfg(feature = "tls")]
pub mod nginx;
pub mod proxies;
pub mod rabbitmq;
pub mod readme;
pub mod scripted;
#[cfg(feature = "tls")]
pub mod tls_servers;
pub mod watcher;
pub mod websockets;

use std::{
    fs, io,
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

pub use peer::Peer;
pub use run::{Run, Running, Wspipe, bash, wspipe};

/// How long anything that works may take on a busy machine. What takes longer is broken.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A directory for this test process; those of dead processes are removed.
fn process_dir() -> &'static Path {
    static DIR: OnceLock<PathBuf> = OnceLock::new();
    DIR.get_or_init(|| {
        let root = Path::new(env!("CARGO_TARGET_TMPDIR"));
        for entry in fs::read_dir(root).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let Some(pid) = name.strip_prefix("it-") else { continue };
            if Path::new("/proc/self").exists() && !Path::new("/proc").join(pid).exists() {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
        let dir = root.join(format!("it-{}", std::process::id()));
        fs::create_dir_all(&dir).expect("target/tmp is writable");
        dir
    })
}

/// A new empty directory, for one test or one peer.
pub fn temp_dir(name: &str) -> PathBuf {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let dir = process_dir().join(format!("{name}-{}", NEXT.fetch_add(1, Ordering::Relaxed)));
    fs::create_dir_all(&dir).expect("target/tmp is writable");
    dir
}

/// A loopback port that was free a moment ago.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    listener.local_addr().expect("a bound socket has an address").port()
}

/// Looks at `ready` until it is true; false after [`PATIENCE`].
pub fn wait_until(ready: impl FnMut() -> bool) -> bool {
    wait_within(PATIENCE, ready)
}

/// The same with a limit of its own, for what is known to be slow.
pub fn wait_within(limit: Duration, mut ready: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + limit;
    while !ready() {
        if Instant::now() > end {
            return false;
        }
        thread::sleep(Duration::from_millis(3));
    }
    true
}

/// A port where a SYN finds a full queue that nobody accepts from.
pub fn unaccepting() -> (u16, TcpListener, Vec<TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    rustix::net::listen(&listener, 0).expect("a queue may be shortened");
    let address = listener.local_addr().expect("a bound socket has an address");
    let mut queued = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
        queued.push(stream);
    }
    (address.port(), listener, queued)
}

/// Something listens on the port.
pub fn listens(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

/// Says that a test cannot run here, and why. Not through `eprintln!`, whose text a passing test keeps to itself:
/// scripts/test repeats these lines at its end.
pub fn skipped(test: &str, why: &str) {
    let why = why.split_whitespace().collect::<Vec<_>>().join(" ");
    let _ = io::Write::write_all(&mut io::stderr(), format!("\nSKIPPED {test}: {why}\n").as_bytes());
}

/// The bytes that hex digits stand for; blanks and line ends are for the reader.
pub fn hex(digits: &str) -> Vec<u8> {
    let digits: Vec<u8> = digits.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    let text = |pair: &[u8]| String::from_utf8_lossy(pair).into_owned();
    digits.chunks(2).map(|pair| u8::from_str_radix(&text(pair), 16).expect("hex digits")).collect()
}

/// The other way round, for messages.
pub fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// `io::Error` with a text, for scripts.
pub fn broken(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}
