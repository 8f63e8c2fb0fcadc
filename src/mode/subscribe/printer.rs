//! Messages as records of stdout.

use std::collections::HashMap;

use log::warn;

use crate::{
    config::{self, Shape},
    mode::{OutBuffer, World},
    proto::{
        format::{Message, Template, Written},
        mqtt::{packet::Publish, topic},
    },
};

/// The template with what ends each record.
pub struct Printer {
    template: Template,
    end: Option<u8>,
    strict: bool,
    /// `--watch`: the row of each topic.
    rows: Option<HashMap<String, usize>>,
    /// The payload stands in the record as it is.
    checked: bool,
    warned: bool,
}

impl Printer {
    pub fn new(options: &config::Subscribe, world: World) -> Printer {
        let mut printer = Printer::of(&options.output, options.strict, world);
        printer.rows = (options.watch && world.terminal).then(HashMap::new);
        printer
    }

    /// For commands that know no `--watch`.
    pub fn of(output: &config::Output, strict: bool, world: World) -> Printer {
        let mut template = match &output.shape {
            Shape::Json => Template::json(),
            Shape::Payload => Template::payload(),
            Shape::Verbose => Template::verbose(),
            // The command line has checked it.
            Shape::Format(text) => Template::parse(text).unwrap_or_else(|_| Template::payload()),
        };
        template.set_escape(world.terminal && !output.raw);
        if template.needs_zone() {
            template.set_zone((world.zone)());
        }
        let as_it_is = output.raw || !world.terminal;
        let checked = as_it_is && output.shape != Shape::Json;
        Printer { template, end: output.end, strict, rows: None, checked, warned: false }
    }

    /// Appends the record of a message. An error says why it is refused (`--strict`); nothing is appended then.
    pub fn print(&mut self, out: &mut Vec<u8>, publish: &Publish<'_>, micros: u64) -> Result<(), String> {
        let message = Message {
            topic: publish.topic,
            payload: publish.payload,
            qos: publish.qos as u8,
            retain: publish.retain,
            dup: publish.dup,
            mid: publish.pkid,
            properties: publish.properties.as_deref(),
            time: micros,
        };
        let start = out.len();
        if let Some(rows) = &mut self.rows {
            let next = rows.len() + 1;
            let row = *rows.entry(publish.topic.to_owned()).or_insert(next);
            let clear = if row == 1 && next == 1 { "\x1b[2J" } else { "" };
            out.extend_from_slice(format!("{clear}\x1b[{row};1H\x1b[K").as_bytes());
        }
        match self.template.write(out, &message) {
            Written::Nothing => {
                out.truncate(start);
                return Ok(());
            }
            Written::Record => {}
            Written::Unfit(unfit) => self.warn(&unfit.to_string()),
        }
        if let Some(end) = self.end.filter(|_| self.checked && (!self.warned || self.strict)) {
            if memchr::memchr(end, publish.payload).is_some() {
                let what = if end == 0 { "a NUL" } else { "a newline" };
                if self.strict {
                    out.truncate(start);
                    return Err(format!("a message has {what} inside, which --strict refuses"));
                }
                self.warn(&format!("a message has {what} inside and looks like several on stdout"));
            }
        }
        out.extend(self.end);
        Ok(())
    }

    fn warn(&mut self, text: &str) {
        if !std::mem::replace(&mut self.warned, true) {
            warn!("{text}");
        }
    }
}

/// What became of a message.
#[derive(Debug, PartialEq, Eq)]
pub enum Shown {
    /// So many bytes are in the buffer.
    Printed(u64),
    /// It is not wanted on stdout, and is acknowledged like the others.
    Filtered,
    /// It comes after the end.
    Beyond,
    /// It ends the run, and is not printed (`--retained-only`).
    End,
    /// `--strict`.
    Refused(String),
}

/// Prints a message where it is wanted.
pub fn show(
    options: &config::Subscribe,
    printer: &mut Printer,
    out: &mut OutBuffer,
    publish: &Publish<'_>,
    micros: u64,
) -> Shown {
    if options.retained_only && !publish.retain {
        return Shown::End;
    }
    let unwanted = (options.no_retained && publish.retain) || (options.snapshot.is_some() && !publish.retain);
    if unwanted || options.filter_out.iter().any(|filter| topic::matches(filter, publish.topic)) {
        return Shown::Filtered;
    }
    let before = out.pending().len();
    match printer.print(out.tail(), publish, micros) {
        Ok(()) => Shown::Printed((out.pending().len() - before) as u64),
        Err(text) => Shown::Refused(text),
    }
}
