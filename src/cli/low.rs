//! What was typed: the flags of all commands with their values typed, nothing decided yet.

use std::{
    cell::RefCell,
    ffi::{OsStr, OsString},
    path::PathBuf,
};

use super::{
    command::Command,
    error::UsageError,
    flags,
    property::Property,
    value::{
        Cookie, Expiry, FromArg, Header, Milliseconds, Payload, RetainHandling, Seconds, Separator, Size,
        Timing, Token, Wait,
    },
};
use crate::config::{Framing, QoS, Ready, Source, Version};

mod extract;
mod tls;

use extract::Extract;
pub use tls::LowTls;

/// The arguments of one command. A field of another command's flag is empty.
#[derive(Debug, Default)]
#[allow(missing_docs)] // each is the flag of its name
pub struct LowArgs {
    pub command: Command,
    /// What is no flag and no value, in order.
    pub positionals: Vec<OsString>,
    pub debug: usize,
    pub quiet: bool,

    pub connect_timeout: Option<Seconds>,
    pub close_timeout: Option<Seconds>,
    pub max_message: Option<Size>,
    pub headers: Vec<Header>,
    pub subprotocols: Vec<Token>,
    pub origin: Option<String>,
    pub proxy: Option<String>,
    pub no_proxy: Option<String>,
    pub tls: LowTls,

    pub count: Option<u64>,
    pub interval: Option<Seconds>,
    pub timeout: Option<Seconds>,
    pub max_rtt: Option<Milliseconds>,
    pub timing: Option<Timing>,
    pub plot: Option<PathBuf>,
    pub size: Option<Size>,
    /// Of --binary and --text the last one holds.
    pub binary: bool,
    pub skip: Option<u64>,
    pub raw: bool,

    pub null: bool,
    pub strict: bool,
    pub max_retries: Option<u64>,

    pub route: LowRoute,
    pub http: LowHttp,

    pub cat: LowCat,
    pub client: LowClient,

    pub topics: Vec<String>,
    pub message: Option<Payload>,
    pub qos: Option<QoS>,
    pub retain: bool,
    pub username: Option<String>,
    pub password: Option<Payload>,
    pub password_file: Option<PathBuf>,
    pub password_env: Option<String>,
    pub ask_password: bool,
    pub version: Option<Version>,
    pub keep_session: bool,
    pub session_expiry: Option<Expiry>,
    pub id: Option<String>,
    pub id_prefix: Option<String>,
    pub keepalive: Option<u16>,
    pub ack_timeout: Option<Seconds>,
    pub will_topic: Option<String>,
    pub will_payload: Option<Payload>,
    pub will_qos: Option<QoS>,
    pub will_retain: bool,
    pub will_delay_interval: Option<u32>,

    /// Who is asked for a password, if there is somebody.
    pub ask: Option<Ask>,
    /// What is said once there is a logger.
    pub warnings: RefCell<Vec<String>>,
}

/// Shows the text and gives what is typed then, or why it cannot.
pub type Ask = fn(&str) -> Result<Vec<u8>, String>;

/// The flags that say which way to go to the server.
#[derive(Debug, Default)]
#[allow(missing_docs)] // each is the flag of its name
pub struct LowRoute {
    pub ipv4: bool,
    pub ipv6: bool,
    pub resolve: Vec<String>,
    pub connect_to: Vec<String>,
    pub unix_socket: Option<PathBuf>,
    pub bind: Option<String>,
}

/// The flags that only `wspipe cat` has.
#[derive(Debug, Default)]
#[allow(missing_docs)] // each is the flag of its name
pub struct LowCat {
    pub input: Option<Framing>,
    pub output: Option<Framing>,
    pub no_stdin: bool,
    pub one_message: bool,
    pub until: Option<Payload>,
    pub wait: Option<Wait>,
    pub ping_interval: Option<Seconds>,
    pub ping_timeout: Option<Seconds>,
    pub on_open: Vec<Payload>,
    pub reconnect: bool,
    pub close_status_code: Option<u16>,
    pub close_reason: Option<String>,
    pub echo: bool,
}

