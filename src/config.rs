//! What was decided: the typed arguments, checked and completed. Nothing below `cli` sees an argument.

use std::{fmt, path::PathBuf, time::Duration};

use bytes::Bytes;

mod client;
pub mod proxy;
pub mod route;
mod tls;
pub mod url;

pub use self::{
    client::{Output, Publish, Ready, Reconnect, Request, Shape, Source, Subscribe},
    proxy::{Proxy, ProxyRules, ProxyScheme},
    route::Route,
    tls::{Identity, KeyPassword, Pins, Piped, Tls, TlsVersion},
    url::{Scheme, Url},
};
pub use crate::proto::format::{Template, Zone};
pub use crate::proto::framing::Framing;
pub use crate::proto::mqtt::{
    packet::{ConnectProperties, Filter, PublishProperties, QoS, Version, Will, no_properties},
    topic,
};

/// Everything that one run needs.
#[derive(Clone, Debug)]
pub struct Config {
    /// What to do: the dispatch.
    pub mode: Mode,
    /// How much to say on stderr.
    pub verbosity: Verbosity,
    /// What the arguments gave reason to warn of: for the log, as soon as there is one.
    pub warnings: Vec<String>,
}

/// `-d` and `--quiet`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verbosity {
    /// `--quiet`: errors only.
    Quiet,
    /// The command's own: `info` for `echo` and `mqtt`, `warn` elsewhere.
    #[default]
    Normal,
    /// `-d`.
    Debug,
    /// `-d -d`.
    Trace,
}

/// The dispatch enum: one variant a command.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant)] // one a process
pub enum Mode {
    /// `wspipe echo`.
    Echo(Endpoint, Echo),
    /// `wspipe cat`.
    Cat(Endpoint, Cat),
    /// `wspipe mqtt`.
    RoundTrip(Endpoint, RoundTrip),
    /// `wspipe pub`.
    Publish(Endpoint, Publish),
    /// `wspipe sub`.
    Subscribe(Endpoint, Subscribe),
    /// `wspipe rr`.
    Request(Endpoint, Request),
    /// `wspipe serve`.
    Serve(Serve),
}

impl Mode {
    /// The limit of a whole run that prints what comes: `-W` of `cat` and `sub`.
    pub fn limit(&self) -> Option<Duration> {
        match self {
            Mode::Cat(_, options) => options.timeout,
            Mode::Subscribe(_, options) => options.timeout,
            _ => None,
        }
    }

    /// What is told of a test of round trips when it is over.
    pub fn report(&self) -> Option<&Report> {
        match self {
            Mode::Echo(_, options) => Some(&options.report),
            Mode::RoundTrip(_, options) => Some(&options.report),
            _ => None,
        }
    }
}

/// What `echo` and `mqtt` tell at the end.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// `--json`: one object on stdout, in place of all else that would be there.
    pub json: bool,
    /// `--plot FILE`.
    pub plot: Option<PathBuf>,
}

/// Where to connect and how to get there. `Debug` shows the names of the headers only.
#[derive(Clone)]
pub struct Endpoint {
    /// The URL, without its userinfo.
    pub url: Url,
    /// HTTP headers of `-H`, in order, and Authorization where the URL's userinfo means Basic.
    pub headers: Vec<(String, String)>,
    /// Subprotocols offered (`--subprotocol`; `mqtt` for the MQTT commands).
    pub subprotocols: Vec<String>,
    /// The limit of the whole way from resolving to the upgrade, for MQTT to CONNACK.
    pub connect_timeout: Duration,
    /// The wait for the peer's Close after ours.
    pub close_timeout: Duration,
    /// The largest message taken, in bytes.
    pub max_message: usize,
    /// The proxy on the way, and to whatever a redirect names.
    pub proxy: ProxyRules,
    /// TLS options.
    pub tls: Tls,
    /// The way to the server.
    pub route: Route,
    /// `--location`: the most redirects that are followed; none are without it.
    pub redirects: Option<u32>,
    /// CONNECT will carry a user name, a password or Authentication Data: what no redirect may lead elsewhere.
    pub connect_login: bool,
    /// `--timing`: how long the steps took, in a line on stderr for each connection.
    pub timing: Option<TimingFormat>,
}

