//! The options of other tools that have another name here, or none for a reason.

use crate::cli::{command::Command, flags::Set};

const ECHO: Set = Command::Echo.set();
const CAT: Set = Command::Cat.set();
const MQTT: Set = Command::Mqtt.set();
const PUB: Set = Command::Pub.set();
const SUB: Set = Command::Sub.set();
const RR: Set = Command::Rr.set();
const MOSQUITTO: Set = PUB | SUB | RR;
const MQTTS: Set = MQTT | MOSQUITTO;
const WEBSOCKETS: Set = ECHO | CAT;
const CLIENTS: Set = WEBSOCKETS | MQTTS;
const ALL: Set = WEBSOCKETS | MQTTS | Command::Serve.set();

/// Spellings that mosquitto, curl, websocat and wscat have, and what to say instead here.
///
/// The first that fits answers, so that rows of one command stand before those of all.
const ELSEWHERE: &[(&[&str], Set, &str)] = &[
    // websocat and wscat.
    (
        &["-n"],
        CAT,
        "say -w inf to stay after the end of stdin, -C N to end after N replies, --no-stdin to read none, \
         -k for any certificate",
    ),
    (&["--no-close"], CAT, "say -w inf to stay after the end of stdin, or --no-stdin to read none"),
    (
        &["-E", "--exit-on-eof"],
        CAT,
        "leave it out: the server's Close ends it, and so does the end of stdin after -w SEC of quiet",
    ),
    (&["--max-messages-rev"], CAT, "say -C N: what is counted is what comes"),
    (&["-c"], CAT, "the URL stands by itself (to end after N messages say -C N)"),
    (&["-x", "--execute"], CAT, "say --on-open TEXT (-w SEC waits here too); curl's -x is --proxy"),
    (&["-s"], CAT, "say --subprotocol NAME or --quiet; a server is 'wspipe serve'"),
    (&["--server-mode"], CAT, "a server is 'wspipe serve'"),
    (&["--base64", "--base64-text"], CAT, "say --in base64, --out base64 or both"),
    (
        &["--lengthprefixed"],
        CAT,
        "say --in length, --out length or both for a length before each message; the URL stands by itself",
    ),
    (&["-S"], CAT, "leave it out: messages are never split (--strict refuses a newline inside of one)"),
    (&["-u", "--unidirectional"], CAT, "to print nothing say > /dev/null; a login is --auth USER:PASSWORD"),
    (&["-U", "--unidirectional-reverse"], CAT, "say --no-stdin"),
    (&["-p", "--preamble"], CAT, "say --on-open TEXT; the port belongs in the URL"),
    (&["-P", "--show-ping-pong", "--print-ping-rtts"], CAT, "say -d, or --out json for lines on stdout"),
    (&["--autoreconnect", "--retry"], CAT, "say --reconnect"),
    (&["-B", "--buffer-size", "--no-line"], CAT, "leave it out: a message of any length stays one"),
    (&["--linemode-strip-newlines"], CAT, "leave it out: a line is sent without its newline"),
    (&["--max-ws-message-length", "--max-ws-frame-length"], CAT, "say --max-message"),
    (&["--client-pkcs12-der"], CAT, "say --pkcs12 FILE"),
    (&["--client-pkcs12-passwd", "--passphrase"], CAT, "say --key-password-file FILE"),
    (&["--tls-domain"], CAT, "say --servername"),
    (&["--jsonrpc"], CAT, "stdin is sent as it is: write the whole request there"),
    (&["--unidirectional-late-drop", "--exit-on-hangup"], CAT, "leave it out: the server's Close ends it"),
    (
        &["-e", "--set-environment", "--exec-args"],
        CAT,
        "the shell says it: a pipe, or a process substitution",
    ),
    (
        &["--async-stdio", "--no-async-stdio"],
        CAT,
        "leave it out: stdin and stdout do not wait for each other",
    ),
    (
        &[
            "--dump-spec",
            "--no-fixups",
            "--less-fixups",
            "--no-lints",
            "--compose",
            "--scenario",
            "--late-resolve",
        ],
        CAT,
        "leave it out: there is one address here, the URL, and it is what it says",
    ),
    (
        &["--no-exit-on-zeromsg", "--websocket-ignore-zeromsg"],
        CAT,
        "leave it out: an empty message is a message as any other",
    ),
    (&["--separator"], CAT, "say --in null or --in length (and --out), where lines will not do"),
    (
        &["--separator-n", "--separator-inline", "--separator-inhibit-substitution"],
        CAT,
        "leave it out: a line is sent without its newline, and a newline that comes inside of a message stays",
    ),
    (
        &["--autoreconnect-delay-millis", "--retry-delay"],
        CAT,
        "say --reconnect: its pauses grow from 0.5 to 30 s",
    ),
    (&["--retry-all-errors", "--retry-connrefused", "--retry-max-time"], CAT, "say --reconnect, and -W SEC"),
    (&["--basic-auth-file"], WEBSOCKETS, "say --auth USER with --password-file FILE"),
    (&["--binary-prefix", "--text-prefix"], CAT, "say --in json or --out json: each line names its type"),
    (&["--max-sent-pings"], CAT, "say --ping-timeout SEC"),
    (&["--ws-c-uri"], CAT, "say --unix-socket PATH or --connect-to, and the URL as for any server"),
    (&["--socks5-user-pass", "--socks5-basic"], CLIENTS, "the login belongs in the URL of --proxy"),
    (&["--socks5-destination"], CAT, "leave it out: it is the URL's host"),
    (&["--websocket-version"], WEBSOCKETS, "leave it out: 13 is the only version there is (RFC 6455)"),
    (&["--preamble-reverse"], CAT, "the shell says it: printf before it"),
    (&["--inhibit-pongs"], CAT, "leave it out: every Ping is answered (RFC 6455 section 5.5.2)"),
    (&["--global-timeout-ms", "--global-timeout-force-exit"], CAT, "say -W SEC"),
    (
        &["--log-traffic", "--log-verbose", "--log-hex", "--log-timestamps", "--log-omit-content"],
        CAT,
        "say --out json: a line for each message, ping and pong, with the time",
    ),
    (
        &[
            "--lengthprefixed-nbytes",
            "--lengthprefixed-header-bytes",
            "--lengthprefixed-little-endian",
            "--lengthprefixed-continuations",
            "--lengthprefixed-include-control",
            "--lengthprefixed-tag-text",
        ],
        CAT,
        "say --in length or --out length: four bytes, big-endian, before each whole message",
    ),
    (&["--lengthprefixed-max-message-size"], CAT, "say --max-message"),
    (
        &["--ws-no-flush", "--ws-shutdown-socket-on-eof", "--ws-no-auto-buffer", "--read-buffer-limit"],
        CAT,
        "leave it out: all that is there goes out at once",
    ),
    (
        &["--ws-ignore-invalid-masks", "--ws-dont-check-headers", "--ws-omit-headers"],
        CAT,
        "leave it out: what breaks RFC 6455 ends it, with status 8",
    ),
    (
        &["--server", "--oneshot", "--static-file", "--restrict-uri", "--server-header", "--server-protocol"],
        CAT,
        "a server is 'wspipe serve', and it only echoes",
    ),
    (&["--pkcs12-der"], WEBSOCKETS, "say --pkcs12 FILE"),
    (&["--pkcs12-passwd"], WEBSOCKETS, "say --key-password-file FILE"),
    (&["--slash"], CAT, "all of stdin is sent: say --ping-interval SEC, --close-status-code N"),
    (&["--color", "--no-color"], CAT, "leave it out: what is printed has no colours of ours"),
    (
        &["-s", "-l", "--server-mode", "--server", "--listen"],
        Command::Serve.set(),
        "the URL says where to listen, as in ws://127.0.0.1:8080/",
    ),
    // curl.
    (&["-X", "--request", "--request-method", "-G", "--get"], CLIENTS, "leave it out: an upgrade is a GET"),
    (&["--request-header"], WEBSOCKETS, "say -H 'NAME: VALUE'"),
    (&["--request-uri", "--request-target"], WEBSOCKETS, "it belongs in the URL"),
    (
        &["--data-raw", "--data-ascii", "--data-urlencode"],
        CAT,
        "say --on-open TEXT or @FILE, or send it by stdin",
    ),
    (&["--cookie-jar", "--junk-session-cookies"], CLIENTS, "leave it out: cookies are what --cookie says"),
    (
        &["-f", "--fail", "--fail-with-body", "--fail-early"],
        WEBSOCKETS,
        "leave it out: a refused upgrade is status 22",
    ),
    (
        &["--include", "-I", "--head", "-D", "--dump-header"],
        WEBSOCKETS,
        "say -d: it shows the body of a refusal; headers are not printed",
    ),
    (
        &["--trace", "--trace-ascii", "--trace-time"],
        CLIENTS,
        "say -d, or --timing for how long each step took",
    ),
    (
        &["--config", "-K", "--save-options", "--load-options"],
        CLIENTS,
        "there is no file of options: a shell alias or script holds them",
    ),
    (&["--compressed", "--compress"], CLIENTS, "leave it out: nothing is compressed"),
    (
        &["--ciphers", "--tls13-ciphers", "--curves", "--tls-engine", "--tls-engine-kpass-sha1", "--engine"],
        CLIENTS,
        "leave it out: OpenSSL's own configuration says (OPENSSL_CONF)",
    ),
    (
        &["--psk", "--psk-identity"],
        MQTTS,
        "there is no TLS with a shared key here: --cert and --key, or a login",
    ),
    (&["--tls-keylog"], CLIENTS, "leave it out: keys are not written down"),
    (
        &["--crlfile", "--cert-status"],
        CLIENTS,
        "revocation is not looked up: --pin names the keys that are good",
    ),
    (
        &["--anyauth", "--basic", "--digest", "--ntlm", "--negotiate", "--aws-sigv4"],
        CLIENTS,
        "--auth is Basic, --bearer-file a token, -H any other Authorization",
    ),
    (
        &["--netrc", "--netrc-file", "--netrc-optional"],
        CLIENTS,
        "say --password-file FILE with the user's name",
    ),
    (&["-e", "--referer"], WEBSOCKETS, "say -H 'Referer: ...'"),
    (&["-g", "--globoff", "--path-as-is"], CLIENTS, "leave it out: the URL is taken as it stands"),
    (&["--happy-eyeballs-timeout-ms"], CLIENTS, "say -4 or -6 to have one family only"),
    (
        &["--http1.0", "--http1.1", "--http2", "--http3"],
        CLIENTS,
        "leave it out: an upgrade is HTTP/1.1 (RFC 6455 section 4.1)",
    ),
    (&["--keepalive-time", "--no-keepalive"], CAT, "say --ping-interval SEC and --ping-timeout SEC"),
    (&["-y", "-Y", "--speed-time", "--speed-limit"], CAT, "say --ping-interval SEC and --ping-timeout SEC"),
    (&["-y", "-Y", "--speed-time", "--speed-limit"], ECHO, "say -W SEC"),
    (&["--limit-rate"], CAT | PUB, "the shell says it: pv -q -L RATE | before it"),
    (&["--local-port"], CLIENTS, "say --bind ADDR: the port is the system's choice"),
    (&["--max-filesize"], CLIENTS, "say --max-message BYTES"),
    (&["--no-alpn"], CLIENTS, "leave it out: none is offered without --alpn"),
    (&["--preproxy"], CLIENTS, "one proxy only: --proxy"),
    (&["--socks4", "--socks4a"], CLIENTS, "say --proxy socks5://HOST:PORT: SOCKS 4 is not spoken"),
    (
        &[
            "--proxy-header",
            "--proxy-cacert",
            "--proxy-insecure",
            "--proxy-cert",
            "--proxy-digest",
            "--proxy-ntlm",
        ],
        CLIENTS,
        "say --proxy http://USER:PASSWORD@HOST:PORT: a proxy is spoken to without TLS, and its login is Basic",
    ),
    (&["--proxy-basic"], CLIENTS, "leave it out: the login in the URL of --proxy is Basic"),
    (
        &["--show-error", "--no-progress-meter"],
        CLIENTS,
        "leave it out: errors are said, and there is no meter",
    ),
    (&["-S"], ECHO, "leave it out: errors are always said"),
    (&["--stderr"], CLIENTS, "the shell says it: 2> FILE"),
    (&["--tcp-nodelay", "--tcp-fastopen"], CLIENTS, "leave it out: nothing waits for more"),
    (&["--url-query"], CLIENTS, "the query belongs in the URL"),
    (&["--write-out"], CLIENTS, "say --timing, or --timing=json"),
    (&["-O", "--remote-name"], CLIENTS, "the shell says it: > FILE"),
    (&["--progress-bar", "-#"], WEBSOCKETS | SUB, "the shell says it: | pv"),
    (&["--dns-servers", "--doh-url", "--dns-interface"], CLIENTS, "say --resolve HOST:PORT:ADDR"),
    (&["--tlsv1", "--sslv2", "--sslv3", "-2", "-3"], CLIENTS, "say --tls-min VERSION; SSL is no more"),
    (&["-m", "--max-time"], ECHO, "say -W SEC (the message stands after the URL)"),
    (&["--retry"], ECHO | MQTT, "say -c N, or let the shell say it: until wspipe ...; do sleep 1; done"),
    (&["--data", "--data-binary"], ECHO, "the message stands after the URL"),
    (&["--output"], CLIENTS, "the shell says it: > FILE"),
    (&["-N", "--no-buffer"], CAT, "leave it out: a message is printed as soon as it has come"),
    (&["-T", "--upload-file"], CAT, "the shell says it: < FILE"),
    (&["-o", "--output"], CAT, "the shell says it: > FILE (wscat's -o is --origin)"),
    (&["--pass"], ALL, "say --key-password-file FILE"),
    (
        &["--tlsv1.0", "--tlsv1.1", "--tlsv1.2", "--tlsv1.3"],
        ALL,
        "say --tls-min VERSION, as in --tls-min 1.2",
    ),
    (&["--cert-type"], ALL, "leave it out: --cert is PEM, --pkcs12 is P12"),
    (&["--data", "--data-binary"], CAT, "say --on-open TEXT or @FILE, or send it by stdin"),
    (&["--max-time"], CAT, "say -W SEC"),
    (&["-m", "--message"], CAT, "messages come from stdin and from --on-open (a limit is -W SEC)"),
    (&["--file"], CAT, "the shell says it: < FILE"),
    // mosquitto and MQTTX.
    (&["--unix"], MQTTS, "say --unix-socket PATH"),
    (&["--will-message"], MQTTS, "say --will-payload TEXT"),
    (&["--client-id", "--clientId", "--identifier"], MQTTS, "say -i ID"),
    (&["--mqtt-version", "--mqttVersion"], MQTTS, "say -V 311 or -V 5"),
    (&["--ws-headers"], MQTTS, "say -H 'NAME: VALUE'"),
    (&["--reconnect-period"], MOSQUITTO, "leave it out: the pauses grow from 0.5 to 30 s"),
    (&["--maximum-reconnect-times"], MOSQUITTO, "say --max-retries N"),
    (&["--rcv-max", "--receive-maximum"], MOSQUITTO, "say -D connect receive-maximum N"),
    (&["--maximum-packet-size"], MOSQUITTO, "say -D connect maximum-packet-size N (and --max-message)"),
    (&["--topic-alias-max"], MOSQUITTO, "say -D connect topic-alias-maximum N"),
    (&["--req-response-info"], MOSQUITTO, "say -D connect request-response-information 1"),
    (&["--no-req-problem-info"], MOSQUITTO, "say -D connect request-problem-information 0"),
    (&["--conn-user-properties"], MOSQUITTO, "say -D connect user-property NAME VALUE"),
    (&["--user-properties", "--user-property"], PUB | RR, "say -D publish user-property NAME VALUE"),
    (&["--user-properties", "--user-property"], SUB, "say -D subscribe user-property NAME VALUE"),
    (
        &[
            "--will-payload-format-indicator",
            "--will-message-expiry-interval",
            "--will-content-type",
            "--will-response-topic",
            "--will-correlation-data",
            "--will-user-properties",
        ],
        MOSQUITTO,
        "say -D will and what it is without its will-, as in -D will content-type text/plain",
    ),
    (
        &[
            "--payload-format-indicator",
            "--message-expiry-interval",
            "--content-type",
            "--correlation-data",
            "--response-topic",
            "--topic-alias",
        ],
        PUB | RR,
        "say -D publish and its name, as in -D publish content-type text/plain",
    ),
    (&["--subscription-identifier"], SUB, "say -D subscribe subscription-identifier N"),
    (&["--authentication-method"], MOSQUITTO, "say -D connect authentication-method NAME"),
    (&["--clean", "--no-cleanStart"], SUB, "say -c (--disable-clean-session) to keep the session"),
    (&["--dup"], PUB | RR, "leave it out: DUP is for what is sent again, and set then"),
    (&["--stdin"], PUB | RR, "say -s"),
    (&["--line-mode"], PUB | RR, "say -l"),
    (&["--payload-size"], PUB | RR, "the shell says it: head -c N /dev/urandom | before it, with -s"),
    (&["--no_local"], SUB, "say --no-local"),
    (
        &["--output-mode"],
        SUB | RR,
        "leave it out: the payload is printed and nothing else (-v, -F and --json say more)",
    ),
    (&["--delimiter"], SUB | RR, "say -0 for NUL, -N for nothing, or -F '%p...'"),
    (
        &["--protobuf-path", "--protobuf-message-name", "--avsc-path"],
        MOSQUITTO,
        "the shell says it: | protoc --decode (payloads are bytes here)",
    ),
    (
        &["-c", "--disable-clean-session", "--no-clean"],
        PUB | RR,
        "leave it out: there is no store for what a publisher must remember from one run to the next",
    ),
    (&["-S"], MOSQUITTO, "leave it out: the host belongs in the URL"),
    (&["-o"], MOSQUITTO, "there is no file of options: a shell alias or script holds them"),
    (&["-M", "--max-inflight"], SUB, "say -D connect receive-maximum N"),
    (&["--pretty"], SUB | RR, "say --json, and jq makes it pretty"),
    (&["--message-rate"], SUB, "leave it out: | pv -l > /dev/null counts"),
    (&["--random-filter"], SUB, "the shell says it: | awk 'rand() < 0.1'"),
    (&["--latency"], RR, "say -d: it tells how long each response took"),
    (
        &["-R", "--no-retained"],
        RR,
        "leave it out: only what carries the request's Correlation Data is a response",
    ),
    (&["--retain-handling", "--retain-as-published"], RR, "leave it out: a response is hardly retained"),
    (&["-E"], PUB | RR, "leave it out: it ends once all is confirmed"),
    (&["--nodelay"], MOSQUITTO, "leave it out: it is always so"),
    (&["--no-tls"], MOSQUITTO, "the URL's scheme says it: ws:// or mqtt://"),
    (&["--tls-version"], MOSQUITTO, "say --tls-min, --tls-max or both, as in --tls-min 1.3"),
    (&["--keyform"], MOSQUITTO, "leave it out: keys are PEM"),
    (&["--tls-use-os-certs"], MOSQUITTO, "leave it out: so it is without --cafile"),
    (&["--pw-file"], MOSQUITTO, "say --password-file FILE"),
    (&["--payload"], PUB | RR, "say -m TEXT"),
    (&["--file-read"], PUB | RR, "say -f FILE"),
    (&["--multiline", "--lines"], PUB | RR, "say -l"),
    (&["--filter"], SUB, "say -t FILTER, or -T FILTER for what is not to be printed"),
    (&["--outputToFile", "--file-save", "--file-write"], SUB, "the shell says it: > FILE"),
    (&["--base64"], SUB | RR, "say --json: what is not UTF-8 is base64 there"),
    (
        &["-h", "--host", "--hostname"],
        ALL,
        "the host belongs in the URL, as in ws://HOST:PORT/PATH (-h alone is help)",
    ),
    (&["-p", "--port"], ALL, "the port belongs in the URL, as in ws://HOST:PORT/PATH"),
    (&["-L"], MQTTS, "the URL stands by itself (redirects are followed by --location)"),
    (&["-L", "--url", "--connect"], ALL, "the URL stands by itself"),
    (&["--socks5"], WEBSOCKETS | MQTTS, "say --proxy socks5://HOST:PORT"),
    (&["--socks5-hostname"], WEBSOCKETS | MQTTS, "say --proxy socks5h://HOST:PORT"),
    (&["--proxy-user"], WEBSOCKETS | MQTTS, "the login belongs in the URL of --proxy"),
    (&["--proxytunnel"], WEBSOCKETS | MQTTS, "leave it out: every proxy is asked for a tunnel"),
    (&["--interface", "--local-addr"], CLIENTS, "say --bind ADDR"),
    (
        &["--oauth2-bearer", "--bearer", "--token"],
        CLIENTS,
        "say --bearer-file FILE: ps shows what is typed here",
    ),
    (&["--location-trusted"], CLIENTS, "say --location: logins stay with the first server"),
    (&["--path"], ALL, "the path belongs in the URL, as in ws://HOST:PORT/PATH"),
    (&["--ws", "--tls", "--ssl"], ALL, "the URL's scheme says it: ws://, wss://, mqtt:// or mqtts://"),
    (&["-l", "--listen"], WEBSOCKETS, "the server is 'wspipe serve'"),
    (&["-v", "--verbose"], ALL, "say -d"),
    (&["-V", "--version"], ALL, "it stands alone: wspipe --version"),
    (&["-n"], ECHO, "say --insecure"),
    (&["--no-check"], WEBSOCKETS, "say --insecure"),
    (&["-o"], ECHO, "say --origin"),
    (&["-s"], ECHO, "say --subprotocol"),
    (&["-x", "--execute"], ECHO, "the message stands after the URL; curl's -x is --proxy"),
    (&["-t", "-m", "--message"], ECHO, "the message stands after the URL (topics are for 'wspipe mqtt')"),
    (&["-q", "--silent"], WEBSOCKETS | Command::Serve.set(), "say --quiet"),
    (&["-u", "--user"], WEBSOCKETS, "say --auth USER:PASSWORD, or ws://USER:PASSWORD@HOST/"),
    (&["--ua", "-A", "--user-agent"], WEBSOCKETS | MQTTS, "say -H 'User-Agent: ...'"),
    (&["-C"], ECHO | MQTT, "say --count"),
    (&["--no-clean"], MQTT | SUB, "say -c (--disable-clean-session)"),
];

