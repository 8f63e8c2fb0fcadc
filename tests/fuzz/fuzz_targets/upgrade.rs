//! Any answer to the request to upgrade, whole and in pieces.
#![no_main]

use std::mem::discriminant;

use wspipe::net::{
    Error,
    fuzz::{Outcome, upgrade},
};
use wspipe_fuzz::{no_controls, pieces};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let [seed, bits, bytes @ ..] = data else { return };
    let (follow, ends) = (bits & 1 != 0, bits & 2 != 0);
    let whole = upgrade(&[bytes], follow, ends).1;
    let cut = pieces(bytes, *seed);
    let (looked_at, in_pieces) = upgrade(&cut, follow, ends);
    match (&whole, &in_pieces) {
        (Outcome::Waiting, Outcome::Waiting) => {}
        (Outcome::Upgraded(a, rest), Outcome::Upgraded(b, other)) => {
            let later: Vec<u8> = cut[looked_at..].concat();
            assert_eq!((a, rest), (b, &[other.as_slice(), &later].concat()));
            assert!(rest.len() + 150 < bytes.len(), "so short a head");
            assert!(a.as_deref().is_none_or(|name| name == "mqtt"), "{a:?}");
        }
        // A body ends where what came is enough.
        (
            Outcome::Failed(Error::Refused { refusal: a, .. }),
            Outcome::Failed(Error::Refused { refusal: b, .. }),
        ) => {
            assert_eq!((a.status, &a.reason, &a.location), (b.status, &b.reason, &b.location));
            assert_eq!((&a.retry_after, &a.www_authenticate), (&b.retry_after, &b.www_authenticate));
            assert!(a.body.starts_with(&b.body) && a.body.len() <= 4096);
        }
        (Outcome::Failed(a), Outcome::Failed(b)) => assert_eq!(discriminant(a), discriminant(b), "{a} / {b}"),
        (a, b) => panic!("whole: {a:?}, in pieces: {b:?}"),
    }
    if let Outcome::Failed(error) = whole {
        no_controls(&error.to_string());
        let _ = (error.hint(), error.status(), error.retry_after(1_800_000_000));
    }
});
