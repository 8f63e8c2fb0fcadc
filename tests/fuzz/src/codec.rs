//! Any bytes as packets: what is read can be written again and means the same, and pieces make no difference.

use bytes::BytesMut;
use wspipe::proto::mqtt::{
    codec::{self, AckType, Error},
    packet::{Ack, Outgoing, Packet, Publish, PublishProperties, QoS, Version},
};

use crate::{encode, pieces};

/// The largest packet that is taken.
const MAX: usize = 1 << 16;

/// The first byte chooses the pieces; the rest is what a server sends.
pub fn run(data: &[u8], version: Version) {
    let Some((&seed, stream)) = data.split_first() else { return };
    let whole = whole(stream, version);
    let cut = cut(stream, seed, version);
    assert_eq!(whole.0, cut.0, "packets in pieces");
    match (&whole.1, &cut.1) {
        // With fewer bytes there the topic may not be.
        (Some(Error::TooLarge(a, _)), Some(Error::TooLarge(b, _))) => assert_eq!(a, b),
        (a, b) => assert_eq!(a, b, "the error in pieces"),
    }
    let mut rest = stream;
    for len in whole.0 {
        let (packet, after) = rest.split_at(len);
        rest = after;
        match codec::decode(packet, version) {
            Ok(read) => again(packet, &read, version),
            Err(error) => fault(&error),
        }
    }
    // What was cut by nobody: decode says itself what is no whole packet.
    match (codec::decode(stream, version), codec::frame(stream, version, usize::MAX)) {
        (Ok(_), framed) => assert_eq!(framed, Ok(Some(stream.len()))),
        (Err(error), _) => fault(&error),
    }
}

fn fault(error: &Error) {
    assert!(matches!(error, Error::Malformed(_) | Error::Unexpected(_)), "{error:?}");
    crate::no_controls(&error.to_string());
    assert!(error.reason() >= 0x80);
}

/// The lengths of the packets, and what ended it.
fn whole(stream: &[u8], version: Version) -> (Vec<usize>, Option<Error>) {
    let (mut rest, mut lengths) = (stream, Vec::new());
    loop {
        match codec::frame(rest, version, MAX) {
            Ok(Some(len)) => {
                assert!((2..=rest.len()).contains(&len));
                lengths.push(len);
                rest = &rest[len..];
            }
            Ok(None) => return (lengths, None),
            Err(error) => return (lengths, Some(error)),
        }
    }
}

fn cut(stream: &[u8], seed: u8, version: Version) -> (Vec<usize>, Option<Error>) {
    let (mut start, mut end, mut lengths) = (0, 0, Vec::new());
    for piece in pieces(stream, seed) {
        end += piece.len();
        loop {
            match codec::frame(&stream[start..end], version, MAX) {
                Ok(Some(len)) => {
                    lengths.push(len);
                    start += len;
                }
                Ok(None) => break,
                Err(error) => return (lengths, Some(error)),
            }
        }
    }
    (lengths, None)
}

/// Written again, by the codec where a client sends such packets, it is read as the same.
fn again(bytes: &[u8], read: &Packet<'_>, version: Version) {
    let mut out = Vec::new();
    encode::packet(&mut out, version, read);
    assert_eq!(codec::decode(&out, version).as_ref(), Ok(read), "{out:02x?}");
    match read {
        Packet::Publish(publish) => publish_again(bytes.len(), publish, version),
        Packet::PubAck(ack) => ack_again(ack, AckType::PubAck, version),
        Packet::PubRec(ack) => ack_again(ack, AckType::PubRec, version),
        Packet::PubRel(ack) => ack_again(ack, AckType::PubRel, version),
        Packet::PubComp(ack) => ack_again(ack, AckType::PubComp, version),
        Packet::Disconnect { reason, .. } => {
            let mut out = BytesMut::new();
            if codec::disconnect(&mut out, version, *reason, None, &[]).is_ok() && *reason != 4 {
                let plain = Packet::Disconnect { reason: *reason, text: None, server_reference: None };
                assert_eq!(codec::decode(&out, version), Ok(plain), "{out:02x?}");
            }
        }
        Packet::Auth { reason, method: Some(method), data } => {
            let mut out = BytesMut::new();
            if codec::auth(&mut out, *reason, method, data.as_deref()).is_ok() {
                assert_eq!(codec::decode(&out, version).as_ref(), Ok(read), "{out:02x?}");
            }
        }
        _ => {}
    }
}

fn publish_again(len: usize, read: &Publish<'_>, version: Version) {
    assert_eq!(read.pkid == 0, read.qos == QoS::AtMostOnce);
    assert!(!read.topic.contains(['\0', '+', '#']), "{:?}", read.topic);
    let properties = read.properties.as_deref();
    // What a client may not send.
    let elsewhere = |p: &PublishProperties| {
        !p.subscription_identifiers.is_empty()
            || p.response_topic.as_deref().is_some_and(|t| t.is_empty() || t.contains(['+', '#']))
    };
    if properties.is_some_and(elsewhere) {
        return;
    }
    let packet = Outgoing {
        dup: read.dup,
        qos: read.qos,
        retain: read.retain,
        topic: read.topic,
        pkid: read.pkid,
        payload: read.payload,
        properties,
    };
    let mut out = BytesMut::new();
    codec::publish(&mut out, version, &packet).expect("it was read");
    assert_eq!((out.len(), codec::publish_size(version, &packet)), (len, Ok(len)));
    assert_eq!(codec::decode(&out, version).as_ref(), Ok(&Packet::Publish(clone(read))));
}

fn clone<'a>(p: &Publish<'a>) -> Publish<'a> {
    Publish { properties: p.properties.clone(), ..*p }
}

fn ack_again(read: &Ack, kind: AckType, version: Version) {
    let mut out = BytesMut::new();
    if codec::ack(&mut out, version, kind, read.pkid, read.reason).is_err() {
        return; // a reason that a client does not send
    }
    let ack = Ack { pkid: read.pkid, reason: read.reason, text: None };
    let expected = match kind {
        AckType::PubAck => Packet::PubAck(ack),
        AckType::PubRec => Packet::PubRec(ack),
        AckType::PubRel => Packet::PubRel(ack),
        AckType::PubComp => Packet::PubComp(ack),
    };
    assert_eq!(codec::decode(&out, version), Ok(expected), "{out:02x?}");
}
