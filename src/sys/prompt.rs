//! A password typed at the terminal, unseen.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Write},
};

use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};

use super::{PollFd, PollFlags, Signals, poll};

/// The longest line taken, in bytes: more than a terminal's own limit.
const LONGEST: usize = 65_536;

/// Shows `prompt` on the controlling terminal and reads a line there, without echo. SIGINT and SIGTERM end the
/// process as they would have, with the echo restored.
///
/// # Errors
/// There is no terminal, or nothing was typed.
pub fn ask_password(prompt: &str) -> Result<Vec<u8>, String> {
    let mut signals = Signals::install().map_err(|error| error.to_string())?;
    let terminal = OpenOptions::new().read(true).write(true).open("/dev/tty");
    let terminal = terminal.map_err(|_| "there is no terminal to ask at".to_owned())?;
    let answer = {
        let _silence = Silence::begin(&terminal).map_err(|error| format!("the terminal: {error}"))?;
        (&terminal)
            .write_all(prompt.as_bytes())
            .and_then(|()| read_line(&terminal, &mut signals))
            .map_err(|error| format!("the terminal: {error}"))?
    };
    match answer {
        Answer::Line(line) => {
            // What is still read before the loop begins may take long.
            signals.let_go().map_err(|error| error.to_string())?;
            Ok(line)
        }
        Answer::End => {
            let _ = (&terminal).write_all(b"\n");
            Err("no password was given".to_owned())
        }
        Answer::Signal(signal) => {
            let _ = (&terminal).write_all(b"\n");
            Signals::die_of(signal);
            Err("interrupted".to_owned())
        }
    }
}

enum Answer {
    Line(Vec<u8>),
    /// Ctrl-D on an empty line, or more than [`LONGEST`] bytes.
    End,
    Signal(i32),
}

fn read_line(mut terminal: &File, signals: &mut Signals) -> io::Result<Answer> {
    let mut line = Vec::new();
    loop {
        let mut fds = [PollFd::new(&*signals, PollFlags::IN), PollFd::new(terminal, PollFlags::IN)];
        poll(&mut fds, None)?;
        let [signalled, typed] = fds.map(|fd| !fd.revents().is_empty());
        if signalled {
            if let Some(signal) = signals.take() {
                return Ok(Answer::Signal(signal));
            }
        }
        if !typed {
            continue;
        }
        let mut buffer = [0; 4096];
        let n = match terminal.read(&mut buffer) {
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        line.extend_from_slice(&buffer[..n]);
        match line.iter().position(|byte| *byte == b'\n') {
            Some(end) => {
                line.truncate(end);
                return Ok(Answer::Line(line));
            }
            None if n == 0 || line.len() > LONGEST => return Ok(Answer::End),
            None => {}
        }
    }
}

/// A terminal without echo. Dropping it restores what was.
struct Silence<'a> {
    terminal: &'a File,
    before: Termios,
}

impl Silence<'_> {
    fn begin(terminal: &File) -> io::Result<Silence<'_>> {
        let before = tcgetattr(terminal)?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        // The newline is shown, so that what follows begins on a line of its own.
        silent.local_modes.insert(LocalModes::ECHONL | LocalModes::ICANON | LocalModes::ISIG);
        // What would leave the terminal silent behind us is only typed text meanwhile.
        for index in [SpecialCodeIndex::VQUIT, SpecialCodeIndex::VSUSP] {
            silent.special_codes[index] = DISABLED;
        }
        tcsetattr(terminal, OptionalActions::Flush, &silent)?;
        Ok(Silence { terminal, before })
    }
}

/// _POSIX_VDISABLE of termios(3).
const DISABLED: u8 = if cfg!(target_os = "linux") { 0 } else { 0xff };

impl Drop for Silence<'_> {
    fn drop(&mut self) {
        let _ = tcsetattr(self.terminal, OptionalActions::Flush, &self.before);
    }
}
