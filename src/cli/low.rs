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
    property::{self, Property},
    rewrite::unmarked,
    value::{
        Cookie, Expiry, FromArg, Header, Milliseconds, Payload, RetainHandling, Seconds, Separator, Size,
        Timing, Token, Wait,
    },
};
use crate::config::{Framing, QoS, Ready, Source, Version};

mod tls;

pub use tls::LowTls;

/// The arguments of one command. A field of another command's flag is empty.
#[derive(Debug)]
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

    /// Who is asked for a password.
    pub ask: Ask,
    /// What is said once there is a logger.
    pub warnings: RefCell<Vec<String>>,
}

/// Shows the text and gives what is typed then, or why it cannot.
pub type Ask = fn(&str) -> Result<Vec<u8>, String>;

/// The flags that say which way to go to the server.
#[derive(Debug)]
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
#[derive(Debug)]
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
#[derive(Debug)]
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
    pub fn extract(command: Command, rewritten: Vec<OsString>) -> Result<LowArgs, UsageError> {
        // Marked values cannot be equal to a flag.
        let kind = rewritten.iter().rfind(|argument| *argument == "--binary" || *argument == "--text");
        let binary = kind.is_some_and(|kind| kind == "--binary");
        let mut args = Extract::new(command, rewritten);
        let low = LowArgs {
            command,
            positionals: Vec::new(),
            debug: args.times("--debug"),
            quiet: args.has("--quiet"),
            connect_timeout: args.last("--connect-timeout")?,
            close_timeout: args.last("--close-timeout")?,
            max_message: args.last("--max-message")?,
            headers: args.all("--header")?,
            subprotocols: args.all("--subprotocol")?,
            origin: args.last("--origin")?,
            proxy: args.last("--proxy")?,
            no_proxy: args.last("--no-proxy")?,
            tls: LowTls::extract(&mut args)?,
            count: args.last("--count")?,
            interval: args.last("--interval")?,
            timeout: args.last("--timeout")?,
            max_rtt: args.last("--max-rtt")?,
            timing: args.last("--timing")?,
            plot: args.last("--plot")?,
            size: args.last("--size")?,
            binary,
            skip: args.last("--skip")?,
            raw: args.has("--raw"),
            null: args.has("--null"),
            strict: args.has("--strict"),
            max_retries: args.last("--max-retries")?,
            route: LowRoute::extract(&mut args)?,
            http: LowHttp::extract(&mut args)?,
            cat: LowCat::extract(&mut args)?,
            client: LowClient::extract(&mut args)?,
            topics: args.all("--topic")?,
            message: args.only("--message")?,
            qos: args.last("--qos")?,
            retain: args.has("--retain"),
            username: args.last("--username")?,
            password: args.last("--pw")?,
            password_file: args.last("--password-file")?,
            password_env: args.last("--password-env")?,
            ask_password: args.has("--ask-password"),
            version: args.last("--protocol-version")?,
            keep_session: args.has("--disable-clean-session"),
            session_expiry: args.last("--session-expiry-interval")?,
            id: args.last("--id")?,
            id_prefix: args.last("--id-prefix")?,
            keepalive: args.last("--keepalive")?,
            ack_timeout: args.last("--ack-timeout")?,
            will_topic: args.last("--will-topic")?,
            will_payload: args.last("--will-payload")?,
            will_qos: args.last("--will-qos")?,
            will_retain: args.has("--will-retain"),
            will_delay_interval: args.last("--will-delay-interval")?,
            ask: |_| Err("there is nobody to ask".to_owned()),
            warnings: RefCell::default(),
        };
        // Taken out; which of them holds was found above.
        let _ = (args.has("--binary"), args.has("--text"));
        Ok(LowArgs { positionals: args.left_over()?, ..low })
    }

    /// Keeps a warning for when there is a logger.
    pub fn warn(&self, text: String) {
        self.warnings.borrow_mut().push(text);
    }

    /// The value of a flag, or the default that the table has for it.
    ///
    /// # Errors
    /// None, if the table's defaults are what their flags take (a test sees to it).
    pub fn or_default<T: FromArg>(&self, value: Option<T>, long: &'static str) -> Result<T, UsageError> {
        if let Some(value) = value {
            return Ok(value);
        }
        let default = flags::by_long(self.command, long).and_then(|flag| flag.default);
        let default = default.ok_or_else(|| UsageError::new(format!("{long} has no default")))?;
        T::from_arg(OsStr::new(default)).map_err(|why| UsageError::new(format!("{long} {why}")))
    }
}

/// The flags of the upgrade request and its answer.
#[derive(Debug)]
#[allow(missing_docs)] // each is the flag of its name
pub struct LowHttp {
    pub auth: Option<Payload>,
    pub bearer_file: Option<PathBuf>,
    pub cookies: Vec<Cookie>,
    pub location: bool,
    pub max_redirects: Option<u32>,
}

impl LowHttp {
    fn extract(args: &mut Extract) -> Result<LowHttp, UsageError> {
        Ok(LowHttp {
            auth: args.last("--auth")?,
            bearer_file: args.last("--bearer-file")?,
            cookies: args.all("--cookie")?,
            location: args.has("--location"),
            max_redirects: args.last("--max-redirects")?,
        })
    }
}

impl LowRoute {
    fn extract(args: &mut Extract) -> Result<LowRoute, UsageError> {
        Ok(LowRoute {
            ipv4: args.has("--ipv4"),
            ipv6: args.has("--ipv6"),
            resolve: args.all("--resolve")?,
            connect_to: args.all("--connect-to")?,
            unix_socket: args.last("--unix-socket")?,
            bind: args.last("--bind")?,
        })
    }
}

