//! A second MQTT client, of a few lines: who else would say whether a will fired?

use std::{
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    time::Duration,
};

use super::{
    PATIENCE,
    scripted::{read_packet, remaining_length},
};

/// A subscriber in 3.1.1 at QoS 0.
pub struct Watcher {
    stream: TcpStream,
}

/// A message as it came.
#[derive(Debug, PartialEq, Eq)]
pub struct Seen {
    pub topic: String,
    pub payload: Vec<u8>,
    pub retain: bool,
}

impl Watcher {
    /// Connected to the plain port, SUBACK received.
    pub fn subscribe(port: u16, filter: &str) -> Watcher {
        let mut watcher = Watcher::connect(port);
        let mut body = vec![0, 1];
        string(&mut body, filter);
        body.push(0);
        watcher.send(0x82, &body);
        assert_eq!(watcher.packet(), [0x90, 3, 0, 1, 0], "SUBACK");
        watcher
    }

    fn connect(port: u16) -> Watcher {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("the broker listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("not zero");
        let mut watcher = Watcher { stream };
        let mut body = b"\0\x04MQTT\x04\x02\0\0".to_vec();
        string(&mut body, "");
        watcher.send(0x10, &body);
        assert_eq!(watcher.packet(), [0x20, 2, 0, 0], "CONNACK");
        watcher
    }

    /// Publishes at QoS 0 and makes sure that the broker has it; an empty retained payload clears.
    pub fn publish(port: u16, topic: &str, payload: &[u8], retain: bool) {
        let mut watcher = Watcher::connect(port);
        let mut body = Vec::new();
        string(&mut body, topic);
        body.extend_from_slice(payload);
        watcher.send(0x30 | u8::from(retain), &body);
        watcher.send(0xc0, &[]);
        assert_eq!(watcher.packet(), [0xd0, 0], "PINGRESP");
    }

    /// The next message.
    pub fn next(&mut self) -> Seen {
        let packet = self.packet();
        assert_eq!(packet[0] & 0xf6, 0x30, "a PUBLISH at QoS 0: {packet:02x?}");
        seen(&packet)
    }

    /// What the broker had for us up to now: it answers a PINGREQ behind that.
    pub fn all_so_far(&mut self) -> Vec<Seen> {
        self.send(0xc0, &[]);
        let mut all = Vec::new();
        loop {
            let packet = self.packet();
            if packet == [0xd0, 0] {
                return all;
            }
            all.push(seen(&packet));
        }
    }

    /// Nothing comes for this long.
    pub fn quiet_for(&mut self, time: Duration) -> bool {
        self.stream.set_read_timeout(Some(time)).expect("not zero");
        let quiet = matches!(self.stream.peek(&mut [0]), Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut));
        self.stream.set_read_timeout(Some(PATIENCE)).expect("not zero");
        quiet
    }

    fn send(&mut self, first: u8, body: &[u8]) {
        let mut packet = vec![first];
        packet.extend(remaining_length(body.len()));
        packet.extend_from_slice(body);
        self.stream.write_all(&packet).expect("the broker is there");
    }

    fn packet(&mut self) -> Vec<u8> {
        read_packet(|buffer| self.stream.read_exact(buffer)).expect("the broker sends within its time")
    }
}

fn seen(packet: &[u8]) -> Seen {
    let start = 1 + packet[1..].iter().take_while(|b| **b >= 0x80).count() + 1;
    let length = usize::from(u16::from_be_bytes([packet[start], packet[start + 1]]));
    let (topic, payload) = packet[start + 2..].split_at(length);
    let topic = String::from_utf8_lossy(topic).into_owned();
    Seen { topic, payload: payload.to_vec(), retain: packet[0] & 1 == 1 }
}

fn string(body: &mut Vec<u8>, text: &str) {
    body.extend((text.len() as u16).to_be_bytes());
    body.extend_from_slice(text.as_bytes());
}
