//! Topic Names and Topic Filters (MQTT 5.0 section 4.7), shared subscriptions included (section 4.8.2).

/// Why a Topic Name or Topic Filter is not one, for a usage error.
pub type Reason = &'static str;

/// Checks a Topic Name for PUBLISH.
pub fn check_name(topic: &str) -> Result<(), Reason> {
    let _ = topic;
    todo!()
}

/// Checks a Topic Filter for SUBSCRIBE, `$share/group/filter` included.
pub fn check_filter(filter: &str) -> Result<(), Reason> {
    let _ = filter;
    todo!()
}

/// Whether a Topic Filter (with or without `$share/group/`) matches a Topic Name.
pub fn matches(filter: &str, topic: &str) -> bool {
    let _ = (filter, topic);
    todo!()
}
