//! A relay before the broker's plain MQTT port that keeps account of which records the broker acknowledged.

use std::{
    collections::HashMap,
    io::{self, Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use crate::{
    feeder::Feeder,
    flow::STUCK,
    ledger::number,
    peer::{
        held,
        packet::{self, Publish},
    },
};

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
                    held(&shared).connections += 1;
                    let _ = relay(client, server, &shared);
                }
            }
        });
        Ok(Self { port, account })
    }

    /// Records acknowledged by now.
    pub fn count(&self) -> u64 {
        held(&self.account).count
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
        let account = held(&self.account);
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
                let before = held(&asked).insert(id, n);
                if before.is_some() {
                    held(&noted)
                        .error
                        .get_or_insert_with(|| "a packet id was used again in flight".to_owned());
                }
            }
            None if packet[0] >> 4 == PUBLISH => {
                held(&noted).error.get_or_insert_with(|| "a PUBLISH with no record in it".to_owned());
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
            let mut account = held(&account);
            account.pubacks += 1;
            let id = packet::rest(packet).first_chunk().map(|id| u16::from_be_bytes(*id));
            let n = id.and_then(|id| held(&published).remove(&id));
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
    let mut all = Vec::new();
    let mut some = vec![0; 65_536];
    while let Ok(n @ 1..) = from.read(&mut some) {
        all.extend_from_slice(&some[..n]);
        let mut done = 0;
        while let Some(length) = packet::length(&all[done..]) {
            let Some(packet) = all.get(done..done + length) else { break };
            note(packet);
            done += length;
        }
        if to.write_all(&all[..done]).is_err() {
            break;
        }
        all.drain(..done);
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

/// The packet id and the record's number of a PUBLISH at QoS 1 in MQTT 5.0.
fn note_publish(packet: &[u8]) -> Option<(u16, u64)> {
    if packet[0] >> 4 != PUBLISH {
        return None;
    }
    let publish = Publish::decode(packet, true).filter(|publish| publish.qos == 1)?;
    Some((publish.id, number(&publish.payload)?))
}
