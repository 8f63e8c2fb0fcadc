//! The server's side of the opening handshake (RFC 6455 section 4.2): a request head in, a response out.

use base64::prelude::{BASE64_STANDARD, Engine as _};

use super::{MAX_HEAD, MAX_HEADERS, accept_key, has_token, tokens};

/// A valid request to upgrade.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Path and query as in the request line.
    pub target: String,
    /// Subprotocols offered, in the client's order of preference.
    pub subprotocols: Vec<String>,
    /// Length of the head in bytes; what follows is the client's first frames.
    pub head_len: usize,
    key: String,
}

/// Why a request is not upgraded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refuse {
    /// 400: no well-formed request, or a header of the handshake is missing or wrong.
    BadRequest(&'static str),
    /// 404: this path does not upgrade; said by the caller.
    NotFound,
    /// 405: not GET.
    MethodNotAllowed,
    /// 426: no request to upgrade to WebSocket version 13.
    UpgradeRequired,
    /// 431: the head exceeds 64 KiB or 124 headers.
    TooLarge,
}

impl Request {
    /// The path without the query.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }
}

/// Parses the head of a request, which may still be incomplete (`None`: call again with more).
pub fn parse_request(buf: &[u8]) -> Result<Option<Request>, Refuse> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let head_len = match request.parse(buf) {
        Ok(httparse::Status::Complete(n)) if n <= MAX_HEAD => n,
        Ok(httparse::Status::Partial) if buf.len() < MAX_HEAD => return Ok(None),
        Ok(_) | Err(httparse::Error::TooManyHeaders) => return Err(Refuse::TooLarge),
        Err(_) => return Err(Refuse::BadRequest("malformed request")),
    };
    if request.method != Some("GET") {
        return Err(Refuse::MethodNotAllowed);
    }
    if request.version != Some(1) {
        return Err(Refuse::BadRequest("not HTTP/1.1"));
    }
    let headers = &*request.headers;
    if one(headers, "Host").is_none() {
        return Err(Refuse::BadRequest("no Host header, or several"));
    }
    if !has_token(headers, "Upgrade", "websocket") || !has_token(headers, "Connection", "Upgrade") {
        return Err(Refuse::UpgradeRequired);
    }
    if one(headers, "Sec-WebSocket-Version") != Some("13") {
        return Err(Refuse::UpgradeRequired);
    }
    let key = one(headers, "Sec-WebSocket-Key").unwrap_or_default();
    if !BASE64_STANDARD.decode(key).is_ok_and(|nonce| nonce.len() == 16) {
        return Err(Refuse::BadRequest("Sec-WebSocket-Key is not 16 bytes in base64"));
    }
    Ok(Some(Request {
        target: request.path.unwrap_or_default().to_owned(),
        subprotocols: tokens(headers, "Sec-WebSocket-Protocol").map(str::to_owned).collect(),
        head_len,
        key: key.to_owned(),
    }))
}

/// The response as bytes: 101 with the subprotocol chosen, if any, or a refusal after which the connection
/// is to be closed.
pub fn response(answer: Result<(&Request, Option<&str>), Refuse>) -> Vec<u8> {
    let (request, subprotocol) = match answer {
        Ok(accepted) => accepted,
        Err(refuse) => return refusal(refuse),
    };
    let mut text = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\n",
        accept_key(&request.key)
    );
    if let Some(name) = subprotocol {
        text.push_str(&format!("Sec-WebSocket-Protocol: {name}\r\n"));
    }
    text.push_str("\r\n");
    text.into_bytes()
}

