//! Topic Names and Topic Filters (MQTT 5.0 section 4.7), shared subscriptions included (section 4.8.2).

/// Why a Topic Name or Topic Filter is not one, for a usage error.
pub type Reason = &'static str;

/// What a Topic Filter of a shared subscription begins with.
const SHARE: &str = "$share/";

/// Checks a Topic Name for PUBLISH: 1 to 65,535 bytes, no U+0000 and no wildcard (MQTT 5.0 section 4.7.3).
pub fn check_name(topic: &str) -> Result<(), Reason> {
    if topic.is_empty() {
        return Err("the topic is empty");
    }
    if topic.len() > usize::from(u16::MAX) {
        return Err("the topic is longer than 65,535 bytes");
    }
    match find_forbidden(topic) {
        None => Ok(()),
        Some(at) if topic.as_bytes()[at] == 0 => Err("the topic contains U+0000"),
        Some(_) => Err("the topic contains a wildcard (+ or #)"),
    }
}

/// Where the first U+0000 or wildcard stands. Topics are short and this is asked for each message: a search
/// made for long texts costs four times as much.
pub fn find_forbidden(topic: &str) -> Option<usize> {
    topic.bytes().position(|byte| matches!(byte, 0 | b'+' | b'#'))
}

/// Checks a Topic Filter for SUBSCRIBE, `$share/group/filter` included.
pub fn check_filter(filter: &str) -> Result<(), Reason> {
    if filter.len() > usize::from(u16::MAX) {
        return Err("the topic filter is longer than 65,535 bytes");
    }
    let Some(shared) = filter.strip_prefix(SHARE) else {
        return check_levels(filter);
    };
    let Some((group, filter)) = shared.split_once('/') else {
        return Err("the shared subscription has no topic filter ($share/group/filter)");
    };
    if group.is_empty() {
        return Err("the shared subscription has no group ($share/group/filter)");
    }
    if group.contains(['+', '#', '\0']) {
        return Err("the group of the shared subscription contains +, # or U+0000");
    }
    check_levels(filter)
}

fn check_levels(filter: &str) -> Result<(), Reason> {
    if filter.is_empty() {
        return Err("the topic filter is empty");
    }
    if filter.contains('\0') {
        return Err("the topic filter contains U+0000");
    }
    let mut levels = filter.split('/').peekable();
    while let Some(level) = levels.next() {
        if level.contains('#') && (level != "#" || levels.peek().is_some()) {
            return Err("# in a topic filter must be the last level and alone in it");
        }
        if level.contains('+') && level != "+" {
            return Err("+ in a topic filter must be alone in its level");
        }
    }
    Ok(())
}

/// Group and filter of a shared subscription's Topic Filter; none for any other filter.
pub fn shared(filter: &str) -> Option<(&str, &str)> {
    filter.strip_prefix(SHARE)?.split_once('/')
}

