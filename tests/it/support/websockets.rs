//! The WebSocket server that is not ours: Python `websockets`.

use std::{
    path::{Path, PathBuf},
    sync::OnceLock,
};

use super::{Peer, temp_dir};

/// A server whose behaviour goes by the path; see `tests/peers/echo.py`.
pub struct Websockets {
    peer: Peer,
    pub port: u16,
}

/// The Python that scripts/setup made ready.
pub fn python() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("target/tmp has a parent");
    target.join("peers/venv/bin/python")
}

/// The one that the tests of this process share.
pub fn shared() -> &'static Websockets {
    static SERVER: OnceLock<Websockets> = OnceLock::new();
    SERVER.get_or_init(|| start("echo.py"))
}

/// The one for very many messages, an echo at any path; see `tests/peers/bulk.py`.
pub fn bulk() -> &'static Websockets {
    static SERVER: OnceLock<Websockets> = OnceLock::new();
    SERVER.get_or_init(|| start("bulk.py"))
}

/// One that answers JSON-RPC requests at any path; see `tests/peers/rpc.py`.
pub fn rpc() -> Websockets {
    start("rpc.py")
}

fn start(script: &str) -> Websockets {
    let script = format!("{}/tests/peers/{script}", env!("CARGO_MANIFEST_DIR"));
    let (peer, port) =
        Peer::start_saying_port(&python().to_string_lossy(), &[&script], &temp_dir("websockets"));
    Websockets { peer, port }
}

impl Websockets {
    /// `ws://` with this path.
    pub fn url(&self, path: &str) -> String {
        format!("ws://127.0.0.1:{}{path}", self.port)
    }

    /// Its log, to be shown by failing tests.
    pub fn log(&self) -> PathBuf {
        self.peer.log.clone()
    }
}
