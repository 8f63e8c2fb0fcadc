//! The README's table for those who come from other tools: "there", "here" and a remark.

use std::sync::OnceLock;

use super::{
    Wspipe, bash,
    readme::{path_with, section, with},
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
