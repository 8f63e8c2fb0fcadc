//! SOCKS5 (RFC 1928), with user name and password (RFC 1929) where there is a login. Bytes in, bytes out.

use std::net::IpAddr;

use super::{Host, Progress};
use crate::{config::proxy::Login, net::error::Obstacle, proto::format::excerpt};

const VERSION: u8 = 5;
/// Methods (RFC 1928 section 3).
const NO_AUTHENTICATION: u8 = 0;
const USERNAME_PASSWORD: u8 = 2;
const NONE_ACCEPTABLE: u8 = 0xff;
/// The version of the login's negotiation (RFC 1929 section 2).
const LOGIN_VERSION: u8 = 1;

/// Whether another address of the same server may fare better (RFC 1928 section 6): general failure, network
/// or host unreachable, connection refused, TTL expired, address type not supported.
pub(super) fn is_of_the_address(code: u8) -> bool {
    matches!(code, 1 | 3..=6 | 8)
}

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Method,
    Login,
    Reply,
}

/// The client's side of the handshake.
pub(super) struct Socks {
    stage: Stage,
    login: Option<Vec<u8>>,
    request: Vec<u8>,
    /// To be sent now.
    out: Vec<u8>,
    /// The message that is coming, as far as it is there.
    message: Vec<u8>,
}

impl Socks {
    /// A login has at most 255 bytes in each part, and a name has too: longer ones are cut, and do not come
    /// here (`config::Proxy`, `config::Url`).
    pub(super) fn new(host: &Host, port: u16, login: Option<&Login>) -> Socks {
        let login = login.map(|(user, password)| {
            let mut message = vec![LOGIN_VERSION];
            push_counted(&mut message, user);
            push_counted(&mut message, password);
            message
        });
        let out = match login {
            Some(_) => vec![VERSION, 2, NO_AUTHENTICATION, USERNAME_PASSWORD],
            None => vec![VERSION, 1, NO_AUTHENTICATION],
        };
        // CONNECT, and a reserved byte.
        let mut request = vec![VERSION, 1, 0];
        match host {
            Host::Address(IpAddr::V4(address)) => {
                request.push(1);
                request.extend(address.octets());
            }
            Host::Address(IpAddr::V6(address)) => {
                request.push(4);
                request.extend(address.octets());
            }
            Host::Name(name) => {
                request.push(3);
                push_counted(&mut request, name.as_bytes());
            }
        }
        request.extend(port.to_be_bytes());
        Socks { stage: Stage::Method, login, request, out, message: Vec::new() }
    }

    pub(super) fn poll_transmit(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    pub(super) fn handle_bytes(&mut self, bytes: &[u8]) -> Result<(usize, Progress), Obstacle> {
        let mut taken = 0;
        while let Some(byte) = bytes.get(taken) {
            self.message.push(*byte);
            taken += 1;
            self.check_version(bytes)?;
            let complete = match self.stage {
                Stage::Method | Stage::Login => self.message.len() == 2,
                Stage::Reply => self.reply_complete()?,
            };
            if complete && self.next()? {
                return Ok((taken, Progress::Open));
            }
        }
        Ok((taken, Progress::Going))
    }

    fn check_version(&self, bytes: &[u8]) -> Result<(), Obstacle> {
        let expected = if self.stage == Stage::Login { LOGIN_VERSION } else { VERSION };
        if self.message[0] == expected {
            return Ok(());
        }
        let start = excerpt(&bytes[..bytes.len().min(48)]);
        Err(Obstacle::Violation {
            why: format!("the answer is not SOCKS5: \"{start}\""),
            speaks: self.message.starts_with(b"H").then_some("http"),
        })
    }

    /// Whether the reply is all there (RFC 1928 section 6). A refusal is known by its second byte, and some
    /// send no more than that.
    fn reply_complete(&self) -> Result<bool, Obstacle> {
        let address = match *self.message.as_slice() {
            [_, code, ..] if code != 0 => return Err(Obstacle::Reply { code, addresses: Vec::new() }),
            [_, _, _, 1, ..] => 4,
            [_, _, _, 4, ..] => 16,
            [_, _, _, 3, length, ..] => 1 + usize::from(length),
            [_, _, _, 3] | [_] | [_, _] | [_, _, _] => return Ok(false),
            [_, _, _, kind, ..] => {
                let why = format!("the reply has an address of the unknown type {kind}");
                return Err(Obstacle::Violation { why, speaks: None });
            }
            [] => return Ok(false),
        };
        Ok(self.message.len() == 4 + address + 2)
    }

    /// A message is complete. True: it was the last.
    fn next(&mut self) -> Result<bool, Obstacle> {
        let message = std::mem::take(&mut self.message);
        let answer = message.get(1).copied().unwrap_or_default();
        match (self.stage, answer) {
            (Stage::Method, NO_AUTHENTICATION) => self.ask(),
            (Stage::Method, USERNAME_PASSWORD) if self.login.is_some() => {
                self.stage = Stage::Login;
                self.out = self.login.take().unwrap_or_default();
            }
            (Stage::Method, NONE_ACCEPTABLE) => {
                return Err(Obstacle::NoMethod { login: self.login.is_some() });
            }
            (Stage::Method, other) => {
                let why = format!("it chose the authentication method {other}, which was not offered");
                return Err(Obstacle::Violation { why, speaks: None });
            }
            (Stage::Login, 0) => self.ask(),
            (Stage::Login, _) => return Err(Obstacle::LoginRefused),
            (Stage::Reply, _) => return Ok(true),
        }
        Ok(false)
    }

    fn ask(&mut self) {
        self.stage = Stage::Reply;
        self.out = std::mem::take(&mut self.request);
    }
}

/// With its length in one byte before it.
fn push_counted(message: &mut Vec<u8>, bytes: &[u8]) {
    let length = u8::try_from(bytes.len()).unwrap_or(u8::MAX);
    message.push(length);
    message.extend_from_slice(&bytes[..usize::from(length)]);
}

#[cfg(test)]
mod tests;
