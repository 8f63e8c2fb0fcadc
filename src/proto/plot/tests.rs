use std::time::Instant;

use super::*;

/// The picture of round trips, in microseconds, one every `pause`; after them come lost ones.
fn picture(url: &str, micros: &[u64], pause: Duration, lost: u32) -> String {
    let begun = Instant::now();
    let (mut latency, mut timeline) = (Latency::default(), Timeline::default());
    let mut at = begun;
    for rtt in micros {
        let rtt = Duration::from_micros(*rtt);
        latency.record(rtt);
        timeline.record(at, rtt);
        at += pause;
    }
    timeline.set_lost((0..lost).map(|n| at + pause * n));
    let received = micros.len() as u64;
    let sent = received + u64::from(lost);
    let latency = &latency;
    let timeline = &timeline;
    let tally =
        Tally { command: "echo", url, sent, received, differing: 0, latency, timeline: Some(timeline) };
    draw(&tally, timeline)
}

const MS: Duration = Duration::from_millis(1);

/// Each tag is closed, no number is missing, nothing is fetched or run.
#[track_caller]
fn sound(svg: &str) {
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"), "{svg}");
    for bad in ["NaN", "inf", "<script", "href", "url(", "@import", "<text class=\"\" x=\"-"] {
        assert!(!svg.contains(bad), "{bad}: {svg}");
    }
    for tag in ["text", "g", "title", "style", "tspan"] {
        let open = svg.matches(&format!("<{tag}>")).count() + svg.matches(&format!("<{tag} ")).count();
        assert_eq!(open, svg.matches(&format!("</{tag}>")).count(), "{tag}");
    }
    assert!(svg.len() < 200_000, "{} bytes", svg.len());
}

#[test]
fn the_url_is_escaped_and_without_its_query() {
    let svg = picture("ws://h/<&\"'>\u{1b}?...", &[100; 20], MS, 0);
    sound(&svg);
    assert!(svg.contains("RTT of ws://h/&lt;&amp;&quot;&#39;&gt;\u{fffd}</text>"), "{svg}");
    assert!(!svg.contains("?..."));
    let long = format!("ws://h/{}", "x".repeat(300));
    assert!(picture(&long, &[100], MS, 0).contains("xxx…</text>"));
}

#[test]
fn a_dot_for_each_up_to_2000_then_columns() {
    let some: Vec<u64> = (0..2000).map(|n| 100 + n * 7 % 90).collect();
    let svg = picture("ws://h/", &some, MS, 0);
    sound(&svg);
    assert_eq!(svg.matches("h0").count(), 2000);
    assert!(!svg.contains("range and mean"));
    let many: Vec<u64> = (0..1_000_000).map(|n| 100 + n * 7919 % 9000).collect();
    let svg = picture("ws://h/", &many, MS, 65_536);
    sound(&svg);
    assert!(svg.contains("range and mean") && !svg.contains("h0"));
    assert!(svg.contains("1065536 sent, 1000000 received, <tspan class=\"w\">65536 lost</tspan>"));
}

#[test]
fn any_data_has_a_picture() {
    let hour = Duration::from_secs(3600);
    for (micros, pause, lost) in [
        (&[][..], MS, 0),
        (&[], MS, 3),
        (&[0], MS, 0),
        (&[0, 0, 0], Duration::ZERO, 1),
        (&[1, 1_000_000_000], hour, 0),
        (&[u64::MAX / 1000; 3], hour * 24, 2),
        (&[250; 30], hour / 60, 0),
    ] {
        sound(&picture("ws://h/", micros, pause, lost));
    }
}

#[test]
fn the_texts_of_percentiles_do_not_touch() {
    for heights in [[300.0, 300.0, 300.0, 300.0], [TOP, TOP, TOP, TOP], [400.0, 395.0, 93.0, 92.0]] {
        let places = apart(&heights);
        assert!(places.windows(2).all(|two| two[0] >= two[1] + LINE), "{places:?}");
        assert!(places.iter().all(|place| (TOP..=BOTTOM).contains(place)), "{places:?}");
    }
    assert_eq!(apart(&[400.0, 300.0, 100.0]), [400.0, 300.0, 100.0]);
}

#[test]
fn losses_are_marked() {
    let svg = picture("ws://h/", &[100; 50], MS, 2);
    sound(&svg);
    assert!(svg.contains("× lost") && svg.contains("2 lost</tspan>"), "{svg}");
    assert!(!picture("ws://h/", &[100; 50], MS, 0).contains("× lost"));
}
