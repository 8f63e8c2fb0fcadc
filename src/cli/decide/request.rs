//! `wspipe rr`: where requests go and responses come.

use super::{
    Env, check_topic,
    client::{at_least_1, check_payload, check_topics, connection, output, reconnect, source},
    positive,
    property::properties,
};
use crate::{
    cli::{error::UsageError, low::LowArgs},
    config::{Mode, Request},
};

/// Decides.
///
/// # Errors
/// Options that contradict each other, a bad URL or topic, a file that cannot be read.
#[inline(never)]
pub fn request(low: &LowArgs, env: Env<'_>) -> Result<Mode, UsageError> {
    let mut properties = properties(low)?;
    let (endpoint, mqtt) = connection(low, env, &mut properties)?;
    let source = source(low)?;
    check_topics(low)?;
    let topic = match &low.topics[..] {
        [] => return Err(UsageError::new("there is no topic: say -t TOPIC, and -e TOPIC for the responses")),
        [topic] => topic.clone(),
        [..] => return Err(UsageError::new("-t/--topic is given twice: requests go to one topic")),
    };
    if let Some(topic) = &low.client.response_topic {
        check_topic("-e/--response-topic", topic)?;
    }
    if properties.publish.response_topic.is_some() {
        return Err(UsageError::new("-D publish response-topic is -e here: say -e TOPIC"));
    }
    if properties.publish.correlation_data.is_some() && source.is_stream() {
        return Err(UsageError::new(
            "-D publish correlation-data is for one request: each of several has its own",
        ));
    }
    check_payload(&source, &properties.publish)?;
    let request = Request {
        mqtt,
        reconnect: reconnect(low, false)?,
        topic,
        response_topic: low.client.response_topic.clone(),
        source,
        qos: low.or_default(low.qos, "--qos"),
        retain: low.retain,
        properties: properties.publish,
        subscription_id: properties.subscription_id,
        subscribe_user_properties: properties.subscribe,
        inflight: at_least_1(low, low.client.max_inflight, "--max-inflight")?,
        output: output(low)?,
        timeout: positive(low, low.timeout, "--timeout")?,
    };
    Ok(Mode::Request(endpoint, request))
}
