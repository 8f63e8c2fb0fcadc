//! What the README shows, to be run as it stands there.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::PathBuf,
};

use super::{temp_dir, websockets::python};

/// The README.
pub fn text() -> String {
    fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).expect("it is there")
}

/// What stands below this heading, up to the next one of its kind.
pub fn section(heading: &str) -> String {
    let text = text();
    let (_, rest) = text.split_once(&format!("\n{heading}\n")).expect("the README has this heading");
    rest.split("\n## ").next().unwrap_or(rest).to_owned()
}

/// The code blocks of a language, in order.
pub fn blocks(text: &str, language: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut open: Option<(bool, String)> = None;
    for line in text.lines() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(name)) => open = Some((name == language, String::new())),
            (None, None) => {}
            (Some((_, block)), None) => {
                block.push_str(line);
                block.push('\n');
            }
            (Some(_), Some(_)) => {
                blocks.extend(open.take().filter(|(ours, _)| *ours).map(|(_, block)| block))
            }
        }
    }
    blocks
}

/// A `PATH` with `wspipe`, these scripts, a `python3`, and the system's programs.
pub fn path_with(scripts: &[(&str, &str)]) -> String {
    let dir: PathBuf = temp_dir("bin");
    symlink(env!("CARGO_BIN_EXE_wspipe"), dir.join("wspipe")).expect("target/tmp is writable");
    symlink(python(), dir.join("python3")).expect("target/tmp is writable");
    for (name, script) in scripts {
        let file = dir.join(name);
        fs::write(&file, script).expect("target/tmp is writable");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("our own file");
    }
    format!("{}:/usr/bin:/bin", dir.display())
}

/// `text` with each of these replaced; each must be there.
pub fn with(text: &str, changes: &[(&str, &str)]) -> String {
    changes.iter().fold(text.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from} is not in {text}");
        text.replace(from, to)
    })
}
