//! `wspipe cat` at a terminal, and what it leaves behind on what it shares with the shell.

use std::{fs, io::Read, os::fd::OwnedFd, thread, time::Duration};

use rustix::{
    fs::{OFlags, fcntl_getfl},
    pipe::{PipeFlags, pipe_with},
};

use crate::support::{
    Running, Wspipe,
    scripted::{Conn, Scripted, frame},
    temp_dir, wait_until, websockets, wspipe,
};

/// The command on a terminal of its own; what is written to it is typed.
pub fn at_a_terminal(command: Wspipe) -> Running {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/terminal.py");
    command.inside(&websockets::python().to_string_lossy()).around([script]).open_stdin().start()
}

#[track_caller]
pub fn wait_screen(running: &Running, text: &str) {
    let shown = || String::from_utf8_lossy(&running.stdout_so_far()).contains(text);
    assert!(
        wait_until(shown),
        "no {text:?} on the screen: {:?}",
        String::from_utf8_lossy(&running.stdout_so_far())
    );
}

#[test]
fn typed_lines_go_while_messages_come() {
    let url = websockets::shared().url("/greet");
    let mut running = at_a_terminal(wspipe(["cat", &url, "-w", "0.3"]));
    wait_screen(&running, "welcome\r\n");
    running.write("typed\n");
    // What was typed, as the terminal shows it, and the reply: no prompt, nothing else.
    wait_screen(&running, "typed\r\ntyped\r\n");
    running.write("grüße\n");
    wait_screen(&running, "grüße\r\ngrüße\r\n");
    // Ctrl-D is the end of stdin.
    running.write("\x04");
    let run = running.finish();
    run.status(0).says_nothing().stdout_is("welcome\r\ntyped\r\ntyped\r\ngrüße\r\ngrüße\r\n");
}

#[test]
fn ctrl_c_is_a_clean_end() {
    let server = Scripted::start(|conn| {
        conn.upgrade()?;
        conn.write(frame(0x81, b"ready"))?;
        assert_eq!(conn.messages_to_close()?, [[3, 0xe8]], "Close 1000 alone");
        Ok(())
    });
    let mut running = at_a_terminal(wspipe(["cat", &server.ws("/")]));
    wait_screen(&running, "ready\r\n");
    running.write("\x03");
    running.finish().status(130);
    server.finish();
}

/// Sends a message with everything that a terminal obeys.
fn hostile(conn: &mut Conn) -> std::io::Result<()> {
    conn.upgrade()?;
    conn.write(frame(0x81, "a\u{1b}[2J\u{7}b\u{9b}c\rd\te".as_bytes()))?;
    conn.write(frame(0x82, b"\xff\xfe"))?;
    conn.close(1000, "")
}

#[test]
fn control_bytes_are_escaped() {
    let server = Scripted::start(hostile);
    let run = at_a_terminal(wspipe(["cat", &server.ws("/")])).finish();
    run.status(0);
    let shown = String::from_utf8(run.stdout.clone()).expect("invalid bytes are escaped, too");
    assert_eq!(shown.lines().count(), 2, "{shown:?}");
    assert!(shown.contains("\\x1b[2J") && shown.contains("\\xff"), "{shown:?}");
    assert!(!shown.replace("\r\n", "").contains(|c: char| c.is_control() && c != '\t'), "{shown:?}");
    server.finish();
}

#[test]
fn raw_leaves_control_bytes_alone() {
    let server = Scripted::start(hostile);
    let run = at_a_terminal(wspipe(["cat", "--raw", &server.ws("/")])).finish();
    run.status(0).stdout_is(["a\u{1b}[2J\u{7}b\u{9b}c\rd\te\r\n".as_bytes(), b"\xff\xfe\r\n"].concat());
    server.finish();
    // Not a terminal: bytes are bytes.
    let server = Scripted::start(hostile);
    let run = wspipe(["cat", &server.ws("/")]).run();
    run.status(0).stdout_is(["a\u{1b}[2J\u{7}b\u{9b}c\rd\te\n".as_bytes(), b"\xff\xfe\n"].concat());
    server.finish();
}

