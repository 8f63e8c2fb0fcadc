use super::*;
use crate::{config::Scheme, net::tests::endpoint};

fn url(text: &str) -> Url {
    url::parse(text, Purpose::WebSocket).unwrap_or_else(|why| panic!("{text}: {why}")).0
}

fn leads(base: &str, location: &str) -> String {
    target(&url(base), location).unwrap_or_else(|why| panic!("{location}: {why}")).to_string()
}

#[test]
fn references_of_rfc_3986() {
    // Section 5.4, as far as a WebSocket URL has it: no fragment, no ';' of its own.
    const BASE: &str = "ws://a/b/c/d;p?q";
    for (location, expected) in [
        ("g", "ws://a/b/c/g"),
        ("./g", "ws://a/b/c/g"),
        ("g/", "ws://a/b/c/g/"),
        ("/g", "ws://a/g"),
        ("//g", "ws://g/"),
        ("?y", "ws://a/b/c/d;p?y"),
        ("g?y", "ws://a/b/c/g?y"),
        ("#s", "ws://a/b/c/d;p?q"),
        ("g#s", "ws://a/b/c/g"),
        ("g?y#s", "ws://a/b/c/g?y"),
        (";x", "ws://a/b/c/;x"),
        ("g;x=1/../y", "ws://a/b/c/y"),
        (".", "ws://a/b/c/"),
        ("./", "ws://a/b/c/"),
        ("..", "ws://a/b/"),
        ("../", "ws://a/b/"),
        ("../g", "ws://a/b/g"),
        ("../..", "ws://a/"),
        ("../../g", "ws://a/g"),
        ("../../../g", "ws://a/g"),
        ("/./g", "ws://a/g"),
        ("/../g", "ws://a/g"),
        ("g.", "ws://a/b/c/g."),
        ("..g", "ws://a/b/c/..g"),
        ("./../g", "ws://a/b/g"),
        ("./g/.", "ws://a/b/c/g/"),
        ("g/./h", "ws://a/b/c/g/h"),
        ("g/../h", "ws://a/b/c/h"),
        ("g?y/../x", "ws://a/b/c/g?y/../x"),
        ("a:b/c", ""),
    ] {
        if expected.is_empty() {
            assert!(target(&url(BASE), location).is_err(), "{location}");
        } else {
            assert_eq!(leads(BASE, location), expected, "{location}");
        }
    }
}

#[test]
fn schemes_are_mapped_and_logins_dropped() {
    for (location, expected) in [
        ("http://h/x", "ws://h/x"),
        ("HTTPS://H:8443", "wss://h:8443/"),
        ("wss://u:secret@h?q", "wss://h/?q"),
        ("ws://[::1]:80/", "ws://[::1]/"),
        ("//u@h:81/a b", "wss://h:81/a%20b"),
        ("/\u{e9}\"", "wss://base:9/%C3%A9%22"),
        ("  /x \t", "wss://base:9/x"),
    ] {
        assert_eq!(leads("wss://base:9/p", location), expected);
    }
    for (location, part) in [
        ("ftp://h/", "scheme 'ftp' is none of http"),
        ("mqtt://h/", "scheme 'mqtt'"),
        ("http:/h", "no '//'"),
        ("http://", "no host"),
        ("http://h:99999/", "port '99999'"),
        ("http://\u{e9}/", "not ASCII"),
        ("/%zz", "'%' at position"),
        ("/a\u{7}b", "control character"),
        ("http://u:secret@h:x/", "port 'x'"),
    ] {
        let why = target(&url("ws://base/"), location).unwrap_err();
        assert!(why.contains(part) && !why.contains("secret"), "{location}: {why}");
    }
}

#[test]
fn what_is_shown_of_a_location() {
    for (location, shown) in [
        ("/a/@b", "/a/@b"),
        ("/a?token=secret", "/a?..."),
        ("http://u:secret@h/@x?secret", "http://...@x?..."),
        ("//u:se@cret@h", "//...@h"),
        ("http://u:se/cret@h/", "http://...@h/"),
        ("http://h/", "http://h/"),
        ("", ""),
        ("?", "?..."),
        ("\u{e9}//\u{e9}@\u{e9}/", "\u{e9}//...@\u{e9}/"),
    ] {
        assert_eq!(public(location), shown);
    }
}

