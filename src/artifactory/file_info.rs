//! What the storage API says of a file.

use std::fmt::Display;
use std::str::FromStr;
use std::time::SystemTime;

use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny};

use super::Checksum;
use super::date::parse_iso;
use super::download::PAYLOAD_LIMIT;

/// A file as the storage API describes it; of a folder the answer has `children`.
#[derive(Debug, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FileInfo {
    size: Option<MaybeQuoted<u64>>,
    checksums: Option<Checksums>,
    children: Option<IgnoredAny>,
    created: Option<String>,
    last_modified: Option<String>,
    last_updated: Option<String>,
}

#[derive(Debug, Default, serde::Deserialize)]
struct Checksums {
    sha1: Option<String>,
    sha256: Option<String>,
}

impl FileInfo {
    /// The checksum of a payload, or why it is none.
    pub fn checksum(self) -> Result<Checksum, String> {
        if self.children.is_some() {
            return Err("it is a folder".into());
        }
        let size = self.size.map_or(0, |size| size.0);
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
#[derive(Debug)]
pub struct MaybeQuoted<T>(pub T);

impl<'de, T: Deserialize<'de> + FromStr<Err: Display>> Deserialize<'de> for MaybeQuoted<T> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        #[derive(serde::Deserialize)]
        #[serde(untagged)]
        enum Form<T> {
            Plain(T),
            Quoted(String),
        }
        match Form::deserialize(json)? {
            Form::Plain(value) => Ok(Self(value)),
            Form::Quoted(text) => text.parse().map(Self).map_err(D::Error::custom),
        }
    }
}