impl LowCat {
    fn extract(args: &mut Extract) -> Result<LowCat, UsageError> {
        Ok(LowCat {
            input: if args.command == Command::Cat { args.last("--in")? } else { None },
            output: args.last("--out")?,
            no_stdin: args.has("--no-stdin"),
            one_message: args.has("--one-message"),
            until: args.last("--until")?,
            wait: args.last("--wait")?,
            ping_interval: args.last("--ping-interval")?,
            ping_timeout: args.last("--ping-timeout")?,
            on_open: args.all("--on-open")?,
            reconnect: args.has("--reconnect"),
            close_status_code: args.last("--close-status-code")?,
            close_reason: args.last("--close-reason")?,
            echo: args.has("--echo"),
        })
    }
}

impl LowClient {
    fn extract(args: &mut Extract) -> Result<LowClient, UsageError> {
        Ok(LowClient {
            file: args.last("--file")?,
            stdin_file: args.has("--stdin-file"),
            stdin_line: args.has("--stdin-line"),
            null_message: args.has("--null-message"),
            input: args.last("--in")?,
            topic_from_line: args.last("--topic-from-line")?,
            repeat: args.last("--repeat")?,
            repeat_delay: args.last("--repeat-delay")?,
            max_inflight: args.last("--max-inflight")?,
            progress: args.has("--progress"),
            properties: property::gather(args.command, args.all(property::FLAG)?)?,
            response_topic: args.last("--response-topic")?,
            filter_out: args.all("--filter-out")?,
            unsubscribe: args.all("--unsubscribe")?,
            exit_after_suback: args.has("--exit-after-suback"),
            no_retained: args.has("--no-retained"),
            retained_only: args.has("--retained-only"),
            remove_retained: args.has("--remove-retained"),
            retain_as_published: args.has("--retain-as-published"),
            retain_handling: args.last("--retain-handling")?,
            no_local: args.has("--no-local"),
            format: args.last("--format")?,
            verbose: args.has("--verbose"),
            json: args.has("--json"),
            no_newline: args.has("--no-newline"),
            watch: args.has("--watch"),
            snapshot: args.last("--snapshot")?,
            ready: args.last("--ready")?,
            no_reconnect: args.has("--no-reconnect"),
            retry_connect: args.has("--retry-connect"),
        })
    }
}

/// pico-args moves all that stands behind what it takes out: 65,535 flags in one piece would take seconds.
const PIECE: usize = 256;

struct Extract {
    command: Command,
    /// The arguments, in order; no flag is parted from its value.
    pieces: Vec<pico_args::Arguments>,
}

impl Extract {
    fn new(command: Command, rewritten: Vec<OsString>) -> Extract {
        let (mut pieces, mut piece) = (Vec::new(), Vec::new());
        for argument in rewritten {
            if piece.len() >= PIECE && unmarked(&argument).is_none() {
                pieces.push(pico_args::Arguments::from_vec(std::mem::take(&mut piece)));
            }
            piece.push(argument);
        }
        pieces.push(pico_args::Arguments::from_vec(piece));
        Extract { command, pieces }
    }

    fn has(&mut self, long: &'static str) -> bool {
        self.times(long) > 0
    }

    fn times(&mut self, long: &'static str) -> usize {
        let mut times = 0;
        for piece in &mut self.pieces {
            while piece.contains(long) {
                times += 1;
            }
        }
        times
    }

    /// Of several the last one holds, as an alias with a default of one's own needs it.
    fn last<T: FromArg>(&mut self, long: &'static str) -> Result<Option<T>, UsageError> {
        Ok(self.all(long)?.pop())
    }

    /// Given twice it would drop one of them; `mqtt` has one with a default.
    fn only<T: FromArg>(&mut self, long: &'static str) -> Result<Option<T>, UsageError> {
        let mut all = self.all(long)?;
        if all.len() > 1 && self.command != Command::Mqtt {
            return Err(self.explain(
                long,
                pico_args::Error::ArgumentParsingFailed {
                    cause: "is given twice, and this publishes one message: -l publishes the lines of stdin"
                        .into(),
                },
            ));
        }
        Ok(all.pop())
    }

    fn all<T: FromArg>(&mut self, long: &'static str) -> Result<Vec<T>, UsageError> {
        let mut all = Vec::new();
        for piece in &mut self.pieces {
            match piece.values_from_os_str(long, marked_value) {
                Ok(values) => all.extend(values),
                Err(error) => return Err(self.explain(long, error)),
            }
        }
        Ok(all)
    }

    fn explain(&self, long: &'static str, error: pico_args::Error) -> UsageError {
        let cause = match error {
            pico_args::Error::ArgumentParsingFailed { cause } => cause,
            error => error.to_string(),
        };
        let Some(flag) = flags::by_long(self.command, long) else {
            return UsageError::new(format!("{long} {cause}"));
        };
        let answer = match flag.not_a_url.unwrap_or("the URL stands by itself") {
            answer if cause.contains("://") => format!(" ({answer})"),
            _ => String::new(),
        };
        UsageError::new(format!("{} {cause}{answer}", flag.spelling(self.command)))
    }

    /// What nothing has asked for: the positionals.
    fn left_over(self) -> Result<Vec<OsString>, UsageError> {
        let positional = |argument: OsString| match unmarked(&argument) {
            Some(value) => Ok(value.to_owned()),
            // Only a flag that is in the table and not in `extract` above comes here.
            None => Err(UsageError::new(format!("{} is not supported yet", argument.to_string_lossy()))),
        };
        self.pieces.into_iter().flat_map(pico_args::Arguments::finish).map(positional).collect()
    }
}

fn marked_value<T: FromArg>(argument: &OsStr) -> Result<T, String> {
    // The pass before puts a marked value behind every flag that has one.
    T::from_arg(unmarked(argument).unwrap_or(argument))
}
