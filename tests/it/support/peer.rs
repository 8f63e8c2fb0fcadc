//! A real peer: a process of ours that ends with us, however we end.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    time::{Duration, Instant},
};

use super::{PATIENCE, listens, wait_within};

/// Starts the command, and ends it when stdin does: when the guard is dropped, and also when the test process
/// is killed, or ends with the guard in a static, which no destructor sees.
const KEEPER: &str = r#"exec 3<&0
"$@" </dev/null 3<&- &
pid=$!
{ read -r _ <&3; kill $pid 2>/dev/null; } >/dev/null 2>&1 &
exec 3<&-
wait $pid"#;

/// A running peer. Dropping it ends the process.
pub struct Peer {
    name: String,
    child: Child,
    stdin: Option<ChildStdin>,
    /// What it wrote to stdout and stderr.
    pub log: PathBuf,
}

impl Peer {
    /// Starts `program` from PATH or, as Debian's servers, from /usr/sbin. Its output goes to `dir/NAME.log`.
    pub fn start(program: &str, args: &[&str], dir: &Path) -> Peer {
        let (mut command, name, log) = Peer::command(program, args, dir);
        let file = File::create(&log).expect("target/tmp is writable");
        command.stdout(file.try_clone().expect("a file can be duplicated")).stderr(file);
        let mut child = command.spawn().expect("there is a shell");
        let stdin = child.stdin.take();
        Peer { name, child, stdin, log }
    }

    /// The same for a peer that says its port, and nothing else, in the first line of stdout.
    pub fn start_saying_port(program: &str, args: &[&str], dir: &Path) -> (Peer, u16) {
        let (mut command, name, log) = Peer::command(program, args, dir);
        command.stdout(Stdio::piped()).stderr(File::create(&log).expect("target/tmp is writable"));
        let mut child = command.spawn().expect("there is a shell");
        let stdin = child.stdin.take();
        let mut line = String::new();
        let stdout = child.stdout.take().expect("stdout is piped");
        BufReader::new(stdout).read_line(&mut line).expect("a pipe can be read");
        let peer = Peer { name, child, stdin, log };
        match line.trim().parse() {
            Ok(port) => (peer, port),
            Err(_) => panic!(
                "{} did not start (is it installed? run scripts/setup): {line}{}",
                peer.name,
                peer.said()
            ),
        }
    }

    fn command(program: &str, args: &[&str], dir: &Path) -> (Command, String, PathBuf) {
        let name =
            Path::new(program).file_name().expect("a program has a name").to_string_lossy().into_owned();
        let log = dir.join(format!("{name}.log"));
        let mut command = Command::new("/bin/sh");
        command.args(["-c", KEEPER, "sh", program]).args(args).current_dir(dir).stdin(Stdio::piped());
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{path}:/usr/local/sbin:/usr/sbin:/sbin"));
        (command, name, log)
    }

    /// Waits until all `ports` are listened on. False where the process ended first, which is how a
    /// port taken by somebody else shows.
    pub fn ready(&mut self, ports: &[u16]) -> bool {
        self.ready_within(PATIENCE, ports)
    }

    /// The same for a peer that is known to start slowly.
    pub fn ready_within(&mut self, limit: Duration, ports: &[u16]) -> bool {
        let child = &mut self.child;
        let mut ended = false;
        let up = wait_within(limit, || {
            ended = matches!(child.try_wait(), Ok(Some(_)));
            ended || ports.iter().all(|port| listens(*port))
        });
        assert!(up, "{} does not listen on {ports:?} after {limit:?}:\n{}", self.name, self.said());
        !ended
    }

    /// It has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// What it printed so far.
    pub fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let end = Instant::now() + Duration::from_secs(5);
        while Instant::now() < end {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
