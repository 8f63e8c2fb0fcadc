use super::super::Zone;
use super::{CONVERSIONS, Local, rfc3339};

#[test]
fn times_are_utc_with_microseconds() {
    // The seconds are those of date(1).
    for (seconds, text) in [
        (0, "1970-01-01T00:00:00"),
        (951_782_399, "2000-02-28T23:59:59"),
        (951_782_400, "2000-02-29T00:00:00"),
        (1_709_251_199, "2024-02-29T23:59:59"),
        (1_767_225_599, "2025-12-31T23:59:59"),
        (4_107_542_399, "2100-02-28T23:59:59"),
        (4_107_542_400, "2100-03-01T00:00:00"),
        (253_402_300_799, "9999-12-31T23:59:59"),
    ] {
        assert_eq!(rfc3339(seconds * 1_000_000), format!("{text}.000000Z"));
    }
    assert_eq!(rfc3339(1_000_001), "1970-01-01T00:00:01.000001Z");
    assert_eq!(rfc3339(u64::MAX), "9999-12-31T23:59:59.999999Z");
}

#[test]
fn days_follow_each_other() {
    let (mut year, mut month, mut day) = (1970, 1, 1);
    for days in 0..200_000 {
        assert_eq!(super::date(days), (year, month, day));
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let length = match month {
            2 => 28 + i64::from(leap),
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        day += 1;
        if day > length {
            (month, day) = (month + 1, 1);
        }
        if month > 12 {
            (year, month) = (year + 1, 1);
        }
    }
    assert_eq!(super::date(-1), (1969, 12, 31));
}

/// A zone of rules, which needs no file.
fn zone(rules: &str) -> Zone {
    let zone = Zone::local(Some(rules), |_| Err("no file".into()));
    assert_ne!(zone, Zone::utc(), "{rules} is understood");
    zone
}

fn written(zone: &Zone, seconds: u64, conversions: &str) -> String {
    let local = Local::new(seconds * 1_000_000 + 5, zone);
    let mut out = Vec::new();
    for conversion in conversions.bytes() {
        local.push(&mut out, conversion);
        out.push(b'|');
    }
    String::from_utf8(out).expect("all of it is ASCII")
}

const ALL: &str = "aAbBcCdDeFgGhHIjklmMnpPrRsStTuUVwWxXyYzZ%";

#[test]
fn conversions_are_those_of_date() {
    // LC_ALL=C TZ=… date -d @SECONDS "+%a|%A|…"
    let berlin = zone("CET-1CEST,M3.5.0,M10.5.0/3");
    let newfoundland = zone("NST3:30NDT,M3.2.0,M11.1.0");
    for (zone, seconds, text) in CASES {
        let zone = match zone {
            0 => &Zone::utc(),
            1 => &berlin,
            _ => &newfoundland,
        };
        assert_eq!(written(zone, *seconds, ALL), *text, "{seconds}");
    }
    assert_eq!(ALL.as_bytes(), CONVERSIONS);
}

const CASES: &[(u8, u64, &str)] = &[
    (
        0,
        0,
        "Thu|Thursday|Jan|January|Thu Jan  1 00:00:00 1970|19|01|01/01/70| 1|1970-01-01|70|1970|Jan|00|12|001| 0|12|01|00|\n|AM|am|12:00:00 AM|00:00|0|00|\t|00:00:00|4|00|01|4|00|01/01/70|00:00:00|70|1970|+0000|UTC|%|",
    ),
    (
        1,
        0,
        "Thu|Thursday|Jan|January|Thu Jan  1 01:00:00 1970|19|01|01/01/70| 1|1970-01-01|70|1970|Jan|01|01|001| 1| 1|01|00|\n|AM|am|01:00:00 AM|01:00|0|00|\t|01:00:00|4|00|01|4|00|01/01/70|01:00:00|70|1970|+0100|CET|%|",
    ),
    (
        2,
        0,
        "Wed|Wednesday|Dec|December|Wed Dec 31 20:30:00 1969|19|31|12/31/69|31|1969-12-31|70|1970|Dec|20|08|365|20| 8|12|30|\n|PM|pm|08:30:00 PM|20:30|0|00|\t|20:30:00|3|52|01|3|52|12/31/69|20:30:00|69|1969|-0330|NST|%|",
    ),
    (
        0,
        951825600,
        "Tue|Tuesday|Feb|February|Tue Feb 29 12:00:00 2000|20|29|02/29/00|29|2000-02-29|00|2000|Feb|12|12|060|12|12|02|00|\n|PM|pm|12:00:00 PM|12:00|951825600|00|\t|12:00:00|2|09|09|2|09|02/29/00|12:00:00|00|2000|+0000|UTC|%|",
    ),
    (
        0,
        1735689599,
        "Tue|Tuesday|Dec|December|Tue Dec 31 23:59:59 2024|20|31|12/31/24|31|2024-12-31|25|2025|Dec|23|11|366|23|11|12|59|\n|PM|pm|11:59:59 PM|23:59|1735689599|59|\t|23:59:59|2|52|01|2|53|12/31/24|23:59:59|24|2024|+0000|UTC|%|",
    ),
    (
        0,
        1735689600,
        "Wed|Wednesday|Jan|January|Wed Jan  1 00:00:00 2025|20|01|01/01/25| 1|2025-01-01|25|2025|Jan|00|12|001| 0|12|01|00|\n|AM|am|12:00:00 AM|00:00|1735689600|00|\t|00:00:00|3|00|01|3|00|01/01/25|00:00:00|25|2025|+0000|UTC|%|",
    ),
    (
        1,
        1774745999,
        "Sun|Sunday|Mar|March|Sun Mar 29 01:59:59 2026|20|29|03/29/26|29|2026-03-29|26|2026|Mar|01|01|088| 1| 1|03|59|\n|AM|am|01:59:59 AM|01:59|1774745999|59|\t|01:59:59|7|13|13|0|12|03/29/26|01:59:59|26|2026|+0100|CET|%|",
    ),
    (
        1,
        1774746000,
        "Sun|Sunday|Mar|March|Sun Mar 29 03:00:00 2026|20|29|03/29/26|29|2026-03-29|26|2026|Mar|03|03|088| 3| 3|03|00|\n|AM|am|03:00:00 AM|03:00|1774746000|00|\t|03:00:00|7|13|13|0|12|03/29/26|03:00:00|26|2026|+0200|CEST|%|",
    ),
    (
        1,
        1792889999,
        "Sun|Sunday|Oct|October|Sun Oct 25 02:59:59 2026|20|25|10/25/26|25|2026-10-25|26|2026|Oct|02|02|298| 2| 2|10|59|\n|AM|am|02:59:59 AM|02:59|1792889999|59|\t|02:59:59|7|43|43|0|42|10/25/26|02:59:59|26|2026|+0200|CEST|%|",
    ),
    (
        1,
        1792890000,
        "Sun|Sunday|Oct|October|Sun Oct 25 02:00:00 2026|20|25|10/25/26|25|2026-10-25|26|2026|Oct|02|02|298| 2| 2|10|00|\n|AM|am|02:00:00 AM|02:00|1792890000|00|\t|02:00:00|7|43|43|0|42|10/25/26|02:00:00|26|2026|+0100|CET|%|",
    ),
    (
        2,
        1783132200,
        "Sat|Saturday|Jul|July|Sat Jul  4 00:00:00 2026|20|04|07/04/26| 4|2026-07-04|26|2026|Jul|00|12|185| 0|12|07|00|\n|AM|am|12:00:00 AM|00:00|1783132200|00|\t|00:00:00|6|26|27|6|26|07/04/26|00:00:00|26|2026|-0230|NDT|%|",
    ),
    (
        0,
        1609671909,
        "Sun|Sunday|Jan|January|Sun Jan  3 11:05:09 2021|20|03|01/03/21| 3|2021-01-03|20|2020|Jan|11|11|003|11|11|01|05|\n|AM|am|11:05:09 AM|11:05|1609671909|09|\t|11:05:09|7|01|53|0|00|01/03/21|11:05:09|21|2021|+0000|UTC|%|",
    ),
    (
        0,
        1609718400,
        "Mon|Monday|Jan|January|Mon Jan  4 00:00:00 2021|20|04|01/04/21| 4|2021-01-04|21|2021|Jan|00|12|004| 0|12|01|00|\n|AM|am|12:00:00 AM|00:00|1609718400|00|\t|00:00:00|1|01|01|1|01|01/04/21|00:00:00|21|2021|+0000|UTC|%|",
    ),
    (
        0,
        1609419601,
        "Thu|Thursday|Dec|December|Thu Dec 31 13:00:01 2020|20|31|12/31/20|31|2020-12-31|20|2020|Dec|13|01|366|13| 1|12|00|\n|PM|pm|01:00:01 PM|13:00|1609419601|01|\t|13:00:01|4|52|53|4|52|12/31/20|13:00:01|20|2020|+0000|UTC|%|",
    ),
    (
        0,
        1325376000,
        "Sun|Sunday|Jan|January|Sun Jan  1 00:00:00 2012|20|01|01/01/12| 1|2012-01-01|11|2011|Jan|00|12|001| 0|12|01|00|\n|AM|am|12:00:00 AM|00:00|1325376000|00|\t|00:00:00|7|01|52|0|00|01/01/12|00:00:00|12|2012|+0000|UTC|%|",
    ),
    (
        0,
        1451779200,
        "Sun|Sunday|Jan|January|Sun Jan  3 00:00:00 2016|20|03|01/03/16| 3|2016-01-03|15|2015|Jan|00|12|003| 0|12|01|00|\n|AM|am|12:00:00 AM|00:00|1451779200|00|\t|00:00:00|7|01|53|0|00|01/03/16|00:00:00|16|2016|+0000|UTC|%|",
    ),
    (
        2,
        4133906999,
        "Thu|Thursday|Dec|December|Thu Dec 30 23:59:59 2100|21|30|12/30/00|30|2100-12-30|00|2100|Dec|23|11|364|23|11|12|59|\n|PM|pm|11:59:59 PM|23:59|4133906999|59|\t|23:59:59|4|52|52|4|52|12/30/00|23:59:59|00|2100|-0330|NST|%|",
    ),
    (
        1,
        1672531200,
        "Sun|Sunday|Jan|January|Sun Jan  1 01:00:00 2023|20|01|01/01/23| 1|2023-01-01|22|2022|Jan|01|01|001| 1| 1|01|00|\n|AM|am|01:00:00 AM|01:00|1672531200|00|\t|01:00:00|7|01|52|0|00|01/01/23|01:00:00|23|2023|+0100|CET|%|",
    ),
    (
        0,
        1230508800,
        "Mon|Monday|Dec|December|Mon Dec 29 00:00:00 2008|20|29|12/29/08|29|2008-12-29|09|2009|Dec|00|12|364| 0|12|12|00|\n|AM|am|12:00:00 AM|00:00|1230508800|00|\t|00:00:00|1|52|01|1|52|12/29/08|00:00:00|08|2008|+0000|UTC|%|",
    ),
];

#[test]
fn zones_are_found_as_the_c_library_finds_them() {
    fn read(path: &str) -> Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>> {
        match path {
            // A file of version 1 with one type, "XYZ", 5 hours west, and no changes.
            "/etc/localtime" => Ok(file(-18_000, b"XYZ\0")),
            "/usr/share/zoneinfo/Some/Where" => Ok(file(3600, b"ABC\0")),
            _ => Err("not there".into()),
        }
    }
    let shown = |tz| written(&Zone::local(tz, read), 0, "zZ");
    assert_eq!(shown(None), "-0500|XYZ|");
    assert_eq!(shown(Some("")), "+0000|UTC|");
    assert_eq!(shown(Some("Some/Where")), "+0100|ABC|");
    assert_eq!(shown(Some(":Some/Where")), "+0100|ABC|");
    assert_eq!(shown(Some("/etc/localtime")), "-0500|XYZ|");
    assert_eq!(shown(Some("EST5")), "-0500|EST|");
    assert_eq!(shown(Some("<-03>3")), "-0300|-03|");
    for wrong in ["No/Where", ":EST5", "EST", "5", "\u{e4}\0"] {
        assert_eq!(shown(Some(wrong)), "+0000|UTC|", "{wrong}");
    }
    assert_eq!(Zone::local(None, |_| Err("no".into())), Zone::utc());
}

fn file(offset: i32, abbreviation: &[u8]) -> Vec<u8> {
    let mut file = b"TZif\0".to_vec();
    file.extend([0; 15]);
    // UT/local and standard/wall indicators, leap seconds, transitions, types, bytes of abbreviations.
    for count in [0, 0, 0, 0, 1, abbreviation.len() as u32] {
        file.extend(count.to_be_bytes());
    }
    file.extend(offset.to_be_bytes());
    file.extend([0, 0]);
    file.extend(abbreviation);
    file
}

#[test]
fn no_time_panics() {
    let zone = zone("CET-1CEST,M3.5.0,M10.5.0/3");
    for micros in [0, 1, u64::MAX, u64::MAX / 2, 1 << 60] {
        let local = Local::new(micros, &zone);
        let mut out = Vec::new();
        CONVERSIONS.iter().for_each(|&conversion| local.push(&mut out, conversion));
        local.push_iso8601(&mut out, true);
        local.push_unix(&mut out);
        assert!(out.len() > 100);
    }
}
