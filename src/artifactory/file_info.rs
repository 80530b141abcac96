//! What the storage API says of a file.

use std::time::{Duration, SystemTime};

use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Error as _, IgnoredAny};
use serde_json::Value;

use super::Checksum;
use super::download::PAYLOAD_LIMIT;

/// A file as the storage API describes it; of a folder the answer has `children`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FileInfo {
    #[serde(default, deserialize_with = "unquoted")]
    size: Option<u64>,
    checksums: Option<Checksums>,
    children: Option<IgnoredAny>,
    created: Option<String>,
    last_modified: Option<String>,
    last_updated: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
struct Checksums {
    sha1: Option<String>,
    sha256: Option<String>,
}

impl FileInfo {
    /// How many bytes it has.
    pub fn size(&self) -> Option<u64> {
        self.size
    }

    /// The checksum of a payload, or why it is none.
    pub fn checksum(self) -> Result<Checksum, String> {
        if self.children.is_some() {
            return Err("it is a folder".into());
        }
        if self.size == Some(0) {
            return Err("it is empty (0 bytes)".into());
        }
        let size = self.size.unwrap_or(0);
        if size > PAYLOAD_LIMIT as u64 {
            let what = format!("it is {size} bytes long, more than {PAYLOAD_LIMIT}");
            return Err(what);
        }
        let sums = self.checksums.unwrap_or_default();
        let sha256 = sums.sha256.and_then(|text| digits(&text, 64));
        let sha1 = sums.sha1.and_then(|text| digits(&text, 40));
        let checksum = sha256.map(Checksum::Sha256).or(sha1.map(Checksum::Sha1));
        checksum.ok_or_else(|| "Artifactory gives no checksum of it".into())
    }

    /// Whether it tells anything that Artifactory tells of a file or a folder.
    pub fn is_one(&self) -> bool {
        self.is_file().is_some() || self.size.is_some() || self.checksums.is_some()
    }

    /// Whether it is a file, or a folder; `None` for what describes neither.
    pub fn is_file(&self) -> Option<bool> {
        let is_folder = self.children.is_some();
        (is_folder || self.updated().is_some()).then_some(!is_folder)
    }

    /// When it was last updated.
    pub fn updated(&self) -> Option<SystemTime> {
        let dates = [&self.last_updated, &self.created, &self.last_modified];
        dates.into_iter().flatten().find_map(|text| parse_iso(text))
    }
}

fn digits(text: &str, length: usize) -> Option<String> {
    (text.len() == length && text.bytes().all(|b| b.is_ascii_hexdigit()))
        .then(|| text.to_ascii_lowercase())
}

/// A value that comes plain in some answers and versions and in quotes in others.
pub fn unquoted<'de, D, T>(json: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    let value = match Value::deserialize(json)? {
        Value::String(text) => serde_json::from_str(&text),
        value => serde_json::from_value(value),
    };
    value.map_err(D::Error::custom)
}

/// An RFC 3339 date with an offset or `Z`, such as `2020-11-04T03:20:30.406-08:00`. The offset may
/// lack its colon, as in the answers to `?lastModified`.
pub fn parse_iso(text: &str) -> Option<SystemTime> {
    let text = text.to_ascii_uppercase();
    let clock_end = "2020-11-04T03:20:30".len();
    let zone_start = clock_end + text.get(clock_end..)?.find(['Z', '+', '-'])?;
    let (local, zone) = text.split_at(zone_start);
    let local = (!local.ends_with('.')).then_some(local)?;
    // The library reads UTC alone.
    let local = humantime::parse_rfc3339_weak(local).ok()?;
    let minutes = offset_minutes(zone)?;
    let offset = Duration::from_secs(60 * u64::from(minutes.unsigned_abs()));
    if minutes < 0 {
        local.checked_add(offset)
    } else {
        local.checked_sub(offset)
    }
}

fn offset_minutes(zone: &str) -> Option<i32> {
    if zone == "Z" {
        return Some(0);
    }
    let signed = zone.replace(':', "");
    let all: i32 = (signed.len() == 5).then(|| signed.parse().ok())??;
    Some(all / 100 * 60 + all % 100)
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;
    use proptest::prelude::*;

    fn parsed(text: &str) -> Option<u128> {
        let since = parse_iso(text)?.duration_since(UNIX_EPOCH).unwrap();
        Some(since.as_millis())
    }

    #[test]
    fn trap_16_offsets_are_compared_as_instants() {
        let instant = Some(1_604_488_830_406);
        for text in [
            "2020-11-04T03:20:30.406-08:00",
            "2020-11-04T11:20:30.406Z",
            "2020-11-04T15:20:30.406+04:00",
            "2020-11-04T11:20:30.406+0000",
            "2020-11-04T07:50:30.406-0330",
            "2020-11-04t11:20:30.406z",
            "2020-11-04 11:20:30.406Z",
            "2020-11-04T11:20:30.406789Z",
        ] {
            assert_eq!(parsed(text), instant, "{text}");
        }
        assert_eq!(parsed("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(parsed("2000-02-29T00:00:00Z"), Some(951_782_400_000));
    }

    #[test]
    fn nonsense_is_no_date() {
        for bad in [
            "",
            "T",
            "2020-13-01T00:00:00Z",
            "2020-01-01T25:00:00Z",
            "2020-01-01T00:00:00",
            "2020-01-01T00:00:00+é",
            "2020-01-01T00:00:00+00:0",
            "2020-01-01T00:00:00+-100",
            "2020-01-01T00:00:00Z+01:00",
            "2015-01-01T10:10;10",
            "2020-01-01T00:00:00.Z",
        ] {
            assert_eq!(parsed(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,40}") {
            let _ = parse_iso(&text);
        }

        #[test]
        fn an_offset_is_taken_off(seconds in 86_400_u64..4_000_000_000, hours in 0_u64..24, west: bool) {
            let offset = hours * 3600;
            let local = if west { seconds - offset } else { seconds + offset };
            let local = humantime::format_rfc3339_millis(UNIX_EPOCH + Duration::from_secs(local)).to_string();
            let text = format!("{}{}{hours:02}:00", local.trim_end_matches('Z'), if west { '-' } else { '+' });
            prop_assert_eq!(parsed(&text), Some(u128::from(seconds) * 1000));
        }
    }
}
