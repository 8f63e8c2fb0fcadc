//! The rules for subprotocols, and chunks. The request has tests of its own, and whole upgrades are in `net::tests`.

use super::*;

#[test]
fn subprotocol_rules() {
    let ok = |offered: &[&str], chosen: &[&str]| {
        let offered: Vec<_> = offered.iter().map(|name| (*name).to_owned()).collect();
        let chosen: Vec<_> = chosen.iter().map(|name| name.as_bytes()).collect();
        subprotocol(&offered, &chosen)
    };
    assert_eq!(ok(&["a", "b"], &["b"]), Ok(Some(String::from("b"))));
    assert_eq!(ok(&[], &[]), Ok(None));
    assert_eq!(ok(&["mqtt"], &[]), Ok(None));
    assert!(ok(&["a"], &["A"]).is_err());
    assert!(ok(&["a", "b"], &["a", "b"]).is_err());
    assert!(ok(&["a", "b"], &["a, b"]).is_err());
    assert!(ok(&[], &["mqtt"]).is_err());
    // What Kubernetes' API server sends where it chose none.
    assert_eq!((ok(&["a"], &[""]), ok(&["mqtt"], &[""]), ok(&[], &[""])), (Ok(None), Ok(None), Ok(None)));
    assert!(ok(&["a"], &["a", ""]).is_err() && ok(&["a"], &["a,"]).is_err());
    // The listed deviation.
    for chosen in [&["mqttv3.1", "mqtt"][..], &["mqttv3.1, mqtt"], &["mqtt", "mqtt"], &["MQTT"]] {
        assert_eq!(ok(&["mqtt"], chosen), Ok(Some(String::from("mqtt"))));
    }
    assert_eq!(ok(&["mqttv3.1"], &["mqtt"]), Ok(Some(String::from("mqtt"))));
    assert!(ok(&["mqtt"], &["amqp"]).is_err());
}

#[test]
fn chunks() {
    assert_eq!(dechunk(b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"), (b"abcde".to_vec(), true));
    assert_eq!(dechunk(b"3\r\nabc\r\n5\r\nde"), (b"abcde".to_vec(), false));
    assert_eq!(dechunk(b"3\r\nabc"), (b"abc".to_vec(), false));
    assert_eq!(dechunk(b""), (Vec::new(), false));
    assert_eq!(dechunk(b"<html>"), (Vec::new(), true));
    assert_eq!(dechunk(b"ffffffffffffffff\r\nab"), (b"ab".to_vec(), false));
}

/// The error of what came in these pieces, and then ended.
fn failure(pieces: &[&[u8]]) -> String {
    match super::drive::drive(pieces, false, true).1 {
        super::drive::Outcome::Failed(error) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_no_http_needs_no_newline_to_be_known() {
    // A long greeting that comes at once, and one in pieces.
    let greeting = [b"\xfa".repeat(1100), b"x".repeat(3000)].concat();
    assert!(failure(&[&greeting]).contains("the answer is not HTTP"), "{}", failure(&[&greeting]));
    let late = [b"HTTP/1.1 101 ".to_vec(), vec![b'x'; 1200], vec![0; 30]].concat();
    let pieces: Vec<&[u8]> = late.chunks(100).collect();
    assert!(failure(&pieces).contains("malformed HTTP response head"), "{}", failure(&pieces));
    assert_eq!(failure(&pieces), failure(&[&late]));
    assert!(failure(&pieces[..12]).contains("within the response head"), "{}", failure(&pieces[..12]));
}
