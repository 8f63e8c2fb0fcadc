//! Running the binary: never for ever, with everything kept that a failing test should show.

use std::{
    ffi::OsStr,
    fs,
    io::{Read, Write},
    os::unix::process::ExitStatusExt,
    path::PathBuf,
    process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use super::{PATIENCE, wait_until};

/// `wspipe` with these arguments.
pub fn wspipe<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Wspipe {
    prepare(bare(env!("CARGO_BIN_EXE_wspipe")), args)
}

/// A bash script with these as `$1` and so on. It fails where any part of a pipe does. `$WSPIPE` is the binary;
/// give it a limit (`-W`), since only bash itself is ended with the test.
pub fn bash<S: AsRef<OsStr>>(script: &str, args: impl IntoIterator<Item = S>) -> Wspipe {
    let mut command = bare("/bin/bash");
    command.args(["-o", "pipefail", "-c", script, "bash"]);
    prepare(command, args).env("WSPIPE", env!("CARGO_BIN_EXE_wspipe"))
}

fn prepare<S: AsRef<OsStr>>(mut command: Command, args: impl IntoIterator<Item = S>) -> Wspipe {
    command.args(args);
    Wspipe { command, inside: None, files: Vec::new(), stdin: Input::Null, stdout: Output::Gathered }
}

/// The machine's own settings are no part of a test.
fn bare(program: &str) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("PATH", "/usr/bin:/bin").env("LC_ALL", "C.UTF-8");
    command
}

/// A run to come.
pub struct Wspipe {
    command: Command,
    inside: Option<Command>,
    files: Vec<PathBuf>,
    stdin: Input,
    stdout: Output,
}

enum Input {
    Null,
    Bytes(Vec<u8>),
    Open,
    Given,
}

enum Output {
    Gathered,
    Open,
    Given,
}

impl Wspipe {
    /// Run by another program, which gets the command line after its own arguments and must exec it.
    pub fn inside(mut self, program: &str) -> Wspipe {
        self.inside = Some(bare(program));
        self
    }

    /// Arguments for the program that runs it.
    #[track_caller]
    pub fn around<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Wspipe {
        self.inside.as_mut().expect("after `inside`").args(args);
        self
    }

    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Wspipe {
        self.command.args(args);
        self
    }

    pub fn env(mut self, name: &str, value: &str) -> Wspipe {
        self.command.env(name, value);
        self
    }

    /// Shown when the test fails: a peer's log, a configuration.
    pub fn shows(mut self, file: impl Into<PathBuf>) -> Wspipe {
        self.files.push(file.into());
        self
    }

    /// stdout goes here, not to the test.
    pub fn stdout(mut self, file: impl Into<Stdio>) -> Wspipe {
        self.command.stdout(file);
        self.stdout = Output::Given;
        self
    }

    /// stdout is a pipe that the test reads by itself: [`Running::take_stdout`].
    pub fn open_stdout(mut self) -> Wspipe {
        self.stdout = Output::Open;
        self
    }

    /// stdin is a pipe with these bytes, and then its end.
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Wspipe {
        self.stdin = Input::Bytes(bytes.into());
        self
    }

    /// stdin is a pipe that the test writes to, and ends: [`Running::write`], [`Running::take_stdin`].
    pub fn open_stdin(mut self) -> Wspipe {
        self.stdin = Input::Open;
        self
    }

    /// stdin comes from here.
    pub fn stdin_from(mut self, file: impl Into<Stdio>) -> Wspipe {
        self.command.stdin(file);
        self.stdin = Input::Given;
        self
    }

    /// Runs it to its end.
    #[track_caller]
    pub fn run(self) -> Run {
        self.start().finish()
    }

    /// Starts it and comes back at once.
    #[track_caller]
    pub fn start(mut self) -> Running {
        let mut line = String::from("wspipe");
        for arg in self.command.get_args() {
            let arg: String = arg.to_string_lossy().chars().take(200).collect();
            line.push_str(&format!(" {arg:?}"));
        }
        if let Some(mut outer) = self.inside.take() {
            outer.arg(self.command.get_program()).args(self.command.get_args());
            self.command = outer;
        }
        self.command.stderr(Stdio::piped());
        match self.stdin {
            Input::Null => self.command.stdin(Stdio::null()),
            Input::Bytes(_) | Input::Open => self.command.stdin(Stdio::piped()),
            Input::Given => &mut self.command,
        };
        if !matches!(self.stdout, Output::Given) {
            self.command.stdout(Stdio::piped());
        }
        let started = Instant::now();
        let mut child = self.command.spawn().expect("the binary starts");
        // A reader that waits for its end would wait for ever while this keeps the given stdout open.
        drop(self.command);
        let gathered = child.stdout.take_if(|_| matches!(self.stdout, Output::Gathered));
        let stdout = Gather::start(gathered);
        let stderr = Gather::start(child.stderr.take());
        let running = Running { line, child, started, stdout, stderr, peak_kib: 0, files: self.files };
        running.feed(self.stdin)
    }
}