fn refusal(refuse: Refuse) -> Vec<u8> {
    let (status, extra, body) = match refuse {
        Refuse::BadRequest(why) => ("400 Bad Request", "", why),
        Refuse::NotFound => ("404 Not Found", "", "nothing here"),
        Refuse::MethodNotAllowed => ("405 Method Not Allowed", "Allow: GET\r\n", "only GET"),
        Refuse::UpgradeRequired => (
            "426 Upgrade Required",
            "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
            "WebSocket version 13 only",
        ),
        Refuse::TooLarge => ("431 Request Header Fields Too Large", "", "request head too large"),
    };
    // 426 needs Upgrade as a connection option too (RFC 9110 section 7.8).
    let connection = if refuse == Refuse::UpgradeRequired { "Upgrade, close" } else { "close" };
    format!(
        "HTTP/1.1 {status}\r\n{extra}Connection: {connection}\r\nContent-Type: text/plain\r\n\
         Content-Length: {}\r\n\r\n{body}\n",
        body.len() + 1
    )
    .into_bytes()
}

/// The value of a header that may stand only once.
fn one<'a>(headers: &'a [httparse::Header<'_>], name: &str) -> Option<&'a str> {
    let mut found = headers.iter().filter(|header| header.name.eq_ignore_ascii_case(name));
    let value = std::str::from_utf8(found.next()?.value).ok()?;
    found.next().is_none().then_some(value.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(lines: &[&str]) -> Vec<u8> {
        (lines.join("\r\n") + "\r\n\r\n").into_bytes()
    }

    const GOOD: [&str; 6] = [
        "GET /websocket?x=1 HTTP/1.1",
        "Host: localhost:8000",
        "Upgrade: WebSocket",
        "Connection: keep-alive, Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ];

    fn without(name: &str) -> Vec<u8> {
        let lines: Vec<_> = GOOD.into_iter().filter(|line| !line.starts_with(name)).collect();
        head(&lines)
    }

    fn with(line: &str) -> Vec<u8> {
        let name = line.split(':').next().unwrap_or_default();
        let lines: Vec<_> = GOOD.into_iter().filter(|l| !l.starts_with(name)).chain([line]).collect();
        head(&lines)
    }

    #[test]
    fn a_good_request_in_pieces() {
        let mut bytes = with("Sec-WebSocket-Protocol: mqtt, chat");
        let len = bytes.len();
        for end in 0..len {
            assert_eq!(parse_request(&bytes[..end]), Ok(None), "{end}");
        }
        bytes.extend_from_slice(b"\x81\x80");
        let request = parse_request(&bytes).unwrap().unwrap();
        assert_eq!(request.target, "/websocket?x=1");
        assert_eq!(request.path(), "/websocket");
        assert_eq!(request.subprotocols, ["mqtt", "chat"]);
        assert_eq!(request.head_len, len);
        // The key and its answer of RFC 6455 section 1.3.
        let text = String::from_utf8(response(Ok((&request, Some("mqtt"))))).unwrap();
        assert!(text.starts_with("HTTP/1.1 101 "), "{text}");
        assert!(text.contains("\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), "{text}");
        assert!(text.ends_with("\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n"), "{text}");
    }

    #[test]
    fn refusals() {
        let cases = [
            (without("Host"), 400),
            (without("Upgrade"), 426),
            (without("Connection"), 426),
            (without("Sec-WebSocket-Version"), 426),
            (without("Sec-WebSocket-Key"), 400),
            (with("Sec-WebSocket-Version: 8"), 426),
            (with("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZ"), 400),
            (with("Sec-WebSocket-Key: c2hvcnQ="), 400),
            (with("Connection: close"), 426),
            (b"POST / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(), 405),
            (b"GET / HTTP/1.0\r\nHost: x\r\n\r\n".to_vec(), 400),
            (b"\x16\x03\x01\x02\x00\x01".to_vec(), 400),
            (head(&["GET / HTTP/1.1", &"a: b\r\n".repeat(200)]), 431),
            ([b"GET / HTTP/1.1\r\na: ".to_vec(), vec![b'x'; MAX_HEAD]].concat(), 431),
        ];
        for (bytes, status) in cases {
            let refuse = parse_request(&bytes).unwrap_err();
            let text = String::from_utf8(response(Err(refuse))).unwrap();
            assert!(text.starts_with(&format!("HTTP/1.1 {status} ")), "{status}: {text}");
        }
        assert!(response(Err(Refuse::NotFound)).starts_with(b"HTTP/1.1 404 "));
    }
}
