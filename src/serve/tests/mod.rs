//! The server against clients that are not ours: tungstenite's, and bytes written by hand.

mod bounds;
mod echo;
mod handshake;
mod peer;

use std::{
    os::fd::AsFd,
    sync::mpsc::{self, Receiver, Sender},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use super::{Limits, Server};
use crate::config::{Scheme, Url};

type Job = Box<dyn FnOnce(&mut Server) + Send>;

/// A server that turns in a thread of its own until dropped.
struct Running {
    port: u16,
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    fn start(limits: Limits) -> Running {
        Running::at("/websocket", limits)
    }

    fn at(target: &str, limits: Limits) -> Running {
        let mut server = server(target, limits);
        let port = server.local_port();
        let (jobs, todo) = mpsc::channel();
        let thread = thread::spawn(move || turn_until_dropped(&mut server, &todo));
        Running { port, jobs: Some(jobs), thread: Some(thread) }
    }

    /// Runs `job` between two turns.
    fn ask<T: Send + 'static>(&self, job: impl FnOnce(&mut Server) -> T + Send + 'static) -> T {
        let (answer, result) = mpsc::channel();
        let job: Job = Box::new(move |server| drop(answer.send(job(server))));
        self.jobs.as_ref().expect("set until drop").send(job).unwrap();
        result.recv_timeout(Duration::from_secs(20)).expect("the server turns")
    }

    /// Waits until `condition` holds.
    fn wait_for(&self, what: &str, condition: impl Fn(&Server) -> bool + Send + Clone + 'static) {
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            let condition = condition.clone();
            if self.ask(move |server| condition(server)) {
                return;
            }
            assert!(Instant::now() < end, "not within 20 s: {what}");
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.jobs.take());
        let Some(thread) = self.thread.take() else { return };
        if thread.join().is_err() && !thread::panicking() {
            panic!("the server's thread panicked");
        }
    }
}

fn turn_until_dropped(server: &mut Server, todo: &Receiver<Job>) {
    loop {
        match todo.try_recv() {
            Ok(job) => job(server),
            Err(mpsc::TryRecvError::Empty) => {}
            Err(mpsc::TryRecvError::Disconnected) => return,
        }
        server.turn(Instant::now(), Some(Duration::from_millis(5)), None).unwrap();
    }
}

fn server(target: &str, limits: Limits) -> Server {
    let url = Url { scheme: Scheme::Ws, host: String::from("localhost"), port: 0, target: target.to_owned() };
    Server::bind(&url, limits).unwrap()
}

/// The usual limits, with messages up to 8 MiB.
fn limits() -> Limits {
    Limits::new(8 << 20)
}

/// Turns at `now` until `condition` holds.
fn turn_until(server: &mut Server, now: Instant, what: &str, condition: impl Fn(&Server) -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !condition(server) {
        assert!(Instant::now() < end, "not within 20 s: {what}");
        server.turn(now, Some(Duration::from_millis(5)), None).unwrap();
    }
}

#[test]
fn the_url_has_the_real_port() {
    let server = server("/websocket", limits());
    assert_eq!(server.url().to_string(), format!("ws://localhost:{}/websocket", server.local_port()));
    assert_ne!(server.local_port(), 0);
}

#[test]
fn a_wait_ends_when_the_wake_descriptor_is_readable() {
    use std::io::Write;
    let (wake, mut other) = std::os::unix::net::UnixStream::pair().unwrap();
    other.write_all(b"!").unwrap();
    let mut server = server("/", limits());
    let start = Instant::now();
    // The first turn accepts, the second waits.
    for _ in 0..2 {
        server.turn(start, Some(Duration::from_secs(60)), Some(wake.as_fd())).unwrap();
    }
    assert!(start.elapsed() < Duration::from_secs(30));
}