/// A stream read by a thread of its own.
struct Gather {
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl Gather {
    fn start(stream: Option<impl Read + Send + 'static>) -> Gather {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let target = Arc::clone(&bytes);
        let reader = thread::spawn(move || {
            let mut buffer = [0; 65536];
            let Some(mut stream) = stream else { return };
            while let Ok(n @ 1..) = stream.read(&mut buffer) {
                target.lock().expect("no reader panics").extend_from_slice(&buffer[..n]);
            }
        });
        Gather { bytes, reader: Some(reader) }
    }

    fn so_far(&self) -> Vec<u8> {
        self.bytes.lock().expect("no reader panics").clone()
    }

    fn end(&mut self) -> Vec<u8> {
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
        self.so_far()
    }
}

/// A run that has begun. Killed when dropped.
pub struct Running {
    line: String,
    child: Child,
    started: Instant,
    stdout: Gather,
    stderr: Gather,
    peak_kib: u64,
    files: Vec<PathBuf>,
}

impl Running {
    fn feed(mut self, input: Input) -> Running {
        if let Input::Bytes(bytes) = input {
            let mut stdin = self.take_stdin();
            // Who ends before all is read is judged by its status, not here.
            thread::spawn(move || stdin.write_all(&bytes));
        }
        self
    }

    /// The open stdin; its end is when this is dropped.
    pub fn take_stdin(&mut self) -> ChildStdin {
        self.child.stdin.take().expect("open_stdin was said, and this only once")
    }

    /// The open stdout.
    pub fn take_stdout(&mut self) -> ChildStdout {
        self.child.stdout.take().expect("open_stdout was said, and this only once")
    }

    /// Writes to the open stdin.
    #[track_caller]
    pub fn write(&mut self, bytes: impl AsRef<[u8]>) {
        let stdin = self.child.stdin.as_mut().expect("open_stdin was said");
        stdin.write_all(bytes.as_ref()).expect("it reads its stdin");
    }

    /// What it printed so far.
    pub fn stdout_so_far(&self) -> Vec<u8> {
        self.stdout.so_far()
    }

    /// It has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id() as i32).expect("a child's pid is not 0");
        kill_process(pid, signal).expect("the child is ours and not yet waited for");
    }

    /// The process that ours has started: wspipe itself, where a program runs it and does not exec it.
    #[track_caller]
    pub fn child_of_child(&self) -> Pid {
        let pid = self.child.id();
        let path = format!("/proc/{pid}/task/{pid}/children");
        let children = fs::read_to_string(path).expect("Linux, and it runs");
        let first = children.split_whitespace().next().and_then(|pid| pid.parse().ok());
        first.and_then(Pid::from_raw).expect("it has a child")
    }

    /// Waits until stderr has `text`.
    #[track_caller]
    pub fn wait_stderr(&mut self, text: &str) {
        let stderr = &self.stderr;
        if !wait_until(|| String::from_utf8_lossy(&stderr.so_far()).contains(text)) {
            let status = self.child.try_wait().ok().flatten();
            panic!(
                "{}\nnever said {text:?} on stderr; {status:?}; it said:\n{}",
                self.line,
                self.stderr_so_far()
            );
        }
    }

    /// Waits until stdout has `n` lines.
    #[track_caller]
    pub fn wait_stdout_lines(&mut self, n: usize) {
        let stdout = &self.stdout;
        if !wait_until(|| stdout.so_far().iter().filter(|b| **b == b'\n').count() >= n) {
            panic!("{}\ndid not print {n} lines; stderr:\n{}", self.line, self.stderr_so_far());
        }
    }

    pub fn stderr_so_far(&self) -> String {
        String::from_utf8_lossy(&self.stderr.so_far()).into_owned()
    }

    /// Waits for the end; a run that does not end within [`PATIENCE`] fails the test.
    #[track_caller]
    pub fn finish(mut self) -> Run {
        let end = Instant::now() + PATIENCE;
        let mut status = None;
        while status.is_none() && Instant::now() < end {
            self.look_at_memory();
            status = self.child.try_wait().expect("a child can be waited for");
            thread::sleep(Duration::from_millis(2));
        }
        let took = self.started.elapsed();
        if status.is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        let run = Run {
            line: self.line.clone(),
            status,
            stdout: self.stdout.end(),
            stderr: String::from_utf8_lossy(&self.stderr.end()).into_owned(),
            took,
            peak_kib: self.peak_kib,
            files: std::mem::take(&mut self.files),
        };
        if status.is_none() {
            run.fail(&format!("still running after {:?}", PATIENCE));
        }
        run
    }