/// How `--timing` tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimingFormat {
    /// A log line, whatever the log level.
    Text,
    /// One JSON object on a line.
    Json,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Endpoint")
            .field("url", &self.url)
            .field("headers", &names)
            .field("subprotocols", &self.subprotocols)
            .field("connect_timeout", &self.connect_timeout)
            .field("close_timeout", &self.close_timeout)
            .field("max_message", &self.max_message)
            .field("proxy", &self.proxy)
            .field("tls", &self.tls)
            .field("route", &self.route)
            .field("redirects", &self.redirects)
            .field("timing", &self.timing)
            .finish()
    }
}

/// `wspipe echo`.
#[derive(Clone, Debug)]
pub struct Echo {
    /// What to send; `--size N` makes N bytes of it.
    pub message: Bytes,
    /// `-b`: as a binary message.
    pub binary: bool,
    /// `-c N`; none is the one-shot.
    pub count: Option<u64>,
    /// `-i SEC`: the pause between two messages.
    pub interval: Duration,
    /// `--skip N`: messages of the server that come before the first reply (greetings).
    pub skip: u64,
    /// `--max-rtt MS`: more than zero; a round trip above it fails the test.
    pub max_rtt: Option<Duration>,
    /// `-W SEC`: how long one reply may take.
    pub timeout: Duration,
    /// `--raw`: control bytes go to a terminal as they are.
    pub raw: bool,
    /// `--json` and `--plot`.
    pub report: Report,
}

/// `wspipe cat`.
#[derive(Clone, Debug)]
pub struct Cat {
    /// `--in`: how messages stand on stdin.
    pub input: Framing,
    /// `--out`: how messages stand on stdout.
    pub output: Framing,
    /// `-b`: what is sent goes out as binary messages. Never with `Framing::Json` as input, whose lines
    /// say their kind.
    pub binary: bool,
    /// `--strict`: a message that holds the separator of the output (`Line`, `Null`) is refused.
    pub strict: bool,
    /// `--no-stdin`: stdin is not read. Also set where `echo` is.
    pub no_stdin: bool,
    /// `-C N`: end after so many data messages received, at least 1.
    pub count: Option<u64>,
    /// `--until TEXT`: end after the message that contains it; never empty.
    pub until: Option<Bytes>,
    /// `-w SEC`: the quiet after the end of stdin that ends it; none waits for ever. May be zero.
    pub quiet: Option<Duration>,
    /// `-W SEC`: the limit of the whole run, more than zero.
    pub timeout: Option<Duration>,
    /// `--ping-interval SEC`, more than zero.
    pub ping_interval: Option<Duration>,
    /// `--ping-timeout SEC`, more than zero; only with an interval.
    pub ping_timeout: Option<Duration>,
    /// `--on-open TEXT|@FILE`: messages sent after each (re)connect, before stdin; of the kind that
    /// `binary` says, text ones are UTF-8.
    pub on_open: Vec<Bytes>,
    /// `--reconnect`.
    pub reconnect: bool,
    /// `--max-retries N`: gives up when so many reconnects in a row have failed; 0 is none at all. Only with
    /// `reconnect`; none is no limit.
    pub max_retries: Option<u64>,
    /// `--close-status-code N` of our Close (RFC 6455 section 7.4).
    pub close_code: u16,
    /// `--close-reason TEXT` of our Close: at most 123 bytes.
    pub close_reason: String,
    /// `--echo`: every message goes back as it came; nothing is read from stdin or written to stdout.
    pub echo: bool,
    /// `--raw`: control bytes go to a terminal as they are.
    pub raw: bool,
}

