use super::*;

/// All that waits, by writes of at most `most` bytes.
fn written(out: &mut Printed, most: usize) -> Vec<u8> {
    let mut all = Vec::new();
    while !out.pending().is_empty() {
        let n = out.pending().len().min(most);
        all.extend_from_slice(&out.pending()[..n]);
        let before = out.len();
        out.written(n);
        assert_eq!(out.len(), before - n);
    }
    assert_eq!(out.len(), 0);
    all
}

#[test]
fn a_message_is_adopted_in_its_order() {
    for (before, behind) in [("", ""), ("before", ""), ("", "behind"), ("before", "behind")] {
        for most in [1, 4, 1000] {
            let mut out = Printed::default();
            let mut message = b"message".to_vec();
            out.tail().extend_from_slice(before.as_bytes());
            out.adopt(&mut message);
            out.tail().extend_from_slice(behind.as_bytes());
            // A second one waits its turn, by a copy.
            out.adopt(&mut b"second".to_vec());
            assert_eq!(out.len(), before.len() + behind.len() + 13);
            let expected = format!("{before}message{behind}second");
            assert_eq!(written(&mut out, most), expected.as_bytes(), "{most} bytes at once");
            let spare = out.take_spare();
            assert!(spare.capacity() >= 7);
            assert!(out.take_spare().capacity() == 0, "it is given back once");
            let mut again = Vec::with_capacity(100);
            again.extend_from_slice(b"again");
            let at = again.as_ptr();
            out.adopt(&mut again);
            assert_eq!(out.pending().as_ptr(), at, "no copy");
            assert_eq!(written(&mut out, most), b"again");
            let spare = out.take_spare();
            assert_eq!(spare.as_ptr(), at);
        }
    }
}

#[test]
fn a_part_that_was_written_does_not_come_again() {
    let mut out = Printed::default();
    out.tail().extend_from_slice(b"before");
    out.written(3);
    out.adopt(&mut b"message".to_vec());
    assert_eq!((out.pending(), out.len()), (&b"ore"[..], 10));
    out.written(3);
    out.written(4);
    out.tail().extend_from_slice(b"\n");
    assert_eq!(written(&mut out, 100), b"age\n");
}
