//! What stands at the pipes.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read, Write},
    net::TcpStream,
    os::fd::AsFd,
};

use rustix::event::{PollFd, PollFlags, poll};

use crate::{now, pace};

/// About how much is handed to one write.
const BLOCK: usize = 256 * 1024;

/// Writes `count` records of `size` payload bytes to stdout: with a newline after each, a length before
/// each, or nothing between them.
pub fn feed(count: u64, size: usize, format: &str) -> io::Result<()> {
    if size > BLOCK {
        return feed_large(count, size, format);
    }
    let payload: Vec<u8> = (0..size).map(|n| b'a' + (n % 26) as u8).collect();
    let mut record = Vec::new();
    match format {
        "line" => {
            record.extend_from_slice(&payload);
            record.push(b'\n');
        }
        "length" => {
            record.extend_from_slice(&(size as u32).to_be_bytes());
            record.extend_from_slice(&payload);
        }
        "raw" => record = payload,
        _ => return Err(io::Error::other("format= takes line, length or raw")),
    }
    let each = (BLOCK / record.len()).max(1);
    let block = record.repeat(each);
    let mut stdout = stdout()?;
    let mut left = count;
    while left > 0 {
        let part = left.min(each as u64);
        stdout.write_all(&block[..part as usize * record.len()])?;
        left -= part;
    }
    Ok(())
}

/// The same for records that are not made beforehand: while that lasts, the clock of the client runs.
fn feed_large(count: u64, size: usize, format: &str) -> io::Result<()> {
    let length = (size as u32).to_be_bytes();
    let (before, behind): (&[u8], &[u8]) = match format {
        "line" => (b"", b"\n"),
        "length" => (&length, b""),
        "raw" => (b"", b""),
        _ => return Err(io::Error::other("format= takes line, length or raw")),
    };
    let letters: Vec<u8> = (b'a'..=b'z').cycle().take(BLOCK / 26 * 26).collect();
    let mut stdout = stdout()?;
    for _ in 0..count {
        stdout.write_all(before)?;
        let mut left = size;
        while left > 0 {
            let part = left.min(letters.len());
            stdout.write_all(&letters[..part])?;
            left -= part;
        }
        stdout.write_all(behind)?;
    }
    Ok(())
}

/// stdout without std's buffer, which looks for newlines in all that it gets.
pub fn stdout() -> io::Result<File> {
    Ok(File::from(io::stdout().as_fd().try_clone_to_owned()?))
}

pub fn stdin() -> io::Result<File> {
    Ok(File::from(io::stdin().as_fd().try_clone_to_owned()?))
}

/// Reads stdin to the end, or where `short` to `bytes` bytes; `end` is when `bytes` bytes had come.
pub fn drain(bytes: u64, rate: u64, short: bool) -> io::Result<()> {
    let mut stdin = stdin()?;
    let mut buffer = vec![0; BLOCK];
    let (mut count, mut start, mut end) = (0u64, 0, 0);
    loop {
        let n = stdin.read(&mut buffer)?;
        if n == 0 {
            break;
        }
        if count == 0 {
            start = now();
        }
        count += n as u64;
        pace(start, count, rate);
        if count >= bytes && end == 0 {
            end = now();
            if short {
                break;
            }
        }
    }
    println!(r#"{{"start":{start},"end":{end},"bytes":{count}}}"#);
    Ok(())
}

/// Writes a line of `size` bytes (its newline not counted) and reads one back, `count` times.
/// `among`: other lines may come before the one that is waited for.
pub fn pingpong(count: usize, size: usize, among: bool) -> io::Result<()> {
    let mut stdout = stdout()?;
    let mut stdin = BufReader::new(stdin()?);
    let mut line = vec![b'p'; size];
    line.push(b'\n');
    let mut answer = Vec::new();
    let mut times = Vec::with_capacity(count);
    // The first trips wait for the connection and warm the caches.
    for trip in 0..count + count / 10 + 1 {
        let start = now();
        stdout.write_all(&line)?;
        loop {
            answer.clear();
            let n = stdin.read_until(b'\n', &mut answer)?;
            if answer == line {
                break;
            }
            if n == 0 || !among {
                return Err(io::Error::other("the echo differs, or did not come"));
            }
        }
        if trip > count / 10 {
            times.push(now() - start);
        }
    }
    let sum: u64 = times.iter().sum();
    times.sort_unstable();
    let at = |part: usize| times[(times.len() - 1) * part / 100];
    eprintln!(
        r#"{{"mean":{},"p50":{},"p90":{},"p99":{}}}"#,
        sum / times.len() as u64,
        at(50),
        at(90),
        at(99)
    );
    Ok(())
}

/// The least that a program in wspipe's place has to do: poll(2) on stdin and a socket, what comes from one
/// written to the other.
pub fn relay(port: u16) -> io::Result<()> {
    let mut stdin = stdin()?;
    let mut stdout = stdout()?;
    let mut socket = TcpStream::connect(("127.0.0.1", port))?;
    socket.set_nodelay(true)?;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let mut fds = [PollFd::new(&stdin, PollFlags::IN), PollFd::new(&socket, PollFlags::IN)];
        poll(&mut fds, None)?;
        let (from_stdin, from_socket) = (!fds[0].revents().is_empty(), !fds[1].revents().is_empty());
        if from_stdin {
            match stdin.read(&mut buffer)? {
                0 => return Ok(()),
                n => socket.write_all(&buffer[..n])?,
            }
        }
        if from_socket {
            match socket.read(&mut buffer)? {
                0 => return Ok(()),
                n => stdout.write_all(&buffer[..n])?,
            }
        }
    }
}
