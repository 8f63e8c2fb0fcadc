//! A stdout that nobody reads for a while, and a peer that goes or floods meanwhile.

use std::{
    fs::File,
    io::{Read, Write},
    os::fd::OwnedFd,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use rustix::{
    pipe::{PipeFlags, fcntl_setpipe_size, pipe_with},
    process::Signal,
};

use crate::support::{
    hex,
    scripted::{Scripted, frame},
    wait_until, wspipe,
};

/// Fits a pipe as large as unprivileged users may have it.
const MEBIBYTE: usize = 1 << 20;

/// A pipe of about that size: its reader and its writer.
fn pipe(size: usize) -> (File, OwnedFd) {
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).expect("a pipe");
    fcntl_setpipe_size(&writer, size).expect("an unprivileged size");
    (reader.into(), writer)
}

/// Sends `size` bytes in answer to the first message, and reads up to the Close.
fn reply(size: usize) -> Scripted {
    Scripted::start(move |conn| {
        conn.upgrade()?;
        conn.frame()?;
        conn.write(frame(0x82, &vec![b'x'; size]))?;
        let (_, close) = conn.frame()?;
        conn.write(frame(0x88, &close))?;
        conn.end()
    })
}

/// Reading goes on although the whole output was taken between two looks at it.
#[test]
fn a_reader_that_takes_all_at_once() {
    let server = reply(400_000);
    let (mut reader, writer) = pipe(MEBIBYTE);
    let mut full = File::from(writer.try_clone().expect("a descriptor can be duplicated"));
    full.write_all(&vec![b' '; MEBIBYTE]).expect("it fits");
    drop(full);
    let mut running = wspipe(["echo", &server.ws("/"), "-b", "--close-timeout", "60"]).stdout(writer).start();
    running.wait_stderr("RECEIVED");
    thread::sleep(Duration::from_millis(100));
    running.signal(Signal::STOP);
    reader.read_exact(&mut vec![0; MEBIBYTE]).expect("a pipe can be read");
    running.signal(Signal::CONT);
    running.finish().status(1).within(Duration::from_secs(10));
    let mut rest = Vec::new();
    reader.read_to_end(&mut rest).expect("a pipe can be read");
    assert_eq!(rest.len(), 400_001);
}

/// The socket is not in poll(2)'s set while it is not to be read: POLLHUP would end each wait at once.
#[test]
fn a_reset_behind_a_stalled_stdout_takes_no_time() {
    let server = Scripted::start(|conn| {
        conn.upgrade()?;
        conn.frame()?;
        conn.write(frame(0x82, &vec![b'x'; MEBIBYTE]))?;
        conn.frame()?;
        conn.reset()
    });
    let (mut reader, writer) = pipe(4096);
    let args = ["echo", &server.ws("/"), "-b", "--close-timeout", "5"];
    let mut running = wspipe(args).stdout(writer).start();
    running.wait_stderr("RECEIVED");
    // The reset has come by then, and the wait for the Close is not over at the end.
    thread::sleep(Duration::from_millis(500));
    let before = running.cpu_time();
    thread::sleep(Duration::from_secs(1));
    let spent = running.cpu_time() - before;
    let mut all = Vec::new();
    reader.read_to_end(&mut all).expect("a pipe can be read");
    running.finish().status(1);
    assert_eq!(all.len(), MEBIBYTE + 1);
    assert!(spent < Duration::from_millis(200), "{spent:?} of the processor's time");
}

/// What the peer said before a reset is taken in, however much it is, though sending fails meanwhile.
#[test]
fn all_that_came_before_a_reset_counts() {
    const REPLIES: usize = 3000;
    let states = Arc::new([(); 3].map(|()| AtomicBool::new(false)));
    let [asked, go, done] = [0, 1, 2].map(|i| {
        let states = Arc::clone(&states);
        move || states[i].load(Ordering::SeqCst)
    });
    let set = Arc::clone(&states);
    let server = Scripted::start(move |conn| {
        conn.upgrade()?;
        let mut replies = Vec::new();
        for _ in 0..REPLIES {
            let (first, payload) = conn.frame()?;
            replies.extend(frame(first, &payload));
        }
        set[0].store(true, Ordering::SeqCst);
        assert!(wait_until(&go));
        conn.write(replies)?;
        conn.reset()?;
        set[2].store(true, Ordering::SeqCst);
        Ok(())
    });
    let running = wspipe(["echo", &server.ws("/"), "-c", "1000000", "-i", "0.0003", "x"]).start();
    assert!(wait_until(asked));
    running.signal(Signal::STOP);
    states[1].store(true, Ordering::SeqCst);
    assert!(wait_until(done));
    // The script's return closes the socket.
    thread::sleep(Duration::from_millis(200));
    running.signal(Signal::CONT);
    let run = running.finish();
    run.status(56);
    let stdout = String::from_utf8_lossy(&run.stdout);
    assert!(stdout.contains(&format!("{REPLIES} received")), "{}", stdout.lines().last().unwrap_or_default());
}

/// The limit of a round trip does not run while nothing is read.
#[test]
fn a_stall_is_no_timeout_of_the_broker() {
    let rounds = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&rounds);
    let server = Scripted::start(move |conn| {
        loop {
            let packet = conn.packet()?;
            let id = packet.get(2..4).unwrap_or_default().to_vec();
            match packet[0] >> 4 {
                1 => conn.write(hex("20 03 00 00 00"))?,
                3 => {
                    count.fetch_add(1, Ordering::SeqCst);
                    conn.write(&packet)?;
                }
                8 => conn.write([hex("90 04"), id, hex("00 00")].concat())?,
                10 => conn.write([hex("b0 04"), id, hex("00 00")].concat())?,
                _ => return conn.end(),
            }
        }
    });
    let (mut reader, writer) = pipe(4096);
    let running =
        wspipe(["mqtt", &server.mqtt(), "-V", "5", "--count", "8000", "--interval", "0", "-W", "0.7"])
            .stdout(writer)
            .start();
    let mut before = 0;
    assert!(wait_until(|| {
        thread::sleep(Duration::from_millis(300));
        let now = rounds.load(Ordering::SeqCst);
        std::mem::replace(&mut before, now) == now && now > 0
    }));
    assert!(before < 8000, "the output is not held back");
    thread::sleep(Duration::from_millis(1200));
    let mut all = String::new();
    reader.read_to_string(&mut all).expect("a pipe can be read");
    running.finish().status(0).below_mib(24);
    assert!(all.contains("8000 sent, 8000 received, 0 lost"));
}

/// Each PUBREL is owed a PUBCOMP: whoever sends them and reads nothing must not fill our memory.
#[test]
fn acknowledgements_that_nobody_reads() {
    let server = Scripted::start(|conn| {
        conn.packet()?;
        conn.write(hex("20 03 00 00 00"))?;
        conn.packet()?;
        conn.write(hex("90 04 00 01 00 00"))?;
        let flood = hex("62 02 00 01").repeat(1 << 18);
        for _ in 0..64 {
            conn.write(&flood)?;
        }
        Ok(())
    });
    let run =
        wspipe(["mqtt", &server.mqtt(), "-V", "5", "-W", "4", "--close-timeout", "0.3", "--quiet"]).run();
    run.status(28).below_mib(24);
}
