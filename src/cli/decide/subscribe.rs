//! `wspipe sub`: filters, and which of what comes is printed.

use super::{
    Env,
    client::{at_least_1, connection, limit, output, reconnect},
    property::properties,
};
use crate::{
    cli::{
        error::{UsageError, shown},
        low::LowArgs,
        value::RetainHandling,
    },
    config::{Filter, Mode, Subscribe, topic},
};

/// Retain Handling "do not send" (MQTT 5.0 section 3.8.3.1).
const NEVER: u8 = 2;

/// Decides.
///
/// # Errors
/// Options that contradict each other, a bad URL or filter.
#[inline(never)]
pub fn subscribe(low: &LowArgs, env: Env<'_>) -> Result<Mode, UsageError> {
    let mut properties = properties(low)?;
    let (endpoint, mqtt) = connection(low, env, &mut properties)?;
    let filters = filters(low)?;
    check_filters("-T/--filter-out", &low.client.filter_out)?;
    check_filters("-U/--unsubscribe", &low.client.unsubscribe)?;
    together(low)?;
    retained(low, &filters)?;
    let client = &low.client;
    let subscribe = Subscribe {
        mqtt,
        reconnect: reconnect(low, true)?,
        filters,
        filter_out: client.filter_out.clone(),
        unsubscribe: client.unsubscribe.clone(),
        subscription_id: properties.subscription_id,
        subscribe_user_properties: properties.subscribe,
        unsubscribe_user_properties: properties.unsubscribe,
        count: at_least_1(low, low.count, "--count")?,
        timeout: limit(low, low.timeout, "--timeout")?,
        exit_after_suback: client.exit_after_suback,
        no_retained: client.no_retained,
        retained_only: client.retained_only,
        remove_retained: client.remove_retained,
        output: output(low)?,
        watch: client.watch,
        snapshot: limit(low, client.snapshot, "--snapshot")?,
        ready: client.ready.clone(),
        strict: low.strict,
    };
    Ok(Mode::Subscribe(endpoint, subscribe))
}

fn filters(low: &LowArgs) -> Result<Vec<Filter>, UsageError> {
    check_filters("-t/--topic", &low.topics)?;
    if low.topics.is_empty() && low.client.unsubscribe.is_empty() {
        return Err(UsageError::new("there is no topic: say -t FILTER, as in -t 'sensors/#'"));
    }
    let shared = low.topics.iter().find(|filter| topic::shared(filter).is_some());
    if let Some(filter) = shared.filter(|_| low.client.no_local) {
        return Err(UsageError::new(format_args!(
            "--no-local goes without a shared subscription like {} (MQTT 5.0 section 3.8.3.1)",
            shown(filter)
        )));
    }
    let qos = low.or_default(low.qos, "--qos");
    let filter = |filter: &String| Filter {
        filter: filter.clone(),
        qos,
        no_local: low.client.no_local,
        retain_as_published: low.client.retain_as_published,
        retain_handling: low.client.retain_handling.map_or(0, |RetainHandling(when)| when),
    };
    Ok(low.topics.iter().map(filter).collect())
}

fn check_filters(flag: &str, filters: &[String]) -> Result<(), UsageError> {
    filters.iter().try_for_each(|filter| {
        topic::check_filter(filter)
            .map_err(|why| UsageError::new(format_args!("{flag} {}: {why}", shown(filter))))
    })
}

/// Options that leave each other nothing to do.
fn together(low: &LowArgs) -> Result<(), UsageError> {
    let client = &low.client;
    let count = low.count.is_some();
    let snapshot = client.snapshot.is_some();
    let pairs = [
        (client.no_retained && client.retained_only, "-R/--no-retained", "--retained-only"),
        (client.no_retained && snapshot, "-R/--no-retained", "--snapshot"),
        (client.exit_after_suback && count, "-E/--exit-after-suback", "-C/--count"),
        (client.exit_after_suback && snapshot, "-E/--exit-after-suback", "--snapshot"),
        (client.exit_after_suback && client.watch, "-E/--exit-after-suback", "-w/--watch"),
        (client.watch && low.null, "-w/--watch", "-0/--null"),
        (client.watch && client.no_newline, "-w/--watch", "-N/--no-newline"),
    ];
    match pairs.iter().find(|(both, ..)| *both) {
        Some((_, one, other)) => {
            Err(UsageError::new(format_args!("{one} and {other} contradict each other")))
        }
        None => Ok(()),
    }
}

/// Retained messages are not waited for where none can come.
fn retained(low: &LowArgs, filters: &[Filter]) -> Result<(), UsageError> {
    let client = &low.client;
    let wants = match (&client.snapshot, client.retained_only) {
        (Some(_), _) => "--snapshot",
        (None, true) => "--retained-only",
        (None, false) => return Ok(()),
    };
    if client.retain_handling == Some(RetainHandling(NEVER)) {
        return Err(UsageError::new(format_args!(
            "{wants} and --retain-handling never contradict each other"
        )));
    }
    if !filters.is_empty() && filters.iter().all(|filter| topic::shared(&filter.filter).is_some()) {
        return Err(UsageError::new(format_args!(
            "{wants}: a shared subscription gets no retained messages (MQTT 5.0 section 4.8.2)"
        )));
    }
    Ok(())
}