/// `wspipe mqtt`.
#[derive(Clone, Debug)]
pub struct RoundTrip {
    /// Login, session and will.
    pub mqtt: Mqtt,
    /// `-t`.
    pub topic: String,
    /// `-m`.
    pub message: Bytes,
    /// `-q`: of the publish and of the subscription.
    pub qos: QoS,
    /// `-r`.
    pub retain: bool,
    /// `--count N`; none is the one-shot.
    pub count: Option<u64>,
    /// `--interval SEC`.
    pub interval: Duration,
    /// `--max-rtt MS`: more than zero; a round trip above it fails the test.
    pub max_rtt: Option<Duration>,
    /// `--json` and `--plot`.
    pub report: Report,
    /// `-W SEC`: how long one round trip may take.
    pub timeout: Duration,
}

/// What all MQTT commands share. `Debug` hides the password and Authentication Data.
#[derive(Clone)]
pub struct Mqtt {
    /// `-V`; none: 5, falling back to 3.1.1.
    pub version: Option<Version>,
    /// `-i`; none: generated.
    pub client_id: Option<String>,
    /// `-c`: keep the session (Clean Start 0).
    pub keep_session: bool,
    /// `-x`: Session Expiry Interval in seconds.
    pub session_expiry: Option<u32>,
    /// `-k`: Keep Alive in seconds.
    pub keep_alive: u16,
    /// User Name.
    pub username: Option<String>,
    /// Password.
    pub password: Option<Bytes>,
    /// `--will-*` and `-D will`.
    pub will: Option<Will>,
    /// `-D connect receive-maximum`: at least 1.
    pub receive_maximum: Option<u16>,
    /// `-D connect`, but for Session Expiry Interval and Receive Maximum, which stand above and are none here.
    pub connect_properties: ConnectProperties,
    /// `-D disconnect session-expiry-interval`: above 0 only where CONNECT's is.
    pub disconnect_session_expiry: Option<u32>,
    /// `-D disconnect user-property`.
    pub disconnect_user_properties: Vec<(String, String)>,
    /// The limit for each acknowledgement.
    pub ack_timeout: Duration,
}

impl fmt::Debug for Mqtt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut connect_properties = self.connect_properties.clone();
        let hidden = connect_properties.authentication_data.as_mut();
        hidden.into_iter().for_each(|data| *data = Bytes::from_static(b"hidden"));
        f.debug_struct("Mqtt")
            .field("version", &self.version)
            .field("client_id", &self.client_id)
            .field("keep_session", &self.keep_session)
            .field("session_expiry", &self.session_expiry)
            .field("keep_alive", &self.keep_alive)
            .field("username", &self.username)
            .field("password", &self.password.as_ref().map(|_| "hidden"))
            .field("will", &self.will)
            .field("receive_maximum", &self.receive_maximum)
            .field("connect_properties", &connect_properties)
            .field("disconnect_session_expiry", &self.disconnect_session_expiry)
            .field("disconnect_user_properties", &self.disconnect_user_properties)
            .field("ack_timeout", &self.ack_timeout)
            .finish()
    }
}

impl Mqtt {
    /// Whether CONNECT carries something that is for this server only.
    pub fn has_login(&self) -> bool {
        let authentication = self.connect_properties.authentication_data.is_some();
        self.username.is_some() || self.password.is_some() || authentication
    }

    /// A filter at a QoS, as `wspipe mqtt` subscribes.
    pub fn filter(topic: &str, qos: QoS) -> Filter {
        Filter { filter: topic.to_owned(), qos, ..Filter::default() }
    }
}

/// `wspipe serve`.
#[derive(Clone, Debug)]
pub struct Serve {
    /// Where to listen; only ws://. Its path is the one that upgrades, others get 404; `/` takes any.
    pub url: Url,
    /// The largest message taken, in bytes.
    pub max_message: usize,
}
