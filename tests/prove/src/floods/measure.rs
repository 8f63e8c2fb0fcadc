//! What a process uses: from GNU time, which has the kernel's account of the whole process at its end, however soon
//! that comes; and from /proc while it runs.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::child::Child;

/// The largest resident set so far, in KiB (VmHWM); 0 once it has ended.
pub fn peak(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

/// The processor's time so far, in steps of 10 ms (the kernel's unit here, USER_HZ, is 100 everywhere).
pub fn cpu(pid: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name of the program, in parentheses, may have spaces; utime and stime are fields 14 and 15.
    let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks = rest.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok());
    Duration::from_millis(ticks.sum::<u64>() * 10)
}

/// What a whole process took.
pub struct Usage {
    /// Of the user's and the system's.
    pub cpu: Duration,
    /// The largest resident set, in KiB.
    pub peak: u64,
}

/// A process under GNU time; killed when dropped. Its stdin and stdout are /dev/null.
pub struct Measured {
    child: Child,
    pub pid: u32,
    usage: PathBuf,
    errors: PathBuf,
}

/// `time` is told of no signals for what it runs, and does not pass them on.
const TELL_PID: &str = r#"echo $$ >"$1"; shift; exec "$@""#;

impl Measured {
    /// `dir` is for the files; they are of one process at a time.
    pub fn start(dir: &Path, program: &Path, arguments: &[String]) -> Result<Self, String> {
        let (usage, errors, told) = (dir.join("usage"), dir.join("errors"), dir.join("pid"));
        let _ = fs::remove_file(&told);
        let log = File::create(&errors).map_err(|error| format!("{}: {error}", errors.display()))?;
        let mut command = Command::new("time");
        command.args(["-q", "-f", "%U %S %M", "-o"]).arg(&usage).args(["sh", "-c", TELL_PID, "sh"]);
        command.arg(&told).arg(program).args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let mut child = Child::start(&mut command)?;
        let by = Instant::now() + Duration::from_secs(20);
        loop {
            let text = fs::read_to_string(&told).unwrap_or_default();
            if let Some(pid) = text.strip_suffix('\n').and_then(|text| text.parse().ok()) {
                return Ok(Self { child, pid, usage, errors });
            }
            if Instant::now() > by || child.0.try_wait().is_ok_and(|status| status.is_some()) {
                return Err("time (the program, not the shell's) does not start it".to_owned());
            }
            thread::sleep(Duration::from_micros(200));
        }
    }

    /// Whether it has ended.
    pub fn try_end(&mut self) -> Result<Option<ExitStatus>, String> {
        self.child.0.try_wait().map_err(|error| error.to_string())
    }

    /// Waits for its end.
    pub fn ended(&mut self, limit: Duration) -> Result<ExitStatus, String> {
        self.child.ended(limit)
    }

    /// Not to `time`, which would say nothing then.
    pub fn signal(&self, signal: Signal) -> Result<(), String> {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw).ok_or("no process")?;
        kill_process(pid, signal).map_err(|error| error.to_string())
    }

    /// After its end.
    pub fn usage(&self) -> Result<Usage, String> {
        let text = fs::read_to_string(&self.usage).map_err(|error| format!("what time says: {error}"))?;
        // Before it may stand that a signal ended the command.
        let mut fields = text.lines().last().unwrap_or_default().split(' ');
        let mut next = || fields.next().and_then(|field| field.parse::<f64>().ok());
        match (next(), next(), next()) {
            (Some(user), Some(system), Some(peak)) => {
                Ok(Usage { cpu: Duration::from_secs_f64((user + system).max(0.0)), peak: peak as u64 })
            }
            _ => Err(format!("time says {text:?}")),
        }
    }

    /// What it said.
    pub fn errors(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.errors).unwrap_or_default()).into_owned()
    }
}

impl Drop for Measured {
    fn drop(&mut self) {
        if let Ok(None) = self.try_end() {
            let _ = self.signal(Signal::KILL);
        }
    }
}

/// Whether the measure is right, by two processes that are known: one is busy all its time, one takes 64 MiB.
pub fn check(dir: &Path) -> Result<String, String> {
    let run = |program: &str, arguments: &[&str]| {
        let begun = Instant::now();
        let arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let mut process = Measured::start(dir, Path::new(program), &arguments)?;
        let status = process.ended(Duration::from_secs(60))?;
        let took = begun.elapsed();
        match status.success() {
            true => process.usage().map(|usage| (usage, took)),
            false => Err(format!("{program}: {status}, {}", process.errors())),
        }
    };
    let (busy, took) = run("sh", &["-c", "i=0; while [ $i -lt 500000 ]; do i=$((i+1)); done"])?;
    let (large, _) = run("dd", &["if=/dev/zero", "of=/dev/null", "bs=64M", "count=1"])?;
    let figures = format!(
        "a loop of {:.2} s takes {:.2} s of the processor's, dd with 64 MiB a resident set of {:.1} MiB",
        took.as_secs_f64(),
        busy.cpu.as_secs_f64(),
        large.peak as f64 / 1024.0
    );
    // Others may be at work, too.
    let right = busy.cpu * 4 > took && busy.cpu < took + Duration::from_millis(20);
    match right && (64 * 1024..72 * 1024).contains(&large.peak) {
        true => Ok(figures),
        false => Err(format!("the measure is wrong: {figures}")),
    }
}
