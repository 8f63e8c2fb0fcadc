//! The table of flags: the parser, the help, the man page, the completions and the suggestions read it. To add a
//! flag: a row here, a field in `LowArgs`, its meaning in `decide`, and a row in the tests.

use super::{
    flags::{Flag, Group, Set, option, switch},
    set::{ALL, CAT, CLIENTS, ECHO, MOSQUITTO, MQTT, MQTTS, PUB, RR, SUB, WEBSOCKETS},
};

#[cfg(test)]
mod tests;

const TESTS: Set = ECHO | MQTT;
const SENDERS: Set = PUB | RR;
const PRINTERS: Set = SUB | RR;
/// Those that speak 3.1.1 too.
const VERSIONS: Set = MQTT | PUB | SUB;

const FRAMINGS: &[&str] = &["line", "null", "length", "chunk", "whole", "base64", "json"];
const TLS_VERSIONS: &[&str] = &["1.0", "1.1", "1.2", "1.3"];

/// Every flag of every command.
pub const FLAGS: &[Flag] = &[
    // What is sent and what is expected.
    option("--topic", "TOPIC", MQTT, Group::Test, "Topic of the round trip")
        .short('t', MQTT)
        .default("mg/test")
        .more("Subscribed to and published to, so it is a name: no wildcards."),
    option("--message", "TEXT", MQTT, Group::Test, "Payload: any bytes, may be empty")
        .short('m', MQTT)
        .default("hello"),
    option("--qos", "0|1|2", MQTT, Group::Test, "QoS of the publish and of the subscription")
        .short('q', MQTT)
        .default("0"),
    switch("--retain", MQTT, Group::Test, "Publish with the RETAIN flag").short('r', MQTT),
    option("--count", "N", TESTS, Group::Test, "Test N times, with a line for each and a summary")
        .short('c', ECHO)
        .more("Without it one test is made, with neither."),
    option(
        "--interval",
        "SEC",
        TESTS,
        Group::Test,
        "Pause between two tests, in seconds",
    )
    .short('i', ECHO)
    .default("1")
    .more("Only with --count. May have a fraction; 0 is as fast as the replies come."),
    option("--size", "BYTES", ECHO, Group::Test, "Send BYTES bytes, made by repeating a pattern")
        .more("In place of MESSAGE. Suffixes k, M and G are powers of 1024."),
    switch("--binary", ECHO, Group::Test, "Send a binary message, not text")
        .short('b', ECHO)
        .more("A text message must be UTF-8 (RFC 6455 section 5.6), a binary one is any bytes."),
    option("--skip", "N", ECHO, Group::Test, "Pass over N messages before the first reply")
        .default("0"),
    option("--timeout", "SEC", TESTS, Group::Test, "Limit for each reply, in seconds")
        .short('W', TESTS)
        .default("10")
        .more("Past it the status is 28. Connecting has a limit of its own: --connect-timeout."),
    option("--max-rtt", "MS", TESTS, Group::Test, "Fail where a round trip takes more than MS milliseconds")
        .more(
            "May have a fraction. The status is then 1, and the line says what was measured: with --count how \
             many were above, and the longest. It ends nothing early: that is -W. Connecting and logging in are \
             no part of a round trip.",
        ),
    switch("--json", TESTS, Group::Test, "Print the result as one JSON object, and nothing else, on stdout")
        .more(
            "At the end, also where the test failed: command, url, sent, received, lost, differing; rtt_ms with \
             min, avg, p50, p90, p99, p99.9, max and stddev, null where nothing came back; histogram, a list of \
             from_ms, to_ms and count; exit_status; and error, null where there is none. The reply and the lines \
             of --count are not printed, the log stays on stderr.",
        ),
    option("--plot", "FILE.svg", TESTS, Group::Test, "Draw the round trips over time, and their distribution")
        .more(
            "An SVG, written at the end, also after Ctrl-C or where the test failed. A FILE that cannot be \
             written is status 23, before anything is sent. It is replaced as a whole.",
        ),
    // What is sent and how messages stand on stdin and stdout.
    option("--in", "FRAMING", CAT, Group::Messages, "How messages stand on stdin")
        .one_of(FRAMINGS)
        .default("line")
        .more(
            "FRAMING is line (without its newline; the last one needs none), null (NUL in place of the \
             newline), length (a big-endian u32 before each message), chunk (what is there to read), whole \
             (all of stdin is one message), base64 (one line each) or json (lines as --out json prints \
             them; text and binary messages are sent).",
        ),
    option("--out", "FRAMING", CAT, Group::Messages, "How messages stand on stdout")
        .one_of(FRAMINGS)
        .default("line")
        .more(
            "As --in. chunk and whole put nothing between the messages. json has type, payload (or \
             payload_base64 where it is not UTF-8) and time; ping, pong and close have lines too.",
        ),
    switch("--null", CAT, Group::Messages, "NUL in place of the newline: --in null --out null")
        .aliases(&["--null-terminated"])
        .short('0', CAT)
        .more("Where --in or --out is given too, it is for the other one."),
    switch("--binary", CAT, Group::Messages, "Send binary messages, not text")
        .short('b', CAT)
        .more("A text message must be UTF-8 (RFC 6455 section 5.6), a binary one is any bytes."),
    switch("--text", CAT, Group::Messages, "Send text messages, as without it; of -t and -b the last holds")
        .short('t', CAT)
        .more("Input that is not UTF-8 is refused with its line number; the status is 26."),
    switch("--strict", CAT, Group::Messages, "Refuse a message with a newline in it")
        .more("For --out line, and for --out null (a NUL). Without it one warning is given."),
    switch("--no-stdin", CAT, Group::Messages, "Receive only: leave stdin alone")
        .more("It then ends by -C, --until, -w, -W, the server's Close or a signal."),
    option("--on-open", "TEXT|@FILE", CAT, Group::Messages, "Send TEXT, or what is in FILE, before stdin")
        .repeatable()
        .more(
            "One message each, in order, after each connect. FILE is read once, at the start, and sent \
             byte for byte, its last newline too. @@ begins a TEXT with a '@'.",
        ),
    switch("--echo", CAT, Group::Messages, "Send every message back as it came")
        .more("stdin is not read, nothing goes to stdout."),
    // What is published.
    option("--topic", "TOPIC", PUB, Group::Messages, "Topic to publish to")
        .short('t', PUB)
        .repeatable()
        .more(
            "Each message goes to each topic; lines (-l, -0) take one. With --in json it is for the lines \
             that name none.",
        ),
    option("--topic", "TOPIC", RR, Group::Messages, "Topic that requests are published to").short('t', RR),
    option("--response-topic", "TOPIC", RR, Group::Messages, "Topic for the responses (default: a new one)")
        .short('e', RR)
        .more("A topic that others use too costs their messages: all are received, few are ours."),
    option("--message", "TEXT", SENDERS, Group::Messages, "Payload: any bytes, may be empty")
        .short('m', SENDERS),
    option("--file", "FILE", SENDERS, Group::Messages, "Payload: what is in FILE, byte for byte")
        .short('f', SENDERS),
    switch("--stdin-file", SENDERS, Group::Messages, "Payload: all of stdin").short('s', SENDERS),
    switch("--stdin-line", SENDERS, Group::Messages, "A message for each line of stdin, without its newline")
        .short('l', SENDERS)
        .more("Of any length. The last line needs no newline. An empty line is an empty message."),
    switch("--null-message", SENDERS, Group::Messages, "Payload: empty; with -r it removes the retained message")
        .short('n', SENDERS),
    switch("--null", PUB, Group::Messages, "As -l, with NUL in place of the newline").short('0', PUB),
    option("--in", "FORMAT", PUB, Group::Messages, "What stdin is: line (-l), null (-0), whole (-s) or json")
        .one_of(&["line", "null", "whole", "json"])
        .more(
            "json are lines as 'sub --json' prints them: topic, payload or payload_base64, qos, retain and \
             the properties. -t, -q and -r are for the lines that do not say.",
        ),
    option("--topic-from-line", "SEP", PUB, Group::Messages, "Each line is a topic, SEP and a payload")
        .alone(" ")
        .more("SEP is a space unless given behind a '='; \\t is a tab. 'sub -v' prints such lines."),
    option("--qos", "0|1|2", SENDERS, Group::Messages, "Quality of service").short('q', SENDERS).default("0"),
    switch("--retain", SENDERS, Group::Messages, "Publish with the RETAIN flag").short('r', SENDERS),
    option("--repeat", "N", PUB, Group::Messages, "Publish it N times").default("1"),
    option("--repeat-delay", "SEC", PUB, Group::Messages, "Pause between two of them, in seconds")
        .default("0")
        .more("Only with --repeat. May have a fraction."),
    option("--max-inflight", "N", SENDERS, Group::Messages, "At most N messages without their answer")
        .short('M', SENDERS)
        .more("Without it as many as the broker takes (its Receive Maximum), up to 1000."),
    // What is subscribed to.
    option("--topic", "FILTER", SUB, Group::Subscription, "Topic Filter to subscribe to")
        .short('t', SUB)
        .repeatable()
        .more("+ is any level, # at the end any levels; $share/GROUP/FILTER shares the messages with a group."),
    option("--filter-out", "FILTER", SUB, Group::Subscription, "Leave out what matches FILTER")
        .short('T', SUB)
        .repeatable()
        .more("It is received and acknowledged all the same."),
    option("--unsubscribe", "FILTER", SUB, Group::Subscription, "Unsubscribe from FILTER at the start")
        .short('U', SUB)
        .repeatable()
        .more("For a session that is there already (-c). Needs no -t."),
    option("--qos", "0|1|2", SUB, Group::Subscription, "The highest quality of service wanted")
        .short('q', SUB)
        .default("0"),
    switch("--no-retained", SUB, Group::Subscription, "Leave out retained messages").short('R', SUB),
    switch("--retained-only", SUB, Group::Subscription, "End at the first message that is not retained")
        .more("Where none follows it does not end: see --snapshot."),
    switch("--remove-retained", SUB, Group::Subscription, "Remove each retained message that comes")
        .more("By an empty one published to its topic."),
    switch("--retain-as-published", SUB, Group::Subscription, "Keep the RETAIN flag of live messages (MQTT 5.0)"),
    option("--retain-handling", "WHEN", SUB, Group::Subscription, "Retained messages: always, new or never")
        .one_of(&["always", "new", "never"])
        .more("When they are sent: new is only for a subscription that is not there yet. MQTT 5.0."),
    switch("--no-local", SUB, Group::Subscription, "Not what this client publishes itself (MQTT 5.0)"),
    switch("--strict", SUB, Group::Subscription, "Refuse what is less than asked for")
        .more(
            "A filter that is denied, or granted at a lower QoS, ends it with status 9, not with a warning; \
             a message that holds what ends its line (newline, with -0 NUL) ends it with status 23.",
        ),
    option("--ready", "FILE|fd:N", SUB, Group::Subscription, "Write a line to FILE once the subscription stands")
        .more("For a script that starts 'sub' in the background and then publishes. fd:N is an open descriptor."),
    // How messages stand on stdout.
    switch("--verbose", PRINTERS, Group::Messages, "Print the topic before the payload: -F '%t %p'")
        .short('v', PRINTERS),
    option("--format", "FORMAT", PRINTERS, Group::Messages, "Print this of each message, as mosquitto_sub -F")
        .short('F', PRINTERS)
        .more(
            "%p payload, %t topic, %q QoS, %r retain, %l length, %m packet identifier, %x %X payload in hex, \
             %j %J JSON, %I %U time, @ and a letter as strftime, %A %C %D %E %F %P %R %S properties, %d %f \
             payload as a number; \\n \\t \\0 \\e and others.",
        ),
    switch("--json", PRINTERS, Group::Messages, "Print a line of JSON for each message, with all it has")
        .more("payload is text; what is not UTF-8 is payload_base64. 'pub --in json' reads it."),
    switch("--null", PRINTERS, Group::Messages, "NUL in place of the newline").short('0', PRINTERS),
    switch("--no-newline", PRINTERS, Group::Messages, "Nothing in place of the newline").short('N', PRINTERS),
    switch("--watch", SUB, Group::Messages, "On a terminal: a line for each topic, with its last message")
        .short('w', SUB),
    // What ends it.
    option("--count", "N", CAT, Group::End, "End after N messages have come")
        .aliases(&["--max-messages"])
        .short('C', CAT)
        .more("Fewer at the end are status 1, by -W status 28."),
    switch("--one-message", CAT, Group::End, "As -C 1").short('1', CAT),
    option("--until", "TEXT", CAT, Group::End, "End after a message that contains TEXT; it is printed")
        .more("None at the end is status 1, by -W status 28."),
    option("--wait", "SEC|inf", CAT, Group::End, "When stdin has ended: end after SEC of quiet")
        .short('w', CAT)
        .default("1")
        .more(
            "Seconds, from when the last byte was sent; each message that comes starts them anew. inf \
             waits for the server's Close, and so do -C, --until, --no-stdin and --echo where no -w is \
             given.",
        ),
    option("--timeout", "SEC", CAT, Group::End, "Limit for the whole run, in seconds")
        .short('W', CAT)
        .more("Past it the status is 28. Without it there is none."),
    option("--count", "N", SUB, Group::End, "End after N messages were printed")
        .short('C', SUB)
        .more("Fewer at the end are status 1, by -W status 28."),
    option("--snapshot", "SEC", SUB, Group::End, "Print retained messages; end when none came for SEC")
        .more("In seconds; may have a fraction. Other messages are left out."),
    switch("--exit-after-suback", SUB, Group::End, "End once the subscription stands").short('E', SUB),
    option("--timeout", "SEC", PUB | SUB, Group::End, "Limit for the whole run, in seconds")
        .short('W', PUB | SUB)
        .more("Past it the status is 28. Without it there is none."),
    option("--timeout", "SEC", RR, Group::End, "Limit for each response, in seconds")
        .short('W', RR)
        .default("10")
        .more("Past it the status is 28. Connecting has a limit of its own: --connect-timeout."),
    option("--close-status-code", "N", CAT, Group::End, "Status code of our Close")
        .default("1000")
        .more("1000 to 1003, 1007 to 1014 or 3000 to 4999 (RFC 6455 section 7.4)."),
    option("--close-reason", "TEXT", CAT, Group::End, "Reason of our Close, at most 123 bytes"),
    // Login and session.
    option("--username", "NAME", MQTTS, Group::Session, "User name; the URL's login is then not used")
        .aliases(&["--user"])
        .short('u', MQTTS),
    option("--pw", "PASSWORD", MQTTS, Group::Session, "Password (ps shows it: see --password-file)")
        .aliases(&["--password"])
        .short('P', MQTTS),
    option("--password-file", "FILE", CLIENTS, Group::Session, "Password from the only line of FILE")
        .more(
            "Its line end is not part of the password. A file that cannot be read is status 26; one that \
             others can use is warned of. 'echo' and 'cat' need a user beside it: --auth USER, or USER@ in \
             the URL.",
        ),
    option("--password-env", "NAME", CLIENTS, Group::Session, "Password from the environment variable NAME"),
    switch("--ask-password", CLIENTS, Group::Session, "Ask for the password at the terminal, without echo"),
    option("--protocol-version", "311|5", VERSIONS, Group::Session, "MQTT version (default: 5, then 3.1.1)")
        .short('V', VERSIONS)
        .more(
            "Without it 5.0 is spoken, and 3.1.1 where the broker refuses that, unless another option \
             needs 5.0. mqttv311 and mqttv5 are known too.",
        ),
    switch("--disable-clean-session", MQTT | SUB, Group::Session, "Keep the session, take the one that is there")
        .short('c', MQTT | SUB)
        .more(
            "Clean Start 0. Needs -i: without a name there is no session to come back to. With 'sub' the \
             broker then keeps what comes between two runs, for ever unless -x says how long.",
        ),
    option("--session-expiry-interval", "SEC", MQTTS, Group::Session, "How long the broker keeps the session")
        .short('x', MQTTS)
        .not_a_url("-x is the session's expiry here; a proxy is given with --proxy")
        .more("Seconds; never (or -1) is for ever. MQTT 5.0 only."),
    option("--id", "ID", MQTTS, Group::Session, "Client identifier (default: generated)").short('i', MQTTS),
    option("--id-prefix", "PREFIX", MQTTS, Group::Session, "Generated client identifier that begins so")
        .short('I', MQTTS),
    option("--keepalive", "SEC", MQTTS, Group::Session, "Keep Alive in seconds, up to 65535; 0 is off")
        .short('k', MQTTS)
        .default("60")
        .not_a_url("-k is the Keep Alive here; to skip the check of the certificate say --insecure"),
    option("--ack-timeout", "SEC", MQTTS, Group::Session, "Limit for each acknowledgement, in seconds")
        .default("30"),
    option(
        "--property",
        "CMD NAME VALUE",
        MOSQUITTO,
        Group::Session,
        "Property of a packet (MQTT 5.0)",
    )
    .short('D', MOSQUITTO)
    .repeatable()
    .more(
        "CMD is connect, publish, subscribe, unsubscribe, disconnect or will, NAME as mosquitto has it: \
         content-type, correlation-data, message-expiry-interval, payload-format-indicator, \
         response-topic (publish, will), topic-alias (publish), will-delay-interval (will), \
         receive-maximum, maximum-packet-size, topic-alias-maximum, request-problem-information, \
         request-response-information, authentication-method, authentication-data (connect), \
         session-expiry-interval (connect, disconnect), subscription-identifier (subscribe). All take \
         user-property, which has a name and a value: -D publish user-property NAME VALUE.",
    ),
    option("--protocol-version", "5", RR, Group::Session, "MQTT version: only 5.0 has what is needed")
        .short('V', RR)
        .default("5"),
    // The Will Message.
    option("--will-topic", "TOPIC", MQTTS, Group::Will, "Topic of the message sent if we vanish"),
    option("--will-payload", "TEXT", MQTTS, Group::Will, "Its payload (default: empty)"),
    option("--will-qos", "0|1|2", MQTTS, Group::Will, "Its quality of service").default("0"),
    switch("--will-retain", MQTTS, Group::Will, "It is retained"),
    option("--will-delay-interval", "SEC", MQTTS, Group::Will, "Seconds from our vanishing to it (MQTT 5.0)"),
    // From the name to the upgrade.
    option("--header", "'K: V'", CLIENTS, Group::Connection, "HTTP header of the upgrade request")
        .short('H', CLIENTS)
        .repeatable()
        .more(
            "Host and User-Agent may be given too. The headers of the handshake itself may not. 'K:' leaves \
             out what would be sent (User-Agent, the URL's login), 'K;' is an empty value.",
        ),
    option("--auth", "USER:PASS", CLIENTS, Group::Connection, "HTTP Basic login of the upgrade request")
        .aliases(&["--basic-auth"])
        .more(
            "ps shows it: 'echo' and 'cat' take USER alone with --password-file, --password-env or \
             --ask-password, too. In the MQTT commands those, and the URL's login, are the broker's.",
        ),
    option("--bearer-file", "FILE", CLIENTS, Group::Connection, "Token from the only line of FILE")
        .more("As 'Authorization: Bearer TOKEN' (RFC 6750). FILE is read once, at the start."),
    option("--cookie", "NAME=VALUE", CLIENTS, Group::Connection, "Cookie of the upgrade request").repeatable(),
    switch("--location", CLIENTS, Group::Connection, "Follow redirects")
        .short('L', WEBSOCKETS)
        .more(
            "301, 302, 303, 307 and 308. Logins and cookies are not sent to another scheme, host or port, \
             and from wss:// no redirect leads to ws://.",
        ),
    option("--max-redirects", "N", CLIENTS, Group::Connection, "Follow at most N redirects")
        .aliases(&["--max-redirs"])
        .default("10")
        .more("More are status 47. Needs --location."),
    option("--subprotocol", "NAME", WEBSOCKETS, Group::Connection, "WebSocket subprotocol to offer")
        .aliases(&["--protocol"])
        .repeatable()
        .more("In the order of preference. MQTT commands offer mqtt, alone."),
    option("--origin", "ORIGIN", CLIENTS, Group::Connection, "The Origin header, as a browser sends it"),
    switch("--ipv4", CLIENTS, Group::Connection, "Connect to IPv4 addresses only").short('4', CLIENTS),
    switch("--ipv6", CLIENTS, Group::Connection, "Connect to IPv6 addresses only").short('6', CLIENTS),
    option("--resolve", "HOST:PORT:ADDR", CLIENTS, Group::Connection, "Connect to ADDR where HOST and PORT are due")
        .repeatable()
        .more(
            "In place of a lookup. More addresses follow behind commas, IPv6 may stand in brackets; '*' is \
             any host.",
        ),
    option("--connect-to", "H1:P1:H2:P2", CLIENTS, Group::Connection, "Connect to H2 and P2 where H1 and P1 are due")
        .repeatable()
        .more(
            "An empty H1 or P1 is any, an empty H2 or P2 leaves it as it is. The Host header and the name in \
             the certificate stay the URL's. The first that fits holds.",
        ),
    option("--unix-socket", "PATH", CLIENTS, Group::Connection, "Connect to a Unix socket, not to host and port")
        .more("Everything else stays as the URL says it: scheme, Host header, name in the certificate."),
    option("--bind", "ADDR", CLIENTS, Group::Connection, "The local IP address to connect from")
        .short('A', MQTTS)
        .more("The port is the system's choice. Only addresses of the same family are connected to."),
    option(
        "--connect-timeout",
        "SEC",
        CLIENTS,
        Group::Connection,
        "Limit for connecting, in seconds",
    )
    .default("30")
    .more("From looking up the name to the WebSocket upgrade, for MQTT to CONNACK."),
    option("--proxy", "URL", CLIENTS, Group::Connection, "Go through a proxy: http, socks5 or socks5h")
        .more(
            "[SCHEME://][USER:PASSWORD@]HOST[:PORT]; no scheme is http (CONNECT), no port 1080, as in curl. \
             socks5h leaves the looking up of the server's name to the proxy. '' is no proxy. Without it \
             the variables https_proxy (wss, mqtts), http_proxy (ws, mqtt) and all_proxy say, the first and \
             the last in capitals too.",
        ),
    option("--no-proxy", "LIST", CLIENTS, Group::Connection, "Hosts that are reached without a proxy")
        .aliases(&["--noproxy"])
        .more(
            "Names (and all names below them), addresses and networks (10.0.0.0/8), with commas between \
             them; '*' is all hosts. In place of the variable no_proxy (or NO_PROXY), which is for --proxy too.",
        ),
    option("--close-timeout", "SEC", CLIENTS, Group::Connection, "Limit for the peer's answer to our Close")
        .default("5"),
    option("--max-message", "BYTES", ALL, Group::Connection, "The largest message taken, in bytes")
        .default("64M")
        .more("Suffixes k, M and G are powers of 1024. A larger one ends the connection; the status is then 63."),
    option("--ping-interval", "SEC", CAT, Group::Connection, "Send a Ping every SEC seconds")
        .more("-d tells how long each answer took."),
    option("--ping-timeout", "SEC", CAT, Group::Connection, "The connection is lost when nothing comes for SEC")
        .more("In seconds after a Ping; whatever comes is life. Needs --ping-interval."),
    switch("--reconnect", CAT, Group::Connection, "Connect again when the connection is lost")
        .more(
            "With growing pauses, from 0.5 to 30 seconds. Messages that were sent when it broke and may \
             not have arrived are counted at the end; the status is then 55.",
        ),
    option("--max-retries", "N", CAT, Group::Connection, "Give up when N reconnects in a row have failed")
        .more("Needs --reconnect. Without it there is no limit."),
    switch("--no-reconnect", MOSQUITTO, Group::Connection, "A lost connection ends it")
        .more(
            "Without it 'sub' and 'pub' of lines connect again once they were connected, with growing pauses \
             from 0.5 to 30 seconds; 'rr' and 'pub' of one message do so with --max-retries or \
             --retry-connect.",
        ),
    option("--max-retries", "N", MOSQUITTO, Group::Connection, "Give up when N reconnects in a row have failed")
        .more("Without it there is no limit."),
    switch("--retry-connect", MOSQUITTO, Group::Connection, "Try the first connect again too")
        .more("What trying again cannot help (login, certificate) ends it all the same."),
    // TLS.
    option("--cafile", "FILE", CLIENTS, Group::Tls, "Trust the PEM certificates of FILE, not the system's")
        .aliases(&["--cacert", "--ca"])
        .more("With --capath: those of both. A file without a certificate is status 77."),
    option("--capath", "DIR", CLIENTS, Group::Tls, "Trust the certificates in DIR, not the system's")
        .more("PEM files with hashed names, as 'openssl rehash DIR' makes them."),
    option("--cert", "FILE", CLIENTS, Group::Tls, "Client certificate, PEM, with its chain if it has one")
        .more("The key may be in the same file. What cannot be used is status 58."),
    option("--key", "FILE", CLIENTS, Group::Tls, "Private key of --cert: PEM, of any kind, also encrypted"),
    option("--pkcs12", "FILE", CLIENTS, Group::Tls, "Client certificate and key as PKCS #12 (.p12, .pfx)"),
    option("--key-password-file", "FILE", CLIENTS, Group::Tls, "Password of the key, from the only line of FILE"),
    switch("--insecure", CLIENTS, Group::Tls, "Do not check the server's certificate").short('k', WEBSOCKETS),
    option("--servername", "NAME", CLIENTS, Group::Tls, "Name sent and checked in place of the URL's host"),
    option("--pin", "PINS|FILE", CLIENTS, Group::Tls, "The server's public key is one of these, or status 90")
        .aliases(&["--pinnedpubkey"])
        .more(
            "PINS is sha256//BASE64, of the key in DER, several with ';' between them; FILE has the key or a \
             certificate. The certificate is checked as without it.",
        ),
    option("--tls-min", "VERSION", CLIENTS, Group::Tls, "Lowest version of TLS: 1.0, 1.1, 1.2 or 1.3")
        .one_of(TLS_VERSIONS)
        .more("1.2 without it. Below that the old ciphers and signatures are allowed too."),
    option("--tls-max", "VERSION", CLIENTS, Group::Tls, "Highest version of TLS").one_of(TLS_VERSIONS),
    option("--alpn", "NAME", CLIENTS, Group::Tls, "Offer this application protocol (ALPN); none without it")
        .aliases(&["--tls-alpn"])
        .repeatable()
        .more("AWS IoT on port 443 wants mqtt for mqtts:// or x-amzn-mqtt-ca."),
    // Log lines and help.
    switch("--debug", ALL, Group::Output, "Say more on stderr (-dd: still more)")
        .short('d', ALL)
        .repeatable(),
    switch("--quiet", ALL, Group::Output, "Say errors only"),
    option("--timing", "text|json", CLIENTS, Group::Output, "Say on stderr how long each step took")
        .alone("auto")
        .more(
            "A line for each connection, also with --quiet: resolve, connect, proxy, TLS, upgrade, CONNACK and \
             first message, each from the end of the step before, and the total, in milliseconds. It comes with \
             the first message, or when the connection ends or fails, and then names the step that failed. \
             json is one object on a line; so is --timing alone where --json is given.",
        ),
    switch("--json", CAT | PUB, Group::Output, "With --timing: as a line of JSON"),
    switch("--progress", PUB, Group::Output, "On a terminal: a line on stderr that counts"),
    switch("--raw", WEBSOCKETS | PRINTERS, Group::Output, "Control characters go to a terminal as they are"),
    switch("--help", ALL, Group::Output, "This help (-h alone, too); 'wspipe help COMMAND' says more"),
];
