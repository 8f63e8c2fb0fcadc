//! Any answer of a proxy, SOCKS5 or HTTP, whole and in pieces.
#![no_main]

use std::mem::discriminant;

use wspipe::net::{Error, Obstacle, Peer, fuzz::proxy};
use wspipe_fuzz::{no_controls, pieces};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let [seed, bits, bytes @ ..] = data else { return };
    let (http, login) = (bits & 1 != 0, bits & 2 != 0);
    let (own, whole) = proxy(http, login, &[bytes]);
    let (cut_own, cut) = proxy(http, login, &pieces(bytes, *seed));
    assert!(own <= bytes.len());
    match (&whole, &cut) {
        // What follows is the server's: not a byte of it may be taken.
        (None, None) => assert_eq!(own, cut_own),
        (Some(Obstacle::Refused { refusal: a, .. }), Some(Obstacle::Refused { refusal: b, .. })) => {
            assert_eq!((a.status, &a.reason, &a.location), (b.status, &b.reason, &b.location));
            assert_eq!((&a.retry_after, &a.www_authenticate), (&b.retry_after, &b.www_authenticate));
            assert!(a.body.starts_with(&b.body) && a.body.len() <= 4096);
        }
        (Some(a), Some(b)) => assert_eq!(discriminant(a), discriminant(b), "{a:?} / {b:?}"),
        (a, b) => panic!("whole: {a:?}, in pieces: {b:?}"),
    }
    if let Some(why) = whole {
        let peer = |port| Peer { host: String::from("example.org"), port };
        let error = Error::Proxy { proxy: peer(1080), peer: peer(80), why: Box::new(why) };
        no_controls(&error.to_string());
        let _ = (error.hint(), error.status(), error.retry_after(1_800_000_000));
    }
});
