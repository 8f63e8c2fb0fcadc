//! `wspipe pub`: topics and source.

use super::{
    Env,
    client::{at_least_1, check_payload, check_topics, connection, limit, reconnect, source},
    property::properties,
};
use crate::{
    cli::{error::UsageError, low::LowArgs},
    config::{Mode, Publish, Source},
};

/// Decides.
///
/// # Errors
/// Options that contradict each other, a bad URL or topic, a file that cannot be read.
#[inline(never)]
pub fn publish(low: &LowArgs, env: Env<'_>) -> Result<Mode, UsageError> {
    let mut properties = properties(low)?;
    let (endpoint, mqtt) = connection(low, env, &mut properties)?;
    let source = source(low)?;
    topics(low, &source)?;
    check_payload(&source, &properties.publish)?;
    if properties.publish.topic_alias.is_some() && (low.topics.len() != 1 || source == Source::Json) {
        return Err(UsageError::new(
            "-D publish topic-alias stands for one topic: it goes with a single -t, and without --in json",
        ));
    }
    let repeat = at_least_1(low, low.client.repeat, "--repeat")?;
    if repeat.is_some_and(|times| times > 1) && source.is_stream() {
        return Err(UsageError::new(
            "--repeat is for one message (-m, -f, -s, -n), not for a stream of them",
        ));
    }
    if low.client.repeat_delay.is_some() && repeat.is_none() {
        return Err(UsageError::new("--repeat-delay needs --repeat"));
    }
    let publish = Publish {
        mqtt,
        reconnect: reconnect(low, source.is_stream())?,
        topics: low.topics.clone(),
        qos: low.or_default(low.qos, "--qos"),
        retain: low.retain,
        repeat: low.or_default(repeat, "--repeat"),
        repeat_delay: low.or_default(low.client.repeat_delay, "--repeat-delay").0,
        properties: properties.publish,
        inflight: at_least_1(low, low.client.max_inflight, "--max-inflight")?,
        timeout: limit(low, low.timeout, "--timeout")?,
        progress: low.client.progress,
        source,
    };
    Ok(Mode::Publish(endpoint, publish))
}

/// As many topics as the source has a use for.
fn topics(low: &LowArgs, source: &Source) -> Result<(), UsageError> {
    check_topics(low)?;
    let wrong = match (source, low.topics.len()) {
        (Source::TopicLines(_), 1..) => "-t/--topic goes without --topic-from-line: each line has its topic",
        (Source::TopicLines(_), 0) | (Source::Json, 0 | 1) => return Ok(()),
        (_, 0) => "there is no topic: say -t TOPIC",
        (Source::Message(_) | Source::Stdin, _) | (_, 1) => return Ok(()),
        (_, _) => "several -t are for one message (-m, -f, -s, -n): a stream of them goes to one topic",
    };
    Err(UsageError::new(wrong))
}
