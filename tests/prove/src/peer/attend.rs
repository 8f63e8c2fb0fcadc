//! A scripted broker that attends one process: its connections, one after the other, until it has ended.

use std::{
    io,
    net::TcpListener,
    process::ExitStatus,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, Signal, kill_process},
};

use super::{Cut, Wire, model::Model};
use crate::child::Child;

/// How long a process may take for a handful of messages and a reconnect or two.
const LIMIT: Duration = Duration::from_secs(120);

pub struct Broker {
    listener: TcpListener,
    pub port: u16,
    pub websocket: bool,
    pub model: Model,
    /// SIGTERM for the process, once the model is through.
    pub stops: bool,
}

/// What was seen.
pub struct Attended {
    pub status: ExitStatus,
    /// Bytes of the first connection: sent, and read.
    pub first: (usize, usize),
    /// The first connection's cut was reached.
    pub reached: bool,
}

impl Broker {
    pub fn listen(websocket: bool, model: Model) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let port = listener.local_addr()?.port();
        Ok(Self { listener, port, websocket, model, stops: false })
    }

    pub fn url(&self) -> String {
        let scheme = if self.websocket { "ws" } else { "mqtt" };
        format!("{scheme}://127.0.0.1:{}", self.port)
    }

    /// Until the process has ended. `cut` is for the first connection; the session is lost then if `forgets`.
    pub fn attend(
        &mut self,
        child: &mut Child,
        cut: Option<Cut>,
        forgets: bool,
        is_output: &dyn Fn(&[u8]) -> bool,
    ) -> Result<Attended, String> {
        let by = Instant::now() + LIMIT;
        let (mut connections, mut first, mut reached) = (0, (0, 0), false);
        loop {
            match self.listener.accept() {
                Ok((stream, _)) => {
                    let own = cut.filter(|_| connections == 0);
                    let wire =
                        stream.set_nonblocking(false).and_then(|()| Wire::new(stream, self.websocket, own));
                    let mut wire = wire.map_err(|error| error.to_string())?;
                    // An error here is the cut, or the end of the process.
                    let _ = self.serve(&mut wire, child, is_output);
                    if connections == 0 {
                        (first, reached) = ((wire.sent, wire.read), wire.is_cut());
                        self.model.forgetful = forgets;
                    }
                    connections += 1;
                    continue;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(format!("accept: {error}")),
            }
            if let Some(status) = child.0.try_wait().map_err(|error| error.to_string())? {
                return Ok(Attended { status, first, reached });
            }
            if Instant::now() > by {
                return Err(format!("it does not end ({connections} connections)"));
            }
            let pause = Timespec { tv_sec: 0, tv_nsec: 10_000_000 };
            let _ = poll(&mut [PollFd::new(&self.listener, PollFlags::IN)], Some(&pause));
        }
    }

    fn serve(&mut self, wire: &mut Wire, child: &Child, is_output: &dyn Fn(&[u8]) -> bool) -> io::Result<()> {
        wire.upgrade()?;
        while let Some(packet) = wire.packet()? {
            let reply = self.model.handle(&packet, is_output);
            let sent = wire.send(&reply.bytes);
            if sent.is_ok() {
                self.model.sent(reply);
            }
            if self.model.is_through() && std::mem::take(&mut self.stops) {
                kill_process(Pid::from_child(&child.0), Signal::TERM)?;
            }
            sent?;
        }
        Ok(())
    }
}