#[test]
fn a_flood_on_a_terminal_is_all_there() {
    let server = Scripted::start(|conn| {
        conn.upgrade()?;
        let frames: Vec<u8> = (0..20_000).flat_map(|n| frame(0x81, format!("{n:09}").as_bytes())).collect();
        conn.write(frames)?;
        conn.close(1000, "")
    });
    let run = at_a_terminal(wspipe(["cat", &server.ws("/")])).finish();
    let expected: Vec<u8> = (0..20_000).flat_map(|n| format!("{n:09}\r\n").into_bytes()).collect();
    run.status(0);
    assert!(run.stdout == expected, "{} of {} bytes came", run.stdout.len(), expected.len());
    server.finish();
}

// --- What is left behind

fn is_nonblocking(fd: &OwnedFd) -> bool {
    fcntl_getfl(fd).expect("an open descriptor has flags").contains(OFlags::NONBLOCK)
}

#[test]
fn o_nonblock_is_set_on_nothing_that_is_shared() {
    // The other holders of a pipe or a file, such as the shell, see the flag too; terminals are looked at by
    // tests/peers/terminal.py in every test above.
    let (stdin, feed) = pipe_with(PipeFlags::CLOEXEC).expect("a pipe");
    let (mut reader, stdout) =
        pipe_with(PipeFlags::CLOEXEC).map(|(r, w)| (fs::File::from(r), w)).expect("a pipe");
    let shared = [&stdin, &stdout].map(|fd| fd.try_clone().expect("a descriptor can be duplicated"));
    let url = websockets::shared().url("/echo");
    let running = wspipe(["cat", &url, "-C", "1"]).stdin_from(stdin).stdout(stdout).start();
    rustix::io::write(&feed, b"one\n").expect("a pipe takes that");
    let mut line = [0; 4];
    reader.read_exact(&mut line).expect("a line comes");
    assert!(!shared.iter().any(is_nonblocking), "while it runs");
    running.finish().status(0);
    assert!(!shared.iter().any(is_nonblocking), "when it has ended");

    let path = temp_dir("cat").join("file");
    fs::write(&path, "one\ntwo\n").expect("target/tmp is writable");
    let input = OwnedFd::from(fs::File::open(&path).expect("just written"));
    let output = OwnedFd::from(fs::File::create(path.with_extension("out")).expect("target/tmp is writable"));
    let shared = [&input, &output].map(|fd| fd.try_clone().expect("a descriptor can be duplicated"));
    let running = wspipe(["cat", &url, "-w", "0.3"]).stdin_from(input).stdout(output).start();
    thread::sleep(Duration::from_millis(150));
    assert!(!shared.iter().any(is_nonblocking), "while it runs");
    running.finish().status(0);
    assert!(!shared.iter().any(is_nonblocking), "when it has ended");
    assert_eq!(fs::read(path.with_extension("out")).expect("just written"), b"one\ntwo\n");
}

#[test]
fn o_nonblock_of_others_is_no_error() {
    // A shell's neighbour may have set it, on stdin and on stdout.
    let (stdin, feed) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).expect("a pipe");
    let (reader, stdout) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).expect("a pipe");
    let url = websockets::shared().url("/echo");
    let running = wspipe(["cat", &url, "-C", "2"]).stdin_from(stdin).stdout(stdout).start();
    thread::sleep(Duration::from_millis(100));
    rustix::io::write(&feed, b"one\ntwo\n").expect("a pipe takes that");
    running.finish().status(0).says_nothing();
    let mut buffer = [0; 64];
    let n = rustix::io::read(&reader, &mut buffer).expect("it was printed");
    assert_eq!(&buffer[..n], b"one\ntwo\n");
}
