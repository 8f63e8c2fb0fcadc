//! Usage errors and how arguments are shown in them.

use std::{ffi::OsStr, fmt};

/// What was wrong with the arguments and what was meant, in one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageError(Box<Said>);

/// Boxed: a `Result` with it is handed on at some hundred places.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Said {
    text: String,
    status: u8,
}

impl UsageError {
    /// With exit status 2.
    pub fn new(text: impl fmt::Display) -> UsageError {
        UsageError::with_status(2, text)
    }

    /// With another exit status: 26 (a file that cannot be read), 77 (a CA file that cannot).
    #[cold]
    #[inline(never)]
    pub fn with_status(status: u8, text: impl fmt::Display) -> UsageError {
        UsageError(Box::new(Said { text: text.to_string(), status }))
    }

    /// The exit status: 2, 26 or 77.
    pub fn exit_code(&self) -> u8 {
        self.0.status
    }
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.text)
    }
}

impl std::error::Error for UsageError {}

/// Longer arguments are cut in messages.
const SHOWN: usize = 80;

/// As [`shown`], what is no UTF-8 replaced.
pub fn shown_os(argument: impl AsRef<OsStr>) -> String {
    fn shown_lossy(argument: &OsStr) -> String {
        shown(&argument.to_string_lossy())
    }
    shown_lossy(argument.as_ref())
}

/// An argument in quotes, for a message: control characters escaped, a URL's login and query left out.
pub fn shown(argument: &str) -> String {
    let mut text = argument.to_owned();
    // To the last '@', wherever it is: a password may hold an unencoded '/'.
    if let Some(end) = text.rfind('@') {
        let start = match text.find("://") {
            Some(at) => (at + 3).min(end),
            // USER:PASSWORD@HOST with the scheme forgotten.
            None if text[..end].contains(':') => 0,
            None => end,
        };
        text.replace_range(start..end, if start < end { "..." } else { "" });
    }
    // Tokens are handed over in queries.
    if let Some(query) = text.find("://").and_then(|at| Some(at + text[at..].find('?')? + 1)) {
        text.replace_range(query.., "...");
    }
    // Nor where the '@' may have been forgotten: a host has one ':' at most.
    if let Some(start) = text.find("://").map(|at| at + 3) {
        let end = text[start..].find(['/', '?', '#']).map_or(text.len(), |at| start + at);
        let authority = &text[start..end];
        if !authority.starts_with('[') && !authority.contains('@') && authority.matches(':').count() > 1 {
            text.replace_range(start..end, "...");
        }
    }
    let mut quoted = String::from("'");
    for (index, c) in text.chars().enumerate() {
        if index == SHOWN {
            quoted.push_str("...");
            break;
        }
        if c.is_control() {
            quoted.push_str(&c.escape_default().to_string());
        } else {
            quoted.push(c);
        }
    }
    quoted.push('\'');
    quoted
}

#[cfg(test)]
mod tests {
    use super::shown;
    use crate::cli::tests::refused;

    #[test]
    fn shown_without_a_login() {
        for (argument, expected) in [
            ("ws://u:secret@h/", "'ws://...@h/'"),
            ("ws://u:sec/ret@h@h/", "'ws://...@h/'"),
            ("u:secret@h", "'...@h'"),
            ("a@b", "'a@b'"),
            ("@", "'@'"),
            ("a@ws://b", "'a@ws://b'"),
            ("ws://h/x?token=abc", "'ws://h/x?...'"),
            ("what?", "'what?'"),
            ("ws://u:secret:h:80/x", "'ws://.../x'"),
            ("ws://[::1]:80/x", "'ws://[::1]:80/x'"),
        ] {
            assert_eq!(shown(argument), expected);
        }
    }

    #[test]
    fn no_message_shows_a_login() {
        for line in [
            &["mqtt", "user:secret@broker"][..],
            &["mqtt", "user:secret@broker:1883/path"],
            &["mqtt", "//user:secret@broker"],
            &["mqtt", "ws:/user:secret@broker"],
            &["mqtt", "ws://h", "ws://user:secret@broker"],
            &["mqtt", "ws://h", "-k", "ws://user:secret@broker"],
            // mosquitto's -P, where the command has no such option.
            &["echo", "-Psecret", "ws://h"],
            &["echo", "-bPsecret", "ws://h"],
            &["serve", "-Psecret"],
        ] {
            let text = refused(line);
            assert!(!text.contains("secret"), "{line:?}: {text}");
        }
    }
}
