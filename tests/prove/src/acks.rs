//! A relay before the broker's plain MQTT port that keeps account of which records the broker acknowledged.

use std::{
    collections::HashMap,
    io::{self, Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use crate::{feeder::Feeder, flow::STUCK, ledger::number};

const PUBLISH: u8 = 3;
const PUBACK: u8 = 4;

/// The relay; its threads end with the process.
pub struct Acks {
    pub port: u16,
    account: Arc<Mutex<Account>>,
}

#[derive(Default)]
struct Account {
    acknowledged: Vec<bool>,
    /// How many of them.
    count: u64,
    pubacks: u64,
    connections: u64,
    /// What was wrong on the wire.
    error: Option<String>,
}

impl Acks {
    /// Between its own port and `broker`, for MQTT 5.0 with records from 0 to `total - 1` at QoS 1.
    pub fn start(broker: u16, total: u64) -> Result<Self, String> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|error| error.to_string())?;
        let port = listener.local_addr().map_err(|error| error.to_string())?.port();
        let account = Account { acknowledged: vec![false; total as usize], ..Account::default() };
        let account = Arc::new(Mutex::new(account));
        let shared = Arc::clone(&account);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // With the broker down the client sees its connection end.
                if let Ok(server) = TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, broker))) {
                    lock(&shared).connections += 1;
                    let _ = relay(client, server, &shared);
                }
            }
        });
        Ok(Self { port, account })
    }

    /// Records acknowledged by now.
    pub fn count(&self) -> u64 {
        lock(&self.account).count
    }

    /// Until so many are; `feeder` goes on as they come.
    pub fn wait_for(&self, goal: u64, feeder: &Feeder) -> Result<(), String> {
        let mut last = (0, Instant::now());
        loop {
            let count = self.count();
            feeder.set_arrived(count);
            if count >= goal {
                return Ok(());
            }
            if count != last.0 {
                last = (count, Instant::now());
            } else if last.1.elapsed() > STUCK {
                return Err(format!(
                    "nothing was acknowledged for {} s after {count} records",
                    STUCK.as_secs()
                ));
            }
            thread::sleep(Duration::from_micros(300));
        }
    }

    /// PUBACKs and connections, once every record is acknowledged.
    pub fn finish(&self) -> Result<(u64, u64), String> {
        let account = lock(&self.account);
        if let Some(error) = &account.error {
            return Err(error.clone());
        }
        let missing = account.acknowledged.iter().filter(|acknowledged| !**acknowledged).count();
        if missing > 0 {
            return Err(format!("pub ended with status 0, and {missing} records had no PUBACK"));
        }
        Ok((account.pubacks, account.connections))
    }
}

fn lock(account: &Mutex<Account>) -> MutexGuard<'_, Account> {
    account.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Two threads for one connection: packets of either way are noted before they are passed on.
fn relay(client: TcpStream, server: TcpStream, account: &Arc<Mutex<Account>>) -> io::Result<()> {
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let published = Arc::new(Mutex::new(HashMap::new()));
    let (to_client, to_server) = (client.try_clone()?, server.try_clone()?);
    let (noted, asked) = (Arc::clone(account), Arc::clone(&published));
    thread::spawn(move || {
        pump(client, to_server, |packet| match note_publish(packet) {
            Some((id, n)) => {
                let before = asked.lock().unwrap_or_else(PoisonError::into_inner).insert(id, n);
                if before.is_some() {
                    lock(&noted)
                        .error
                        .get_or_insert_with(|| "a packet id was used again in flight".to_owned());
                }
            }
            None if packet[0] >> 4 == PUBLISH => {
                lock(&noted).error.get_or_insert_with(|| "a PUBLISH with no record in it".to_owned());
            }
            None => {}
        });
    });
    let account = Arc::clone(account);
    thread::spawn(move || {
        pump(server, to_client, |packet| {
            if packet[0] >> 4 != PUBACK {
                return;
            }
            let mut account = lock(&account);
            account.pubacks += 1;
            let id = fixed_header(packet).and_then(|(start, _)| packet.get(start..start + 2));
            let n = id.and_then(|id| published.lock().unwrap_or_else(PoisonError::into_inner).remove(id));
            match n.and_then(|n| account.acknowledged.get_mut(n as usize)) {
                Some(acknowledged) => {
                    let first = !std::mem::replace(acknowledged, true);
                    account.count += u64::from(first);
                }
                None => account.error = Some("a PUBACK for no PUBLISH of this connection".to_owned()),
            }
        });
    });
    Ok(())
}

/// Passes on until either side ends, whole packets at a time.
fn pump(mut from: TcpStream, mut to: TcpStream, mut note: impl FnMut(&[u8])) {
    let mut held = Vec::new();
    let mut some = vec![0; 65_536];
    while let Ok(n @ 1..) = from.read(&mut some) {
        held.extend_from_slice(&some[..n]);
        let mut done = 0;
        while let Some((start, rest)) = fixed_header(&held[done..]) {
            let Some(packet) = held.get(done..done + start + rest) else { break };
            note(packet);
            done += start + rest;
        }
        if to.write_all(&held[..done]).is_err() {
            break;
        }
        held.drain(..done);
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

/// The length of the fixed header, and what it says of the rest; `None` where it is not all there.
fn fixed_header(data: &[u8]) -> Option<(usize, usize)> {
    let (length, bytes) = variable_integer(data.get(1..)?)?;
    Some((1 + bytes, length))
}

/// A Variable Byte Integer and its length (MQTT 5.0, 1.5.5).
fn variable_integer(data: &[u8]) -> Option<(usize, usize)> {
    let mut value = 0;
    for (i, byte) in data.iter().take(4).enumerate() {
        value |= usize::from(byte & 0x7f) << (7 * i);
        if byte & 0x80 == 0 {
            return Some((value, i + 1));
        }
    }
    None
}

/// The packet id and the record's number of a PUBLISH at QoS 1 in MQTT 5.0.
fn note_publish(packet: &[u8]) -> Option<([u8; 2], u64)> {
    if packet[0] >> 4 != PUBLISH || packet[0] & 0x06 != 0x02 {
        return None;
    }
    let body = packet.get(fixed_header(packet)?.0..)?;
    let topic = usize::from(u16::from_be_bytes([*body.first()?, *body.get(1)?]));
    let id = [*body.get(2 + topic)?, *body.get(3 + topic)?];
    let behind = body.get(4 + topic..)?;
    let (properties, bytes) = variable_integer(behind)?;
    Some((id, number(behind.get(bytes + properties..)?)?))
}
