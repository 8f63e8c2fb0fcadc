//! The local time zone.

use std::error::Error;

use tz::{LocalTimeType, TimeZone, TimeZoneSettings};

/// A time zone: what a clock on the wall shows at a given time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone(TimeZone);

impl Zone {
    /// Coordinated Universal Time.
    pub fn utc() -> Zone {
        Zone(TimeZone::utc())
    }

    /// The zone that the environment variable TZ, as `tz`, names; none is that of /etc/localtime. `read` reads a
    /// file. As in the C library, what cannot be read or understood is UTC.
    pub fn local(tz: Option<&str>, read: Read) -> Zone {
        let settings = TimeZoneSettings::new(TimeZoneSettings::DEFAULT_DIRECTORIES, read);
        let zone = match tz {
            None => settings.parse_local(),
            Some("") => return Zone::utc(),
            Some(name) => settings.parse_posix_tz(name),
        };
        zone.map_or_else(|_| Zone::utc(), Zone)
    }

    /// Seconds east of UTC and the zone's abbreviation at `seconds` since 1970.
    pub(super) fn at(&self, seconds: i64) -> (i64, &str) {
        let Some(local) = self.0.find_local_time_type(seconds).ok().or_else(|| self.last()) else {
            return (0, "UTC");
        };
        let abbreviation = Some(local.time_zone_designation()).filter(|name| !name.is_empty());
        (local.ut_offset().into(), abbreviation.unwrap_or("UTC"))
    }

    /// What holds after the last change that the file has.
    fn last(&self) -> Option<&LocalTimeType> {
        let zone = self.0.as_ref();
        let last = zone.transitions().last()?;
        zone.local_time_types().get(last.local_time_type_index())
    }
}

impl Default for Zone {
    fn default() -> Zone {
        Zone::utc()
    }
}

/// Reads a file whole.
pub type Read = fn(path: &str) -> Result<Vec<u8>, Box<dyn Error + Send + Sync>>;