/// What stands in [`ELSEWHERE`] for this spelling.
pub fn elsewhere(command: Command, spelling: &str) -> Option<&'static str> {
    let fits = |(names, commands, _): &&(&[&str], Set, &str)| {
        commands & command.set() != 0 && names.contains(&spelling)
    };
    ELSEWHERE.iter().find(fits).map(|(_, _, answer)| *answer)
}

/// What to say to an address of websocat's or wscat's that is more than a URL, as `autoreconnect:ws://h/`.
pub fn overlay(address: &str) -> Option<&'static str> {
    let (word, _) = address.split_once(':')?;
    let answers = [
        (&["autoreconnect", "waitfordata"][..], "the URL stands by itself; --reconnect connects again"),
        (&["ws-l", "ws-listen", "l-ws", "ws-u", "ws-upgrade", "mirror"], "a server is 'wspipe serve'"),
        (
            &["ws-c", "ws-connect", "c-ws"],
            "the URL stands by itself; --unix-socket and --connect-to go elsewhere",
        ),
        (&["ws+unix", "wss+unix"], "say --unix-socket PATH, and the URL as for any server"),
        (
            &["lengthprefixed"],
            "the URL stands by itself; --in length and --out length put a length before each",
        ),
        (&["base64"], "the URL stands by itself; --in base64, --out base64"),
        (&["jsonrpc"], "the URL stands by itself; stdin is sent as it is"),
        (
            &["log", "timestamp"],
            "the URL stands by itself; --out json has a line for each message, with the time",
        ),
        (&["exec", "cmd", "sh-c"], "the shell says it: a pipe, or a process substitution"),
    ];
    answers.iter().find(|(words, _)| words.contains(&word)).map(|(_, answer)| *answer)
}