/// Whether a Topic Filter (with or without `$share/group/`) matches a Topic Name. Both must have passed their
/// checks; what has not gives an answer without meaning.
pub fn matches(filter: &str, topic: &str) -> bool {
    let filter = shared(filter).map_or(filter, |(_, filter)| filter);
    // A leading wildcard leaves out the server's own topics (section 4.7.2).
    if topic.starts_with('$') && filter.starts_with(['+', '#']) {
        return false;
    }
    let mut names = topic.split('/');
    for level in filter.split('/') {
        if level == "#" {
            return true; // also for the parent level itself: `a/#` matches `a`
        }
        match names.next() {
            Some(name) if level == "+" || level == name => {}
            _ => return false,
        }
    }
    names.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topic_names() {
        for good in ["a", "/", "//", "a/b", "/a", "a/", " ", "é/x", "温度/室", "$SYS/a", "$share/g/a", "a b"]
        {
            assert_eq!(check_name(good), Ok(()), "{good:?}");
        }
        for bad in ["", "#", "+", "a/#", "a/+/b", "a+", "a#", "\0", "a\0b", "é/#"] {
            assert!(check_name(bad).is_err(), "{bad:?}");
        }
        assert_eq!(check_name(&"x".repeat(65_535)), Ok(()));
        assert!(check_name(&"x".repeat(65_536)).is_err());
        // 65,536 bytes in 32,768 characters: bytes count.
        assert!(check_name(&"é".repeat(32_768)).is_err());
    }

    #[test]
    fn topic_filters() {
        for good in [
            "a",
            "#",
            "+",
            "/",
            "//",
            "+/+",
            "/+",
            "+/",
            "a/#",
            "a/+/#",
            "+/#",
            "/#",
            "+/a/#",
            "é/+/温",
            "$SYS/#",
            "$SYS/+/a",
            "$share",
            "$share/g/a",
            "$share/g/#",
            "$share/g/+/a",
            "$share/g//",
            "$share/g/$SYS/#",
            "$shared/g",
            "$share/é/x",
        ] {
            assert_eq!(check_filter(good), Ok(()), "{good:?}");
        }
        for bad in [
            "",
            "a#",
            "#a",
            "#/",
            "#/a",
            "a/#/b",
            "##",
            "a+",
            "a+/b",
            "+a",
            "a/b+",
            "++",
            "+#",
            "#+",
            "a/+#",
            "\0",
            "a/\0",
            "$share/",
            "$share/g",
            "$share//a",
            "$share/g/",
            "$share/g+/a",
            "$share/#/a",
            "$share/+/a",
            "$share/g/a#",
            "$share/g/#/a",
            "$share/g\0/a",
        ] {
            assert!(check_filter(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn topic_filters_have_a_longest() {
        assert_eq!(check_filter(&"x".repeat(65_535)), Ok(()));
        assert!(check_filter(&"x".repeat(65_536)).is_err());
        assert!(check_filter(&format!("$share/g/{}", "x".repeat(65_527))).is_err());
    }

    #[test]
    fn matching() {
        for (filter, topic, expected) in [
            // Section 4.7.1.2
            ("sport/tennis/player1/#", "sport/tennis/player1", true),
            ("sport/tennis/player1/#", "sport/tennis/player1/ranking", true),
            ("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true),
            ("sport/#", "sport", true),
            ("#", "a/b/c", true),
            ("a/#", "ab", false),
            ("a/#", "b", false),
            ("a/#", "a/", true),
            ("a/b/#", "a", false),
            // Section 4.7.1.3
            ("sport/tennis/+", "sport/tennis/player1", true),
            ("sport/tennis/+", "sport/tennis/player1/ranking", false),
            ("sport/+", "sport", false),
            ("sport/+", "sport/", true),
            ("+/+", "/finance", true),
            ("/+", "/finance", true),
            ("+", "/finance", false),
            ("+/b/+", "a/b/c", true),
            ("+/b/+", "a/x/c", false),
            ("+/#", "a", true),
            ("+/#", "a/b/c", true),
            // Empty levels and lengths
            ("/", "/", true),
            ("+/+", "/", true),
            ("a//b", "a//b", true),
            ("a/+/b", "a//b", true),
            ("a", "a/", false),
            ("a/", "a", false),
            ("a", "a", true),
            ("a", "A", false),
            ("a/b", "a", false),
            ("a", "a/b", false),
            // Section 4.7.2
            ("#", "$SYS/a", false),
            ("+/a", "$SYS/a", false),
            ("+", "$SYS", false),
            ("$SYS/#", "$SYS/a", true),
            ("$SYS/#", "$SYS", true),
            ("$SYS/+", "$SYS/a", true),
            ("$SYS/a", "$SYS/a", true),
            ("a/+", "a/$b", true),
            ("a/#", "a/$b/c", true),
            // Not ASCII
            ("#", "é/x", true),
            ("+/x", "é/x", true),
            ("é/#", "é", true),
            ("é/+", "è/x", false),
            ("温度/+", "温度/室", true),
            // Shared subscriptions
            ("$share/g/a/#", "a/b", true),
            ("$share/g/#", "é", true),
            ("$share/g/#", "$SYS/a", false),
            ("$share/g/+/a", "$SYS/a", false),
            ("$share/g/$SYS/#", "$SYS/a", true),
            ("$share/g/a", "$share/g/a", false),
            ("$share/g//a", "/a", true),
        ] {
            assert_eq!(matches(filter, topic), expected, "{filter:?} {topic:?}");
        }
    }

    #[test]
    fn shared_filters() {
        assert_eq!(shared("$share/g/a/#"), Some(("g", "a/#")));
        assert_eq!(shared("$share/g"), None);
        assert_eq!(shared("a/b"), None);
    }
}
