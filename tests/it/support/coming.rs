//! The README's table for those who come from other tools: "there", "here" and a remark.

use std::sync::OnceLock;

use super::{
    Wspipe, bash,
    readme::{path_with, section, with},
    scripted::{Scripted, frame},
    skipped,
};

/// A row of the table.
#[derive(Clone)]
pub struct Row {
    /// The other tool's line.
    pub there: String,
    /// Ours.
    pub here: String,
}

/// What holds a row to what it promises, by the text of the other tool's line.
pub type Expected<At> = (&'static str, fn(&Row, &At));

/// All rows, in order.
pub fn rows() -> Vec<Row> {
    let table = section("## Coming from mosquitto, websocat, wscat or curl");
    let rows = table.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| there "));
    let read = |row: &str| match row.split('`').collect::<Vec<_>>()[..] {
        ["| ", there, " | ", here, ..] => Row { there: there.to_owned(), here: here.to_owned() },
        _ => panic!("a row of another form: {row}"),
    };
    rows.map(read).collect()
}

/// The row with this other tool's line.
#[track_caller]
pub fn row(there: &str) -> Row {
    let found = rows().into_iter().find(|row| row.there == there);
    found.unwrap_or_else(|| panic!("no row of the README for: {there}"))
}

impl Row {
    /// Our line with these changes, as a shell runs it; signals reach the program itself.
    pub fn ours(&self, changes: &[(&str, &str)]) -> Wspipe {
        shell(&with(&self.here, changes))
    }

    /// The other tool's line with these changes.
    pub fn theirs(&self, changes: &[(&str, &str)]) -> Wspipe {
        shell(&with(&self.there, changes))
    }

    /// Our line needs TLS, and says so where there is none.
    #[cfg(not(feature = "tls"))]
    pub fn wants_tls(&self) {
        self.ours(&[]).run().status(2).stdout_is("").one_line(&["TLS"]);
    }
}

fn shell(line: &str) -> Wspipe {
    static PATH: OnceLock<String> = OnceLock::new();
    bash(&format!("exec {line}"), [""; 0]).env("PATH", PATH.get_or_init(|| path_with(&[])))
}

/// curl's line at a server that says "one" and "two", Close, and ends; none where curl has no WebSocket, which is said.
pub fn curl(row: &Row, more: &[(&str, &str)]) -> Option<(Wspipe, Scripted)> {
    static HAS: OnceLock<bool> = OnceLock::new();
    let has = HAS.get_or_init(|| {
        let run = bash("curl --version", [""; 0]).run();
        let version = String::from_utf8_lossy(&run.stdout).into_owned();
        let has = version.lines().any(|line| line.starts_with("Protocols:") && line.contains(" ws "));
        if !has {
            skipped("coming_ws, curl's own lines", "this curl speaks no ws://");
        }
        has
    });
    let server = Scripted::start(|conn| {
        conn.upgrade()?;
        conn.write([frame(0x81, b"one"), frame(0x81, b"two"), frame(0x88, b"\x0f\xa1")].concat())
    });
    let url = server.ws("/");
    has.then(|| (row.theirs(&[&[("curl ", "curl -s "), ("ws://h/", &url[..])], more].concat()), server))
}

/// It prints the messages, nothing between them, and goes on to print what Close says.
pub const CURLS: &[u8] = b"onetwo\x0f\xa1";