/// The flags that only `wspipe pub`, `wspipe sub` and `wspipe rr` have.
#[derive(Debug, Default)]
#[allow(missing_docs)] // each is the flag of its name
pub struct LowClient {
    pub file: Option<PathBuf>,
    pub stdin_file: bool,
    pub stdin_line: bool,
    pub null_message: bool,
    pub input: Option<Source>,
    pub topic_from_line: Option<Separator>,
    pub repeat: Option<u64>,
    pub repeat_delay: Option<Seconds>,
    pub max_inflight: Option<u16>,
    pub progress: bool,
    pub properties: Vec<Property>,
    pub response_topic: Option<String>,
    pub filter_out: Vec<String>,
    pub unsubscribe: Vec<String>,
    pub exit_after_suback: bool,
    pub no_retained: bool,
    pub retained_only: bool,
    pub remove_retained: bool,
    pub retain_as_published: bool,
    pub retain_handling: Option<RetainHandling>,
    pub no_local: bool,
    pub format: Option<String>,
    pub verbose: bool,
    pub json: bool,
    pub no_newline: bool,
    pub watch: bool,
    pub snapshot: Option<Seconds>,
    pub ready: Option<Ready>,
    pub no_reconnect: bool,
    pub retry_connect: bool,
}

impl LowArgs {
    /// Takes the rewritten arguments apart.
    ///
    /// # Errors
    /// A value that is not what its flag takes.
    #[inline(never)]
    pub fn extract(command: Command, rewritten: Vec<OsString>) -> Result<LowArgs, UsageError> {
        // Marked values cannot be equal to a flag.
        let kind = rewritten.iter().rfind(|argument| *argument == "--binary" || *argument == "--text");
        let binary = kind.is_some_and(|kind| kind == "--binary");
        let mut args = Extract::new(command, rewritten);
        let mut low = LowArgs { command, binary, ..LowArgs::default() };
        low.debug = args.times("--debug");
        low.quiet = args.has("--quiet");
        args.take("--connect-timeout", &mut low.connect_timeout);
        args.take("--close-timeout", &mut low.close_timeout);
        args.take("--max-message", &mut low.max_message);
        args.take("--header", &mut low.headers);
        args.take("--subprotocol", &mut low.subprotocols);
        args.take("--origin", &mut low.origin);
        args.take("--proxy", &mut low.proxy);
        args.take("--no-proxy", &mut low.no_proxy);
        low.tls.take(&mut args);
        args.take("--count", &mut low.count);
        args.take("--interval", &mut low.interval);
        args.take("--timeout", &mut low.timeout);
        args.take("--max-rtt", &mut low.max_rtt);
        args.take("--timing", &mut low.timing);
        args.take("--plot", &mut low.plot);
        args.take("--size", &mut low.size);
        args.take("--skip", &mut low.skip);
        low.raw = args.has("--raw");
        low.null = args.has("--null");
        low.strict = args.has("--strict");
        args.take("--max-retries", &mut low.max_retries);
        low.route.take(&mut args);
        low.http.take(&mut args);
        low.cat.take(&mut args);
        low.client.take(&mut args);
        args.take("--topic", &mut low.topics);
        args.take_only("--message", &mut low.message);
        args.take("--qos", &mut low.qos);
        low.retain = args.has("--retain");
        args.take("--username", &mut low.username);
        args.take("--pw", &mut low.password);
        args.take("--password-file", &mut low.password_file);
        args.take("--password-env", &mut low.password_env);
        low.ask_password = args.has("--ask-password");
        args.take("--protocol-version", &mut low.version);
        low.keep_session = args.has("--disable-clean-session");
        args.take("--session-expiry-interval", &mut low.session_expiry);
        args.take("--id", &mut low.id);
        args.take("--id-prefix", &mut low.id_prefix);
        args.take("--keepalive", &mut low.keepalive);
        args.take("--ack-timeout", &mut low.ack_timeout);
        args.take("--will-topic", &mut low.will_topic);
        args.take("--will-payload", &mut low.will_payload);
        args.take("--will-qos", &mut low.will_qos);
        low.will_retain = args.has("--will-retain");
        args.take("--will-delay-interval", &mut low.will_delay_interval);
        // Taken out; which of them holds was found above.
        let _ = (args.has("--binary"), args.has("--text"));
        low.positionals = args.finish()?;
        Ok(low)
    }

