//! The one left-to-right pass: every flag becomes its long name, every value and every positional is
//! marked by a leading `=`, which no flag has. What pico-args then reads cannot be mistaken: a value
//! that looks like a flag, an empty one, or one after `--`.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::{OsStrExt, OsStringExt},
};

use super::{
    command::Command,
    error::UsageError,
    flags::{self, Flag},
    property, suggest,
};

/// What the pass found.
#[derive(Debug, PartialEq, Eq)]
pub enum Rewritten {
    /// Long names and marked values.
    Arguments(Vec<OsString>),
    /// `--help` was among the flags.
    Help,
}

/// Rewrites the arguments after the command's name.
///
/// # Errors
/// An unknown flag, a missing value, a value where there is none.
pub fn rewrite(command: Command, arguments: Vec<OsString>) -> Result<Rewritten, UsageError> {
    let mut pass = Pass { command, rest: arguments.into_iter(), out: Vec::new(), help: false };
    while let Some(argument) = pass.rest.next() {
        let bytes = argument.as_bytes();
        if bytes == b"--" {
            pass.out.extend(pass.rest.by_ref().map(|argument| marked(argument.as_bytes())));
        } else if bytes.starts_with(b"--") {
            pass.long(bytes)?;
        } else if bytes.len() > 1 && bytes[0] == b'-' {
            pass.letters(&argument)?;
        } else {
            pass.out.push(marked(bytes));
        }
        if pass.help {
            return Ok(Rewritten::Help);
        }
    }
    Ok(Rewritten::Arguments(pass.out))
}

/// The value without its mark; none for a flag.
pub fn unmarked(argument: &OsStr) -> Option<&OsStr> {
    argument.as_bytes().strip_prefix(b"=").map(OsStr::from_bytes)
}

fn marked(value: &[u8]) -> OsString {
    let mut bytes = Vec::with_capacity(value.len() + 1);
    bytes.push(b'=');
    bytes.extend_from_slice(value);
    OsString::from_vec(bytes)
}

struct Pass {
    command: Command,
    rest: std::vec::IntoIter<OsString>,
    out: Vec<OsString>,
    help: bool,
}

impl Pass {
    /// `--name` or `--name=value`.
    fn long(&mut self, argument: &[u8]) -> Result<(), UsageError> {
        let (name, value) = match memchr::memchr(b'=', argument) {
            Some(at) => (&argument[..at], Some(&argument[at + 1..])),
            None => (argument, None),
        };
        let name = String::from_utf8_lossy(name);
        let Some(flag) = flags::by_long(self.command, &name) else {
            return Err(suggest::unknown_long(self.command, &name));
        };
        match value {
            Some(_) if flag.value.is_none() => Err(UsageError::new(format_args!("{name} takes no value"))),
            Some(value) => self.push_value(flag, OsStr::from_bytes(value)),
            None => self.push_with_next(flag),
        }
    }

    /// `-x`, `-xVALUE`, `-abc`, `-abxVALUE`.
    fn letters(&mut self, argument: &OsStr) -> Result<(), UsageError> {
        let bytes = argument.as_bytes();
        for at in 1..bytes.len() {
            let letter = char::from(bytes[at]);
            if letter == '=' && at > 1 {
                // Behind a letter with a value it would be part of the value.
                let switch = String::from_utf8_lossy(&bytes[at - 1..at]);
                return Err(UsageError::new(format_args!("-{switch} takes no value")));
            }
            let Some(flag) = flags::by_letter(self.command, letter) else {
                return Err(suggest::unknown_letter(self.command, &argument.to_string_lossy(), at));
            };
            if flag.value.is_some() && at + 1 < bytes.len() {
                return self.push_value(flag, OsStr::from_bytes(&bytes[at + 1..]));
            }
            self.push_with_next(flag)?;
        }
        Ok(())
    }

    /// Takes the next argument as the value, whatever it looks like, where the flag has one.
    fn push_with_next(&mut self, flag: &'static Flag) -> Result<(), UsageError> {
        let Some(name) = flag.value else {
            self.push(flag, None);
            return Ok(());
        };
        if let Some(value) = flag.alone {
            return self.push_value(flag, OsStr::new(value));
        }
        let Some(value) = self.rest.next() else {
            let spelling = flag.spelling(self.command);
            let meant = flag.not_a_url.map(|answer| format!(" ({answer})")).unwrap_or_default();
            return Err(UsageError::new(format_args!("{spelling} needs a value: {name}{meant}")));
        };
        self.push_value(flag, &value)
    }

    /// A flag with its value, and with the further ones that mosquitto's -D has: each stands behind the
    /// flag's name once more.
    fn push_value(&mut self, flag: &'static Flag, value: &OsStr) -> Result<(), UsageError> {
        self.push(flag, Some(marked(value.as_bytes())));
        if flag.long != property::FLAG {
            return Ok(());
        }
        let name = self.rest.next();
        let further = property::values(self.command, value, name.as_deref())?;
        let values: Vec<OsString> = name.into_iter().chain(self.rest.by_ref().take(further)).collect();
        if values.len() <= further {
            return Err(property::incomplete(value, values.first().map(OsString::as_os_str)));
        }
        values.iter().for_each(|value| self.push(flag, Some(marked(value.as_bytes()))));
        Ok(())
    }

    fn push(&mut self, flag: &Flag, value: Option<OsString>) {
        self.help |= flag.long == "--help";
        self.out.push(flag.long.into());
        self.out.extend(value);
    }
}
