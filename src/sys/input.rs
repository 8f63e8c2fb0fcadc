//! stdin, read only after poll(2) said that it is ready, so that no read blocks. O_NONBLOCK is not touched.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd},
};

use bytes::Bytes;
use rustix::{buffer::spare_capacity, io::Errno};

/// Bytes asked for at once: what a pipe holds on Linux.
const CHUNK: usize = 64 * 1024;
/// Below this a read is copied, so that one slow line does not pin a whole chunk.
const SMALL: usize = 8 * 1024;

/// The standard input.
pub struct Input {
    stdin: io::Stdin,
    buffer: Vec<u8>,
}

impl Input {
    /// The process's own.
    pub fn stdin() -> Input {
        Input { stdin: io::stdin(), buffer: Vec::new() }
    }

    /// What is there, at most 64 KiB; empty at the end. Call after poll(2) only.
    /// `WouldBlock` where another reader was faster.
    pub fn read(&mut self) -> io::Result<Bytes> {
        self.buffer.reserve(CHUNK);
        let n = loop {
            match rustix::io::read(&self.stdin, spare_capacity(&mut self.buffer)) {
                Ok(n) => break n,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        };
        if n < SMALL {
            let small = Bytes::copy_from_slice(&self.buffer);
            self.buffer.clear();
            return Ok(small);
        }
        Ok(Bytes::from(std::mem::take(&mut self.buffer)))
    }
}

impl AsFd for Input {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stdin.as_fd()
    }
}
