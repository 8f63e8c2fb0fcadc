//! stdout and stderr, written without ever blocking and without ever setting O_NONBLOCK on them: the flag
//! belongs to the open file, which the shell and its other children share and which outlives us.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    os::{
        fd::{AsFd, BorrowedFd},
        unix::fs::OpenOptionsExt,
    },
    time::Duration,
};

#[cfg(target_os = "linux")]
use rustix::io::{Errno, ReadWriteFlags};
use rustix::{
    fs::{FileType, OFlags},
    net::SendFlags,
};

use super::{PollFd, PollFlags, poll};

/// What a pipe surely takes after POLLOUT: a free page on Linux (measured), PIPE_BUF bytes on the BSDs and macOS.
const PIPE_CHUNK: usize = rustix::pipe::PIPE_BUF;

/// How a descriptor is written without blocking.
enum Kind {
    /// RWF_NOWAIT: this one write does not wait. For pipes since Linux 6.4 (not for named ones); where the
    /// kernel refuses the flag it becomes a `Pipe`.
    #[cfg(target_os = "linux")]
    Nowait,
    /// POLLOUT, then at most [`PIPE_CHUNK`] bytes.
    Pipe,
    /// A write of our own open file with O_NONBLOCK (the terminal's name opened again).
    Terminal(File),
    /// MSG_DONTWAIT.
    Socket,
    /// Files and the like: write(2) does not wait for a reader.
    Plain,
}

/// stdout or stderr.
pub struct Output {
    stream: Stream,
    kind: Kind,
    terminal: bool,
}

enum Stream {
    Out(io::Stdout),
    Err(io::Stderr),
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Stream::Out(stream) => stream.as_fd(),
            Stream::Err(stream) => stream.as_fd(),
        }
    }
}

impl Output {
    /// The standard output.
    pub fn stdout() -> Output {
        Output::of(Stream::Out(io::stdout()))
    }

    /// The standard error.
    pub fn stderr() -> Output {
        Output::of(Stream::Err(io::stderr()))
    }

    fn of(stream: Stream) -> Output {
        let fd = stream.as_fd();
        let terminal = rustix::termios::isatty(fd);
        let kind = match rustix::fs::fstat(fd).map(|s| FileType::from_raw_mode(s.st_mode)) {
            #[cfg(target_os = "linux")]
            Ok(FileType::Fifo) => Kind::Nowait,
            #[cfg(not(target_os = "linux"))]
            Ok(FileType::Fifo) => Kind::Pipe,
            Ok(FileType::Socket) => Kind::Socket,
            // Where the terminal's name cannot be opened, small writes after POLLOUT are next best.
            _ if terminal => reopen_terminal(fd).map_or(Kind::Pipe, Kind::Terminal),
            _ => Kind::Plain,
        };
        Output { stream, kind, terminal }
    }

    /// Whether a person is looking.
    pub fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Columns of the terminal; 0 where it is none, or does not know.
    pub fn columns(&self) -> usize {
        rustix::termios::tcgetwinsize(self.stream.as_fd()).map_or(0, |size| size.ws_col.into())
    }

    /// Writes what can be written without waiting: the number of bytes, 0 where it would have to wait.
    /// A reader that has gone is `BrokenPipe`.
    pub fn write(&mut self, mut data: &[u8]) -> io::Result<usize> {
        let whole = data.len();
        while !data.is_empty() {
            let result = match &mut self.kind {
                #[cfg(target_os = "linux")]
                Kind::Nowait => match write_nowait(self.stream.as_fd(), data) {
                    // ENOSYS and EPERM: old kernels, and filters that do not know the call.
                    Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::PERM | Errno::INVAL) => {
                        self.kind = Kind::Pipe;
                        continue;
                    }
                    other => other.map_err(io::Error::from),
                },
                Kind::Pipe if !writable(self.stream.as_fd())? => break,
                Kind::Pipe => write(self.stream.as_fd(), &data[..data.len().min(PIPE_CHUNK)]),
                Kind::Terminal(file) => file.write(data),
                Kind::Socket => {
                    // No MSG_NOSIGNAL: macOS has none, and SIGPIPE is ignored from the start of every Rust program.
                    rustix::net::send(self.stream.as_fd(), data, SendFlags::DONTWAIT).map_err(io::Error::from)
                }
                Kind::Plain => write(self.stream.as_fd(), data),
            };
            match result {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => data = &data[n..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // What went out before counts; the error comes again.
                Err(error) if data.len() == whole => return Err(error),
                Err(_) => break,
            }
        }
        Ok(whole - data.len())
    }

    /// Whether nobody can read any more what is written here (`| head` has ended).
    pub fn is_gone(revents: PollFlags) -> bool {
        revents.intersects(PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL)
    }
}

impl AsFd for Output {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.kind {
            Kind::Terminal(file) => file.as_fd(),
            _ => self.stream.as_fd(),
        }
    }
}

fn write(fd: BorrowedFd<'_>, data: &[u8]) -> io::Result<usize> {
    Ok(rustix::io::write(fd, data)?)
}

#[cfg(target_os = "linux")]
fn write_nowait(fd: BorrowedFd<'_>, data: &[u8]) -> rustix::io::Result<usize> {
    // The offset -1 is the file's own position, as write(2) has it.
    rustix::io::pwritev2(fd, &[io::IoSlice::new(data)], u64::MAX, ReadWriteFlags::NOWAIT)
}

fn writable(fd: BorrowedFd<'_>) -> io::Result<bool> {
    let mut fds = [PollFd::from_borrowed_fd(fd, PollFlags::OUT)];
    poll(&mut fds, Some(Duration::ZERO))?;
    // An error is "writable" too: the write then tells which.
    Ok(!fds[0].revents().is_empty())
}

fn reopen_terminal(fd: BorrowedFd<'_>) -> Option<File> {
    let name = rustix::termios::ttyname(fd, Vec::new()).ok()?;
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits() as i32;
    OpenOptions::new().write(true).custom_flags(flags).open(name.to_str().ok()?).ok()
}

/// The last byte of stdout where that is a regular file with something in it: an earlier run may have been
/// killed in the middle of a record.
pub fn last_byte_of_stdout() -> Option<u8> {
    let stat = rustix::fs::fstat(io::stdout()).ok()?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return None;
    }
    // Opened by name, since stdout itself is for writing only.
    let mut file = File::open("/dev/fd/1").ok()?;
    file.seek(SeekFrom::End(-1)).ok()?;
    let mut last = [0];
    file.read_exact(&mut last).ok()?;
    Some(last[0])
}

/// stderr for log lines: a line that does not fit because nobody reads is dropped and counted, so that a
/// stalled stderr stalls nothing else.
pub struct LogSink {
    output: Output,
    dropped: u64,
}

impl LogSink {
    /// On the process's stderr.
    pub fn stderr() -> LogSink {
        LogSink { output: Output::stderr(), dropped: 0 }
    }
}

impl Write for LogSink {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.dropped > 0 {
            let note = format!("wspipe: warning: {} log lines dropped: stderr was stalled\n", self.dropped);
            if matches!(self.output.write(note.as_bytes()), Ok(n) if n > 0) {
                self.dropped = 0;
            }
        }
        if !matches!(self.output.write(line), Ok(n) if n == line.len()) {
            self.dropped += 1;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