    /// The processor's time that it took so far, itself and the kernel for it.
    pub fn cpu_time(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).expect("Linux, and it runs");
        // proc(5): fields 14 and 15, after a name in parentheses that may hold anything.
        let fields = stat.rsplit(") ").next().expect("a name in parentheses").split(' ');
        let ticks: u64 = fields.skip(11).take(2).map(|field| field.parse::<u64>().expect("a number")).sum();
        // USER_HZ is 100 on all that Rust runs on.
        Duration::from_millis(ticks * 10)
    }

    /// The largest resident set so far, where the system tells.
    fn look_at_memory(&mut self) {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        // Until exec is through, what the kernel shows is our own memory under our own name.
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name));
        if field("Name:").is_none_or(|name| name.trim() != "wspipe") {
            return;
        }
        let peak = field("VmHWM:");
        let kib = peak.and_then(|text| text.split_whitespace().next()?.parse().ok());
        self.peak_kib = self.peak_kib.max(kib.unwrap_or(0));
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A run that has ended. The methods check, and show everything when a check fails.
pub struct Run {
    line: String,
    status: Option<ExitStatus>,
    pub stdout: Vec<u8>,
    pub stderr: String,
    pub took: Duration,
    pub peak_kib: u64,
    files: Vec<PathBuf>,
}

impl Run {
    /// The exit status is this.
    #[track_caller]
    pub fn status(&self, expected: i32) -> &Run {
        if self.status.and_then(|s| s.code()) != Some(expected) {
            self.fail(&format!("the exit status is not {expected}"));
        }
        self
    }

    /// A signal ended it, this one.
    #[track_caller]
    pub fn signalled(&self, signal: Signal) -> &Run {
        if self.status.and_then(|s| s.signal()) != Some(signal.as_raw()) {
            self.fail(&format!("not ended by {signal:?}"));
        }
        self
    }

    /// stdout is this, to the byte.
    #[track_caller]
    pub fn stdout_is(&self, expected: impl AsRef<[u8]>) -> &Run {
        if self.stdout != expected.as_ref() {
            self.fail(&format!("stdout is not {:?}", String::from_utf8_lossy(expected.as_ref())));
        }
        self
    }

    /// stderr has all of these, in this order.
    #[track_caller]
    pub fn says(&self, texts: &[&str]) -> &Run {
        let mut rest = self.stderr.as_str();
        for text in texts {
            let Some(at) = rest.find(text) else {
                self.fail(&format!("stderr does not say {text:?} (in the order {texts:?})"));
            };
            rest = &rest[at + text.len()..];
        }
        self
    }

    /// stderr has none of these.
    #[track_caller]
    pub fn never_says(&self, texts: &[&str]) -> &Run {
        for text in texts {
            if self.stderr.contains(text) {
                self.fail(&format!("stderr says {text:?}"));
            }
        }
        self
    }

    /// stderr is empty.
    #[track_caller]
    pub fn says_nothing(&self) -> &Run {
        if !self.stderr.is_empty() {
            self.fail("stderr is not empty");
        }
        self
    }

    /// stderr is one line, of ours, with all of these texts, small and capital letters being equal.
    #[track_caller]
    pub fn one_line(&self, texts: &[&str]) -> &Run {
        if self.stderr.lines().count() != 1
            || !self.stderr.starts_with("wspipe: ")
            || !self.stderr.ends_with('\n')
        {
            self.fail("stderr is not one line of wspipe's");
        }
        let said = self.stderr.to_lowercase();
        for text in texts {
            if !said.contains(&text.to_lowercase()) {
                self.fail(&format!("the line does not say {text:?}"));
            }
        }
        if self.stderr.trim_end().chars().any(char::is_control) {
            self.fail("the line has control characters");
        }
        self
    }

    /// It took at most this long.
    #[track_caller]
    pub fn within(&self, limit: Duration) -> &Run {
        if self.took > limit {
            self.fail(&format!("it took {:?}, above {limit:?}", self.took));
        }
        self
    }

    /// Its resident set never was above this.
    #[track_caller]
    pub fn below_mib(&self, mib: u64) -> &Run {
        if self.peak_kib > mib * 1024 {
            self.fail(&format!("its resident set was above {mib} MiB"));
        }
        self
    }

    /// Fails the test, showing the command, what it printed, and the files.
    #[track_caller]
    pub fn fail(&self, what: &str) -> ! {
        let shown = |bytes: &[u8]| {
            let text = String::from_utf8_lossy(bytes);
            if text.len() <= 4000 {
                return text.into_owned();
            }
            format!("{} … ({} bytes)", text.chars().take(2000).collect::<String>(), bytes.len())
        };
        let mut report = format!(
            "\n{what}\n\n{}\n{} after {:?}, at most {} KiB\n--- stdout\n{}\n--- stderr\n{}\n",
            self.line,
            self.status.map_or_else(|| "killed".to_owned(), |s| s.to_string()),
            self.took,
            self.peak_kib,
            shown(&self.stdout),
            shown(self.stderr.as_bytes()),
        );
        for file in &self.files {
            let text = fs::read_to_string(file).unwrap_or_else(|e| e.to_string());
            let tail: Vec<&str> = text.lines().rev().take(40).collect();
            report.push_str(&format!("--- the end of {}\n", file.display()));
            tail.iter().rev().for_each(|line| report.push_str(&format!("{line}\n")));
        }
        panic!("{report}");
    }
}
