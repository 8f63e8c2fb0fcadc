//! Any text as a URL of any purpose, as a proxy, and as where a redirect leads.
#![no_main]

use wspipe::{
    cli::{self, Invocation},
    config::{
        Endpoint, Mode,
        proxy::Proxy,
        route::{self, ConnectTo, Resolve},
        url::{self, Purpose},
    },
    net::fuzz,
};
use wspipe_fuzz::no_controls;

const PURPOSES: [Purpose; 3] = [Purpose::WebSocket, Purpose::Mqtt, Purpose::Listen];

fn endpoint() -> Endpoint {
    let args = ["echo", "--location", "-H", "Cookie: a=b", "ws://u:p@example.org:8080/a/b?c"];
    match cli::parse(args.iter().map(Into::into), &|_| None) {
        Ok(Invocation::Run(config)) => match config.mode {
            Mode::Echo(endpoint, _) => endpoint,
            _ => panic!("it is echo"),
        },
        other => panic!("it is a run: {other:?}"),
    }
}

thread_local!(static ENDPOINT: Endpoint = endpoint());

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((&choice, text)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    match choice % 8 {
        0..=2 => parsed(text, PURPOSES[usize::from(choice % 8)]),
        3..=4 => redirected(text),
        5 => {
            let _ = Proxy::parse(text).map_err(|why| no_controls(&why.to_string()));
        }
        6 => {
            let _ = Resolve::parse(text).map_err(|why| no_controls(&why.to_string()));
            let _ = ConnectTo::parse(text).map_err(|why| no_controls(&why.to_string()));
            let _ = route::address(text).map_err(|why| no_controls(&why.to_string()));
        }
        _ => {
            let waits = fuzz::retry_after(text, 1_800_000_000);
            assert!(waits.is_none_or(|wait| wait.as_secs() <= 3600));
        }
    }
});

/// What is read is written and read again as the same.
fn parsed(text: &str, purpose: Purpose) {
    let (url, userinfo) = match url::parse(text, purpose) {
        Ok(read) => read,
        Err(why) => return no_controls(&why.to_string()),
    };
    assert!(!url.host.is_empty() && (url.port != 0 || purpose == Purpose::Listen));
    assert_eq!(url.scheme.is_websocket(), url.target.starts_with('/'));
    assert!(url.target.is_ascii() && !url.target.contains(|c: char| c.is_control() || c == ' '));
    let again = url::parse(&url.to_string(), purpose);
    assert_eq!(again.as_ref(), Ok(&(url.clone(), None)), "{text:?}");
    let shown = url.shown();
    no_controls(&shown);
    assert!(shown.find('?').is_none_or(|at| &shown[at..] == "?..."), "{shown}");
    let _ = format!("{url:?} {userinfo:?}");
}

fn redirected(location: &str) {
    let _ = fuzz::public_location(location);
    ENDPOINT.with(|from| {
        let mut to = from.clone();
        match fuzz::redirect(&mut to, location) {
            Ok(()) => {
                let url = &to.url;
                assert_eq!(url::parse(&url.to_string(), Purpose::WebSocket), Ok((url.clone(), None)));
                assert!(
                    !url.target.split('?').next().unwrap_or_default().split('/').any(|part| part == "..")
                );
                let same =
                    (url.scheme, &url.host, url.port) == (from.url.scheme, &from.url.host, from.url.port);
                let secret = to.headers.iter().any(|(name, _)| name == "Cookie" || name == "Authorization");
                assert_eq!(same, secret, "logins go to the same server only: {location:?}");
            }
            Err(fault) => {
                no_controls(&fault.to_string());
                assert_eq!((&to.url, &to.headers), (&from.url, &from.headers));
            }
        }
    });
}