    /// Keeps a warning for when there is a logger.
    pub fn warn(&self, text: String) {
        self.warnings.borrow_mut().push(text);
    }

    /// The value of a flag, or the default that the table has for it.
    pub fn or_default<T: FromArg>(&self, value: Option<T>, long: &'static str) -> T {
        // Invariant: the table's defaults are what their flags take (a test sees to it).
        value.unwrap_or_else(|| T::from_arg(self.default_of(long)).expect("a default that is taken"))
    }

    fn default_of(&self, long: &'static str) -> &'static OsStr {
        let default = flags::by_long(self.command, long).and_then(|flag| flag.default);
        // Invariant: only flags that have one are asked for it.
        OsStr::new(default.expect("a default"))
    }
}

/// The flags of the upgrade request and its answer.
#[derive(Debug, Default)]
#[allow(missing_docs)] // each is the flag of its name
pub struct LowHttp {
    pub auth: Option<Payload>,
    pub bearer_file: Option<PathBuf>,
    pub cookies: Vec<Cookie>,
    pub location: bool,
    pub max_redirects: Option<u32>,
}

impl LowHttp {
    fn take(&mut self, args: &mut Extract) {
        args.take("--auth", &mut self.auth);
        args.take("--bearer-file", &mut self.bearer_file);
        args.take("--cookie", &mut self.cookies);
        self.location = args.has("--location");
        args.take("--max-redirects", &mut self.max_redirects);
    }
}

impl LowRoute {
    fn take(&mut self, args: &mut Extract) {
        self.ipv4 = args.has("--ipv4");
        self.ipv6 = args.has("--ipv6");
        args.take("--resolve", &mut self.resolve);
        args.take("--connect-to", &mut self.connect_to);
        args.take("--unix-socket", &mut self.unix_socket);
        args.take("--bind", &mut self.bind);
    }
}

impl LowCat {
    fn take(&mut self, args: &mut Extract) {
        if args.command == Command::Cat {
            args.take("--in", &mut self.input);
        }
        args.take("--out", &mut self.output);
        self.no_stdin = args.has("--no-stdin");
        self.one_message = args.has("--one-message");
        args.take("--until", &mut self.until);
        args.take("--wait", &mut self.wait);
        args.take("--ping-interval", &mut self.ping_interval);
        args.take("--ping-timeout", &mut self.ping_timeout);
        args.take("--on-open", &mut self.on_open);
        self.reconnect = args.has("--reconnect");
        args.take("--close-status-code", &mut self.close_status_code);
        args.take("--close-reason", &mut self.close_reason);
        self.echo = args.has("--echo");
    }
}

impl LowClient {
    fn take(&mut self, args: &mut Extract) {
        args.take("--file", &mut self.file);
        self.stdin_file = args.has("--stdin-file");
        self.stdin_line = args.has("--stdin-line");
        self.null_message = args.has("--null-message");
        args.take("--in", &mut self.input);
        args.take("--topic-from-line", &mut self.topic_from_line);
        args.take("--repeat", &mut self.repeat);
        args.take("--repeat-delay", &mut self.repeat_delay);
        args.take("--max-inflight", &mut self.max_inflight);
        self.progress = args.has("--progress");
        self.properties = args.properties();
        args.take("--response-topic", &mut self.response_topic);
        args.take("--filter-out", &mut self.filter_out);
        args.take("--unsubscribe", &mut self.unsubscribe);
        self.exit_after_suback = args.has("--exit-after-suback");
        self.no_retained = args.has("--no-retained");
        self.retained_only = args.has("--retained-only");
        self.remove_retained = args.has("--remove-retained");
        self.retain_as_published = args.has("--retain-as-published");
        args.take("--retain-handling", &mut self.retain_handling);
        self.no_local = args.has("--no-local");
        args.take("--format", &mut self.format);
        self.verbose = args.has("--verbose");
        self.json = args.has("--json");
        self.no_newline = args.has("--no-newline");
        self.watch = args.has("--watch");
        args.take("--snapshot", &mut self.snapshot);
        args.take("--ready", &mut self.ready);
        self.no_reconnect = args.has("--no-reconnect");
        self.retry_connect = args.has("--retry-connect");
    }
}
