//! Processes that end with their owner.

use std::{
    process::{Command, ExitStatus},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

/// One process; killed when dropped.
pub struct Child(pub std::process::Child);

impl Child {
    pub fn start(command: &mut Command) -> Result<Self, String> {
        let program = command.get_program().to_string_lossy().into_owned();
        command.spawn().map(Self).map_err(|error| format!("{program} does not start: {error}"))
    }

    /// SIGTERM, and its end.
    pub fn terminate(mut self) -> Result<ExitStatus, String> {
        kill_process(Pid::from_child(&self.0), Signal::TERM).map_err(|error| format!("SIGTERM: {error}"))?;
        self.ended(Duration::from_secs(30))
    }

    /// SIGKILL, and its end.
    pub fn kill(mut self) -> Result<ExitStatus, String> {
        self.0.kill().and_then(|()| self.0.wait()).map_err(|error| format!("SIGKILL: {error}"))
    }

    /// Waits for its end.
    pub fn ended(&mut self, limit: Duration) -> Result<ExitStatus, String> {
        let end = Instant::now() + limit;
        loop {
            match self.0.try_wait() {
                Ok(Some(status)) => return Ok(status),
                Ok(None) if Instant::now() < end => thread::sleep(Duration::from_millis(2)),
                Ok(None) => return Err(format!("a process ran on for {} s", limit.as_secs())),
                Err(error) => return Err(error.to_string()),
            }
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
