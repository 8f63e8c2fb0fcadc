//! The commands: their names and the prose of their help.

use super::flags::Set;

const PUB: &str = "\
Connects, publishes and disconnects. Status 0 means that the broker has it all: at
QoS 1 and 2 by its acknowledgements, at QoS 0 by its answer to a PINGREQ after the
last message. What it denies is status 9, but MQTT 3.1.1 cannot tell of that.

URL is ws://[USER:PASSWORD@]HOST[:PORT][/PATH], wss://... (MQTT over WebSocket; no
path means /mqtt, an explicit / stays), mqtt://HOST[:PORT] or mqtts://... (TCP and
TLS, ports 1883 and 8883). USER and PASSWORD are percent-encoded; with -u the URL's
are not used at all, and a password given by an option goes before the URL's.";

const SUB: &str = "\
Connects, subscribes and prints each message as one line on stdout. A message is
acknowledged after it was printed, so that one with QoS 1 or 2 is not lost on the
way through a pipe. A lost connection is made again, with the same session.

Without -c the session ends with the run. With -c -i NAME the broker keeps what
comes between two runs.

URL is ws://[USER:PASSWORD@]HOST[:PORT][/PATH], wss://... (MQTT over WebSocket; no
path means /mqtt, an explicit / stays), mqtt://HOST[:PORT] or mqtts://... (TCP and
TLS, ports 1883 and 8883). USER and PASSWORD are percent-encoded; with -u the URL's
are not used at all, and a password given by an option goes before the URL's.";

const RR: &str = "\
Connects, subscribes to a response topic of its own, publishes each request with it
and with Correlation Data of its own, and prints the responses that carry the same.
Needs MQTT 5.0 (section 4.10).

URL is ws://[USER:PASSWORD@]HOST[:PORT][/PATH], wss://... (MQTT over WebSocket; no
path means /mqtt, an explicit / stays), mqtt://HOST[:PORT] or mqtts://... (TCP and
TLS, ports 1883 and 8883). USER and PASSWORD are percent-encoded; with -u the URL's
are not used at all, and a password given by an option goes before the URL's.";

/// Command lines, each with what it does.
type Examples = &'static [(&'static str, &'static str)];

const PUB_EXAMPLES: Examples = &[
    ("wspipe pub ws://localhost:9001 -t a/b -m hello -q 1", "One message, confirmed by the broker"),
    ("journalctl -f | wspipe pub wss://user:pass@h/mqtt -t logs -l -q 1", "Every line to a topic"),
    ("wspipe pub mqtts://h -t photo -f photo.jpg -r -D publish content-type image/jpeg", "A file, retained"),
    ("wspipe sub ws://h -t '#' --json | wspipe pub ws://other --in json", "One broker's messages to another"),
];

const SUB_EXAMPLES: Examples = &[
    ("wspipe sub ws://localhost:9001 -t 'sensors/#' -v", "Topic and payload, a line each"),
    ("wspipe sub wss://user:pass@h/mqtt -t a/b -C 1 -W 10", "One message, at most ten seconds"),
    ("wspipe sub mqtts://h -t '#' --json -q 1 -c -i logger", "All of it, nothing lost between two runs"),
    ("wspipe sub ws://h -t 'state/#' --snapshot 1 -F '%I %t %p'", "What is retained, with the time"),
];

const RR_EXAMPLES: Examples = &[
    ("wspipe rr ws://localhost:9001 -t service/time -m now", "One request, its response"),
    ("wspipe rr wss://h/mqtt -t service/sum -l -W 5", "A request a line, the responses in order"),
];

/// A command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Command {
    /// `wspipe echo`.
    #[default]
    Echo,
    /// `wspipe cat`.
    Cat,
    /// `wspipe mqtt`.
    Mqtt,
    /// `wspipe pub`.
    Pub,
    /// `wspipe sub`.
    Sub,
    /// `wspipe rr`.
    Rr,
    /// `wspipe serve`.
    Serve,
}

impl Command {
    /// In the order of the help.
    pub const ALL: [Command; 7] =
        [Command::Echo, Command::Cat, Command::Mqtt, Command::Pub, Command::Sub, Command::Rr, Command::Serve];

