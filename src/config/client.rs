//! `wspipe pub`, `wspipe sub` and `wspipe rr`, decided.

use std::{path::PathBuf, time::Duration};

use bytes::Bytes;

use super::Mqtt;
use crate::proto::mqtt::packet::{Filter, PublishProperties, QoS};

/// What a lost connection means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reconnect {
    /// A lost connection is made again.
    pub enabled: bool,
    /// `--max-retries N`: gives up when so many in a row have failed; 0 is none at all. None is no limit.
    pub max_retries: Option<u64>,
    /// `--retry-connect`: the first connect is tried again too. May be set where `enabled` is not.
    pub retry_connect: bool,
}

/// Where the payloads come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// `-m`, `-n` (empty) and `-f FILE` (read at the start).
    Message(Bytes),
    /// `-s`: all of stdin is one message.
    Stdin,
    /// `-l`: each line of stdin, without its newline.
    Lines,
    /// `-0`: as lines, with NUL in place of the newline.
    Nulls,
    /// `--in json`: JSON Lines as `sub --json` prints them.
    Json,
    /// `--topic-from-line[=SEP]`: each line is a topic, SEP (never empty, a space by default) and the payload.
    TopicLines(String),
}

impl Source {
    /// More than one message can come of it.
    pub fn is_stream(&self) -> bool {
        !matches!(self, Source::Message(_) | Source::Stdin)
    }
}

/// `wspipe pub`.
#[derive(Clone, Debug)]
pub struct Publish {
    /// Login, session and will.
    pub mqtt: Mqtt,
    /// After a lost connection.
    pub reconnect: Reconnect,
    /// `-t`: each message goes to each of them. At least one for `Message` and `Stdin`, one for `Lines` and
    /// `Nulls`, none for `TopicLines`; for `Json` at most one, of the lines that name none.
    pub topics: Vec<String>,
    /// The payloads.
    pub source: Source,
    /// `-q`; for `Json` of the lines that have none.
    pub qos: QoS,
    /// `-r`; for `Json` of the lines that do not say.
    pub retain: bool,
    /// `--repeat N`: each message is published so many times, at least 1. 1 for streams.
    pub repeat: u64,
    /// `--repeat-delay SEC`: the pause before each but the first. May be zero.
    pub repeat_delay: Duration,
    /// `-D publish`; a topic alias only with a single topic. For `Json` of the lines that have them not.
    pub properties: PublishProperties,
    /// `-M N`: the most unacknowledged messages, at least 1; none is the server's Receive Maximum.
    pub inflight: Option<u16>,
    /// `-W SEC`: the limit of the whole run, more than zero.
    pub timeout: Option<Duration>,
    /// `--progress`.
    pub progress: bool,
}

/// `wspipe sub`.
#[derive(Clone, Debug)]
pub struct Subscribe {
    /// Login, session and will.
    pub mqtt: Mqtt,
    /// After a lost connection.
    pub reconnect: Reconnect,
    /// `-t` with `-q`, `--no-local`, `--retain-as-published` and `--retain-handling`. Empty only where
    /// `unsubscribe` is not.
    pub filters: Vec<Filter>,
    /// `-T`: what matches one of these is not output.
    pub filter_out: Vec<String>,
    /// `-U`: unsubscribed from at the start.
    pub unsubscribe: Vec<String>,
    /// `-D subscribe subscription-identifier`: 1 to 268,435,455.
    pub subscription_id: Option<u32>,
    /// `-D subscribe user-property`.
    pub subscribe_user_properties: Vec<(String, String)>,
    /// `-D unsubscribe user-property`.
    pub unsubscribe_user_properties: Vec<(String, String)>,
    /// `-C N`: end after so many messages were output, at least 1.
    pub count: Option<u64>,
    /// `-W SEC`: the limit of the whole run, more than zero.
    pub timeout: Option<Duration>,
    /// `-E`: end once SUBACK (with `-U` UNSUBACK) is in.
    pub exit_after_suback: bool,
    /// `-R`: retained messages are not output.
    pub no_retained: bool,
    /// `--retained-only`: end at the first message that is not retained, without output of it.
    pub retained_only: bool,
    /// `--remove-retained`: an empty retained message is published to the topic of each retained one.
    pub remove_retained: bool,
    /// How messages stand on stdout.
    pub output: Output,
    /// `--watch`: one line of the terminal for each topic.
    pub watch: bool,
    /// `--snapshot SEC`: only retained messages are output; end when none came for so long, more than zero.
    pub snapshot: Option<Duration>,
    /// `--ready`: written once SUBACK is in.
    pub ready: Option<Ready>,
    /// `--strict`: a filter denied or granted less than asked is status 9; a message that holds the end of
    /// its record is refused.
    pub strict: bool,
}

/// `wspipe rr`.
#[derive(Clone, Debug)]
pub struct Request {
    /// Login, session and will; always 5.0.
    pub mqtt: Mqtt,
    /// After a lost connection.
    pub reconnect: Reconnect,
    /// `-t`: where requests go.
    pub topic: String,
    /// `-e`: where responses come; none is one made for this run.
    pub response_topic: Option<String>,
    /// The requests: `Message`, `Stdin`, `Lines` or `Nulls`.
    pub source: Source,
    /// `-q`: of the requests and of the subscription.
    pub qos: QoS,
    /// `-r`.
    pub retain: bool,
    /// `-D publish`. Never a Response Topic; Correlation Data only where the source is no stream.
    pub properties: PublishProperties,
    /// `-D subscribe subscription-identifier`: 1 to 268,435,455.
    pub subscription_id: Option<u32>,
    /// `-D subscribe user-property`.
    pub subscribe_user_properties: Vec<(String, String)>,
    /// `-M N`: the most requests without their response, at least 1.
    pub inflight: Option<u16>,
    /// How responses stand on stdout.
    pub output: Output,
    /// `-W SEC`: the limit for each response, more than zero.
    pub timeout: Duration,
}

/// How messages stand on stdout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// What of a message.
    pub shape: Shape,
    /// What ends each: a newline, NUL with `-0`, nothing with `-N`.
    pub end: Option<u8>,
    /// `--raw`: control bytes go to a terminal as they are.
    pub raw: bool,
}

/// What of a message is output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// The payload.
    Payload,
    /// `-v`: topic and payload.
    Verbose,
    /// `-F`, a sound template.
    Format(String),
    /// `--json`.
    Json,
}

/// `--ready`: what is told that the subscription stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ready {
    /// A file, made or emptied.
    File(PathBuf),
    /// An open descriptor, 3 or above.
    Fd(u32),
}