#[test]
fn what_stays_behind() {
    let given = ["Authorization", "cookie", "Host", "X-Key", "Origin"];
    let names = |endpoint: &Endpoint| -> Vec<String> {
        endpoint.headers.iter().map(|(name, _)| name.clone()).collect()
    };
    for (location, kept) in [
        ("/x", &given[..]),
        ("ws://127.0.0.1:80/y", &given[..]),
        ("http://127.0.0.1:81/", &given[3..]),
        ("ws://other/", &given[3..]),
        ("wss://127.0.0.1/", &given[3..]),
        ("wss://127.0.0.1:80/", &given[3..]),
    ] {
        let mut endpoint = endpoint(Scheme::Ws, 80);
        endpoint.headers = given.map(|name| (name.to_owned(), "secret".to_owned())).to_vec();
        endpoint.redirects = Some(1);
        endpoint.tls.servername = Some("name".to_owned());
        follow(&mut endpoint, Some(location), 0).unwrap();
        assert_eq!(names(&endpoint), kept, "{location}");
        assert_eq!(endpoint.tls.servername.is_some(), !location.contains("other"), "{location}");
    }
}

#[test]
fn what_is_not_followed() {
    let go = |scheme, location: Option<&str>, followed, login| {
        let mut endpoint = endpoint(scheme, 443);
        (endpoint.redirects, endpoint.connect_login) = (Some(2), login);
        let before = endpoint.url.clone();
        let fault = follow(&mut endpoint, location, followed).unwrap_err();
        assert_eq!(endpoint.url, before);
        (fault.status(), fault.to_string())
    };
    let (status, text) = go(Scheme::Wss, Some("ws://127.0.0.1:443/x?token=secret"), 0, false);
    assert_eq!(status, 22);
    assert_eq!(text, "it leads from wss:// to ws://127.0.0.1:443/x?... and is not followed");
    let (status, text) = go(Scheme::Ws, Some("/x"), 2, false);
    assert_eq!((status, text.as_str()), (47, "after 2 redirects there is one more, to ws://127.0.0.1:443/x"));
    assert_eq!(go(Scheme::Ws, None, 0, false).0, 8);
    assert_eq!(go(Scheme::Ws, Some(""), 0, false), (8, "it has no Location".to_owned()));
    assert_eq!(go(Scheme::Ws, Some("x:y"), 0, false).0, 8);
    let (status, text) = go(Scheme::Ws, Some("wss://127.0.0.1/"), 0, true);
    assert!(status == 22 && text.contains("where the login would be sent"), "{text}");
    let mut same = endpoint(Scheme::Ws, 443);
    (same.redirects, same.connect_login) = (Some(2), true);
    assert_eq!(follow(&mut same, Some("/mqtt/"), 0), Ok(()));
    assert_eq!(same.url.target, "/mqtt/");
}

/// xorshift64: each failure repeats.
fn below(state: &mut u64, n: usize) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    (*state >> 11) as usize % n
}

#[test]
fn any_location_is_a_url_or_refused() {
    const PIECES: &[&str] = &[
        "http:",
        "https:",
        "wss:",
        "ftp:",
        "//",
        "/",
        "h",
        "u:secret@",
        "@",
        ":",
        ":81",
        "[::1]",
        "[",
        ".",
        "..",
        "/./",
        "/../",
        "?",
        "?q",
        "#",
        "#f",
        "%",
        "%2",
        "%41",
        " ",
        "\t",
        "\0",
        "\u{e9}",
        "\u{fffd}",
        "\\",
        ";",
        "://",
    ];
    let bases = ["ws://b/", "wss://b:8/a/b?c", "ws://[::1]:8/a/../b/", "ws://b/%2e/x"].map(url);
    let mut state = 0x2545_f491_4f6c_dd1d;
    let mut passed = 0;
    for _ in 0..300_000 {
        let mut location = String::new();
        for _ in 0..below(&mut state, 9) {
            location.push_str(PIECES[below(&mut state, PIECES.len())]);
        }
        let base = &bases[below(&mut state, bases.len())];
        let shown = public(&location);
        assert!(!shown.contains("//u:secret@"), "{location:?}: {shown}");
        let found = match target(base, &location) {
            Ok(found) => found,
            Err(why) => {
                let fault = Fault::Malformed(why).to_string();
                assert!(!fault.contains(char::is_control), "{location:?}: {fault}");
                continue;
            }
        };
        passed += 1;
        assert!(
            found.target.starts_with('/') && found.target.bytes().all(|b| b.is_ascii_graphic()),
            "{location:?}"
        );
        assert!(found.port != 0 && !found.target.contains('#'), "{location:?}: {found}");
        let path = found.target.split('?').next().unwrap_or_default();
        assert!(path.split('/').all(|segment| segment != "." && segment != ".."), "{location:?}: {found}");
        assert_eq!(url(&found.to_string()), found, "{location:?}");
    }
    assert!(passed > 50_000, "the pieces make too few good ones: {passed}");
}