    /// As it is typed.
    pub fn name(self) -> &'static str {
        match self {
            Command::Echo => "echo",
            Command::Cat => "cat",
            Command::Mqtt => "mqtt",
            Command::Pub => "pub",
            Command::Sub => "sub",
            Command::Rr => "rr",
            Command::Serve => "serve",
        }
    }

    /// By its name.
    pub fn from_name(name: &str) -> Option<Command> {
        Command::ALL.into_iter().find(|command| command.name() == name)
    }

    /// Its bit in the sets of the flag table.
    pub const fn set(self) -> Set {
        1 << self as Set
    }

    /// What stands after its name.
    pub fn usage(self) -> &'static str {
        match self {
            Command::Echo => "[OPTIONS] [URL] [MESSAGE]",
            Command::Cat | Command::Mqtt => "[OPTIONS] URL",
            Command::Pub => "[OPTIONS] URL -t TOPIC -m TEXT",
            Command::Sub => "[OPTIONS] URL -t FILTER",
            Command::Rr => "[OPTIONS] URL -t TOPIC -m TEXT",
            Command::Serve => "[OPTIONS] [URL]",
        }
    }

    /// One line of the overview.
    pub fn summary(self) -> &'static str {
        match self {
            Command::Echo => "Send a message to a WebSocket echo server and check the reply",
            Command::Cat => "Send stdin to a WebSocket and print what it sends, byte-exact",
            Command::Mqtt => "Check an MQTT broker with one round trip: subscribe, publish, receive",
            Command::Pub => "Publish to an MQTT broker: a message, or each line of stdin",
            Command::Sub => "Subscribe at an MQTT broker and print what comes",
            Command::Rr => "Send MQTT requests and print the responses that belong to them",
            Command::Serve => "Run a local WebSocket echo server to test against",
        }
    }

    /// What it does, and what its arguments are.
    pub fn about(self) -> &'static str {
        match self {
            Command::Echo => {
                "\
Connects, sends MESSAGE (default: hello), waits for the reply, checks that it is
the same bytes, prints it on stdout and closes. With --count it goes on like ping:
one line for each reply, and a summary; on a terminal a histogram of 20 and more.

URL is ws://[USER:PASSWORD@]HOST[:PORT][/PATH][?QUERY] or wss://..., the default is
ws://localhost:8000/websocket. USER and PASSWORD are percent-encoded and go out as
HTTP Basic authentication, unless -H gives another Authorization."
            }
            Command::Cat => {
                "\
Connects, sends each line of stdin as a text message, without its newline, and
prints each message that comes as one line; both at once. --in and --out choose
other framings, -b sends binary messages.

The end of stdin ends it once nothing has come for a second (-w). That is a guess:
a script says what it waits for, with -C N or --until TEXT, and a limit with -W SEC.
The server's Close ends it too; without one the connection counts as lost.

URL is ws://[USER:PASSWORD@]HOST[:PORT][/PATH][?QUERY], wss://... is the same over TLS.
USER and PASSWORD are percent-encoded and go out as HTTP Basic authentication, unless
-H gives another Authorization."
            }
            Command::Mqtt => {
                "\
Connects, logs in, subscribes to the topic, publishes the message, receives it
back, unsubscribes and disconnects. The steps are told on stderr.

URL is ws://[USER:PASSWORD@]HOST[:PORT][/PATH], wss://... (MQTT over WebSocket; no
path means /mqtt, an explicit / stays), mqtt://HOST[:PORT] or mqtts://... (TCP and
TLS, ports 1883 and 8883). USER and PASSWORD are percent-encoded; with -u the URL's
are not used at all, and a password given by an option goes before the URL's."
            }
            Command::Pub => PUB,
            Command::Sub => SUB,
            Command::Rr => RR,
            Command::Serve => {
                "\
Listens and sends every message back as it came, to many clients at once. Only the
path of URL is served (/ is any path), the default is ws://localhost:8000/websocket.
Port 0 lets the system choose one. Ctrl-C ends it."
            }
        }
    }

    /// Lines to copy, each with what it does.
    pub fn examples(self) -> Examples {
        match self {
            Command::Echo => &[
                ("wspipe echo", "Test the server that 'wspipe serve' starts"),
                ("wspipe echo wss://echo.example.com/ 'good day'", "One message over TLS"),
                ("wspipe echo -c 10 -i 0.2 --size 1k ws://localhost:8000/ws", "Ten of 1024 bytes, timed"),
                ("wspipe echo -H 'Cookie: id=1' --skip 1 wss://h/chat hi", "A server that greets first"),
                ("wspipe echo -c 1000 -i 0 --json --plot rtt.svg wss://h/echo", "How fast is it?"),
            ],
            Command::Cat => &[
                ("echo hello | wspipe cat -C 1 wss://echo.example.com/", "One message, one reply"),
                ("journalctl -f | wspipe cat -w 0 wss://h/logs", "Every line to a server"),
                (
                    "wspipe cat --no-stdin --on-open '{\"op\":\"subscribe\"}' --reconnect wss://h/feed",
                    "Receive only: subscribe at each connect, print what comes",
                ),
                (
                    "wspipe cat --in whole --out chunk -b -C 1 ws://h < photo.jpg > reply",
                    "One file, one reply",
                ),
            ],
            Command::Mqtt => &[
                ("wspipe mqtt ws://localhost:9001", "Is the broker well?"),
                ("wspipe mqtt wss://user:pass@broker.example.com/mqtt -q 1", "Login, QoS 1, TLS"),
                ("wspipe mqtt mqtts://h -u user --password-file pw -t a/b -m hi", "Password from a file"),
                ("wspipe mqtt ws://h -V 311 --count 10 --interval 0.5", "MQTT 3.1.1, ten round trips"),
            ],
            Command::Pub => PUB_EXAMPLES,
            Command::Sub => SUB_EXAMPLES,
            Command::Rr => RR_EXAMPLES,
            Command::Serve => &[
                ("wspipe serve", "Then, in another terminal: wspipe echo"),
                ("wspipe serve ws://127.0.0.1:9000/", "Any path, port 9000"),
            ],
        }
    }
}
