//! The rewritten arguments, and how a flag's values are taken out of them.

use std::ffi::{OsStr, OsString};

use crate::cli::{
    command::Command,
    error::UsageError,
    flags,
    property::{self, Property},
    rewrite::unmarked,
    value::FromArg,
};

/// pico-args moves all that stands behind what it takes out: 65,535 flags in one piece would take seconds.
const PIECE: usize = 256;

/// What nothing has asked for yet, and the first error. Some 140 flags are looked up: an error is looked at
/// once, at the end, and code that is the same for all types of values is there once.
pub struct Extract {
    pub command: Command,
    /// The arguments, in order; no flag is parted from its value.
    pieces: Vec<pico_args::Arguments>,
    error: Option<UsageError>,
}

/// Where the values of a flag go, one after the other.
pub trait Place {
    /// # Errors
    /// What the value should have been.
    fn put(&mut self, value: &OsStr) -> Result<(), String>;
}

/// Of several the last one holds, as an alias with a default of one's own needs it.
impl<T: FromArg> Place for Option<T> {
    fn put(&mut self, value: &OsStr) -> Result<(), String> {
        *self = Some(T::from_arg(value)?);
        Ok(())
    }
}

impl<T: FromArg> Place for Vec<T> {
    fn put(&mut self, value: &OsStr) -> Result<(), String> {
        self.push(T::from_arg(value)?);
        Ok(())
    }
}

impl Extract {
    pub fn new(command: Command, rewritten: Vec<OsString>) -> Extract {
        let (mut pieces, mut piece) = (Vec::new(), Vec::new());
        for argument in rewritten {
            if piece.len() >= PIECE && unmarked(&argument).is_none() {
                pieces.push(pico_args::Arguments::from_vec(std::mem::take(&mut piece)));
            }
            piece.push(argument);
        }
        pieces.push(pico_args::Arguments::from_vec(piece));
        Extract { command, pieces, error: None }
    }

    // Here and below: called for each flag.
    #[inline(never)]
    pub fn has(&mut self, long: &'static str) -> bool {
        self.times(long) > 0
    }

    pub fn times(&mut self, long: &'static str) -> usize {
        let mut times = 0;
        for piece in &mut self.pieces {
            while piece.contains(long) {
                times += 1;
            }
        }
        times
    }

    /// Puts the flag's values where they belong, up to one that is none.
    #[inline(never)]
    pub fn take(&mut self, long: &'static str, place: &mut dyn Place) {
        let values = self.values(long);
        self.put(long, values, place);
    }

    /// Given twice it would drop one of them; `mqtt` has one with a default.
    pub fn take_only(&mut self, long: &'static str, place: &mut dyn Place) {
        let values = self.values(long);
        if values.len() > 1 && self.command != Command::Mqtt {
            let why = "is given twice, and this publishes one message: -l publishes the lines of stdin";
            return self.fail(long, why);
        }
        self.put(long, values, place);
    }

    fn put(&mut self, long: &'static str, values: Vec<OsString>, place: &mut dyn Place) {
        for value in values {
            if let Err(why) = place.put(&value) {
                return self.fail(long, &why);
            }
        }
    }

    /// The values of `-D`: each property has several.
    pub fn properties(&mut self) -> Vec<Property> {
        let values = self.values(property::FLAG);
        property::gather(self.command, values).unwrap_or_else(|error| {
            self.error.get_or_insert(error);
            Vec::new()
        })
    }

    fn values(&mut self, long: &'static str) -> Vec<OsString> {
        let mut all = Vec::new();
        for piece in &mut self.pieces {
            match piece.values_from_os_str(long, without_mark) {
                Ok(values) => all.extend(values),
                // The pass before puts a marked value behind every flag that has one.
                Err(_) => {
                    self.error.get_or_insert_with(|| UsageError::new(format_args!("{long} needs a value")));
                }
            }
        }
        all
    }

    fn fail(&mut self, long: &'static str, cause: &str) {
        if self.error.is_none() {
            self.error = Some(self.explain(long, cause));
        }
    }

    fn explain(&self, long: &'static str, cause: &str) -> UsageError {
        let Some(flag) = flags::by_long(self.command, long) else {
            return UsageError::new(format_args!("{long} {cause}"));
        };
        let answer = match flag.not_a_url.unwrap_or("the URL stands by itself") {
            answer if cause.contains("://") => format!(" ({answer})"),
            _ => String::new(),
        };
        UsageError::new(format_args!("{} {cause}{answer}", flag.spelling(self.command)))
    }

    /// What nothing has asked for: the positionals.
    ///
    /// # Errors
    /// The first one: of the values in the order in which they were taken, then of what is left over.
    pub fn finish(self) -> Result<Vec<OsString>, UsageError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        let mut positionals = Vec::new();
        for argument in self.pieces.into_iter().flat_map(pico_args::Arguments::finish) {
            let Some(value) = unmarked(&argument) else {
                // Only a flag that is in the table and that nothing asks for comes here.
                let flag = argument.to_string_lossy();
                return Err(UsageError::new(format_args!("{flag} is not supported yet")));
            };
            positionals.push(value.to_owned());
        }
        Ok(positionals)
    }
}

fn without_mark(argument: &OsStr) -> Result<OsString, std::convert::Infallible> {
    Ok(unmarked(argument).unwrap_or(argument).to_owned())
}
