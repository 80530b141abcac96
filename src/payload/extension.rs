//! What the headers in front of a member say about it: PAX records and GNU long names.

use super::{refusal, refuse};
use crate::error::Result;
use crate::text::printable;

/// What extension headers said about the member that follows them.
#[derive(Default, PartialEq, Eq)]
pub struct Extension {
    /// The name, from PAX `path` or a GNU long name.
    pub name: Option<Vec<u8>>,
    /// PAX `size`.
    pub size: Option<u64>,
    has_pax: bool,
}

impl Extension {
    /// Takes a name that stands for the one in the member's header.
    pub fn set_name(&mut self, name: &[u8]) -> Result<()> {
        match self.name.replace(name.to_vec()) {
            None => Ok(()),
            Some(_) => refuse("archive", "two extended names for one member"),
        }
    }

    /// Takes the records that are for the next member.
    pub fn set_pax(&mut self, data: &[u8]) -> Result<()> {
        if std::mem::replace(&mut self.has_pax, true) {
            return refuse("archive", "two PAX headers for one member");
        }
        for (key, value) in pax_records(data)? {
            match key {
                b"path" => self.set_name(value)?,
                b"size" => self.set_size(value)?,
                b"linkpath" => return refuse("archive", "a PAX linkpath: links are refused"),
                _ => {}
            }
        }
        Ok(())
    }

    fn set_size(&mut self, value: &[u8]) -> Result<()> {
        let number = std::str::from_utf8(value)
            .ok()
            .filter(|text| text.bytes().all(|b| b.is_ascii_digit()))
            .and_then(|text| text.parse().ok());
        let size = number.ok_or_else(|| refusal("archive", "a PAX size that is no number"))?;
        match self.size.replace(size) {
            None => Ok(()),
            Some(_) => refuse("archive", "two PAX sizes for one member"),
        }
    }
}

/// Checks a global header: it may say what it likes about times and owners, but not about names
/// and sizes.
pub fn check_global_pax(data: &[u8]) -> Result<()> {
    for (key, _) in pax_records(data)? {
        if matches!(key, b"path" | b"size" | b"linkpath") {
            let key = String::from_utf8_lossy(key);
            return refuse("archive", format!("a global PAX header that sets {key}"));
        }
    }
    Ok(())
}

/// The records of a PAX header, none of which makes a sparse file.
///
/// Not by `tar::PaxExtensions`: that one splits at line ends, of which the value of a foreign key may
/// have some, and reads nothing behind an empty line.
fn pax_records(data: &[u8]) -> Result<Vec<(&[u8], &[u8])>> {
    let records = split_records(data).ok_or_else(|| refusal("archive", "a broken PAX header"))?;
    let is_sparse = |key: &[u8]| {
        key.starts_with(b"GNU.sparse.") || matches!(key, b"SCHILY.realsize" | b"SUN.holesdata")
    };
    if let Some((key, _)) = records.iter().find(|(key, _)| is_sparse(key)) {
        let key = String::from_utf8_lossy(key);
        let what = format!(
            "a sparse file (PAX {}), plain files expected",
            printable(&key)
        );
        return refuse("archive", what);
    }
    Ok(records)
}

/// Splits records `"<length> <key>=<value>\n"`.
fn split_records(mut data: &[u8]) -> Option<Vec<(&[u8], &[u8])>> {
    let mut records = Vec::new();
    while !data.is_empty() {
        let space = data.iter().position(|b| *b == b' ')?;
        let digits = std::str::from_utf8(&data[..space]).ok()?;
        if !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let (record, rest) = data.split_at_checked(digits.parse().ok()?)?;
        let record = record.get(space + 1..)?.strip_suffix(b"\n")?;
        let equals = record.iter().position(|b| *b == b'=')?;
        records.push((&record[..equals], &record[equals + 1..]));
        data = rest;
    }
    Some(records)
}
