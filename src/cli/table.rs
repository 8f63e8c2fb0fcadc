//! The table of flags: the parser, the help and the suggestions read it. To add a flag: a row here, a
//! field in `LowArgs`, its meaning in `decide`, and a row in the tests.

use super::{
    command::Command,
    flags::{Flag, Group, Set, option, switch},
};

#[cfg(test)]
mod tests;

const ECHO: Set = Command::Echo.set();
const CAT: Set = Command::Cat.set();
const MQTT: Set = Command::Mqtt.set();
const SERVE: Set = Command::Serve.set();
const WEBSOCKETS: Set = ECHO | CAT;
const TESTS: Set = ECHO | MQTT;
const CLIENTS: Set = WEBSOCKETS | MQTT;
const ALL: Set = CLIENTS | SERVE;

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
    // What is sent and how messages stand on stdin and stdout.
    option("--in", "FRAMING", CAT, Group::Messages, "How messages stand on stdin")
        .default("line")
        .more(
            "FRAMING is line (without its newline; the last one needs none), null (NUL in place of the \
             newline), length (a big-endian u32 before each message), chunk (what is there to read), whole \
             (all of stdin is one message), base64 (one line each) or json (lines as --out json prints \
             them; text and binary messages are sent).",
        ),
    option("--out", "FRAMING", CAT, Group::Messages, "How messages stand on stdout")
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
    option("--close-status-code", "N", CAT, Group::End, "Status code of our Close")
        .default("1000")
        .more("1000 to 1003, 1007 to 1014 or 3000 to 4999 (RFC 6455 section 7.4)."),
    option("--close-reason", "TEXT", CAT, Group::End, "Reason of our Close, at most 123 bytes"),
    // Login and session.
    option("--username", "NAME", MQTT, Group::Session, "User name; the URL's login is then not used")
        .aliases(&["--user"])
        .short('u', MQTT),
    option("--pw", "PASSWORD", MQTT, Group::Session, "Password (ps shows it: see --password-file)")
        .aliases(&["--password"])
        .short('P', MQTT),
    option("--password-file", "FILE", MQTT, Group::Session, "Password from the only line of FILE")
        .more("Its line end is not part of the password. A file that cannot be read is status 26."),
    option("--password-env", "NAME", MQTT, Group::Session, "Password from the environment variable NAME"),
    option("--protocol-version", "311|5", MQTT, Group::Session, "MQTT version (default: 5, then 3.1.1)")
        .short('V', MQTT)
        .more(
            "Without it 5.0 is spoken, and 3.1.1 where the broker refuses that, unless another option \
             needs 5.0. mqttv311 and mqttv5 are known too.",
        ),
    switch("--disable-clean-session", MQTT, Group::Session, "Keep the session, take the one that is there")
        .short('c', MQTT)
        .more("Clean Start 0. Needs -i: without a name there is no session to come back to."),
    option("--session-expiry-interval", "SEC", MQTT, Group::Session, "How long the broker keeps the session")
        .short('x', MQTT)
        .more("Seconds; never (or -1) is for ever. MQTT 5.0 only."),
    option("--id", "ID", MQTT, Group::Session, "Client identifier (default: generated)").short('i', MQTT),
    option("--id-prefix", "PREFIX", MQTT, Group::Session, "Generated client identifier that begins so")
        .short('I', MQTT),
    option("--keepalive", "SEC", MQTT, Group::Session, "Keep Alive in seconds, up to 65535; 0 is off")
        .short('k', MQTT)
        .default("60")
        .not_a_url("-k is the Keep Alive here; to skip the check of the certificate say --insecure"),
    option("--ack-timeout", "SEC", MQTT, Group::Session, "Limit for each acknowledgement, in seconds")
        .default("30"),
    // The Will Message.
    option("--will-topic", "TOPIC", MQTT, Group::Will, "Topic of the message sent if we vanish"),
    option("--will-payload", "TEXT", MQTT, Group::Will, "Its payload (default: empty)"),
    option("--will-qos", "0|1|2", MQTT, Group::Will, "Its quality of service").default("0"),
    switch("--will-retain", MQTT, Group::Will, "It is retained"),
    option("--will-delay-interval", "SEC", MQTT, Group::Will, "Seconds from our vanishing to it (MQTT 5.0)"),
    // From the name to the upgrade.
    option("--header", "'K: V'", CLIENTS, Group::Connection, "HTTP header of the upgrade request")
        .short('H', CLIENTS)
        .repeatable()
        .more("Host and User-Agent may be given too. The headers of the handshake itself may not."),
    option("--subprotocol", "NAME", WEBSOCKETS, Group::Connection, "WebSocket subprotocol to offer")
        .aliases(&["--protocol"])
        .repeatable()
        .more("In the order of preference. MQTT commands offer mqtt, alone."),
    option("--origin", "ORIGIN", CLIENTS, Group::Connection, "The Origin header, as a browser sends it"),
    option(
        "--connect-timeout",
        "SEC",
        CLIENTS,
        Group::Connection,
        "Limit for connecting, in seconds",
    )
    .default("30")
    .more("From looking up the name to the WebSocket upgrade, for MQTT to CONNACK."),
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
    // TLS.
    option("--cafile", "FILE", CLIENTS, Group::Tls, "Trust the PEM certificates of FILE, not the system's")
        .aliases(&["--cacert", "--ca"]),
    switch("--insecure", CLIENTS, Group::Tls, "Do not check the server's certificate").short('k', WEBSOCKETS),
    option("--servername", "NAME", CLIENTS, Group::Tls, "Name sent and checked in place of the URL's host"),
    // Log lines and help.
    switch("--debug", ALL, Group::Output, "Say more on stderr (-dd: still more)")
        .short('d', ALL)
        .repeatable(),
    switch("--quiet", ALL, Group::Output, "Say errors only"),
    switch("--raw", WEBSOCKETS, Group::Output, "Control characters go to a terminal as they are"),
    switch("--help", ALL, Group::Output, "This help (-h alone, too); 'wspipe help COMMAND' says more"),
];
