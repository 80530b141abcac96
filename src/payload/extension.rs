//! What the headers in front of a member say about it: PAX records and GNU long names.

use super::blocks::Blocks;
use super::refuse;
use crate::error::Result;

/// The most bytes of the records of one PAX header.
const PAX_LIMIT: u64 = 64 << 10;

/// What extension headers said about the member that follows them.
#[derive(Default)]
pub struct Extension {
    /// A PAX header was there.
    pub pax: bool,
    /// The name, from PAX `path` or a GNU long name.
    pub name: Option<Vec<u8>>,
    /// PAX `size`.
    pub size: Option<u64>,
}

/// Reads the records of a PAX header.
pub fn pax_data(blocks: &mut Blocks<'_>, size: u64) -> Result<Vec<u8>> {
    if size > PAX_LIMIT {
        return Err(refuse(
            "archive",
            format!("a PAX header of {size} bytes, at most {PAX_LIMIT} expected"),
        ));
    }
    blocks.data("PAX header", size, true)
}

/// Takes a name that stands for the one in the member's header.
pub fn named_once(extension: &mut Extension, name: &[u8]) -> Result<()> {
    match extension.name.replace(name.to_vec()) {
        None => Ok(()),
        Some(_) => Err(refuse("archive", "two extended names for one member")),
    }
}

/// Takes the records that are for the next member.
pub fn local_pax(extension: &mut Extension, data: &[u8]) -> Result<()> {
    if std::mem::replace(&mut extension.pax, true) {
        return Err(refuse("archive", "two PAX headers for one member"));
    }
    for (key, value) in pax_records(data)? {
        match key {
            b"path" => named_once(extension, value)?,
            b"size" => {
                let size = std::str::from_utf8(value)
                    .ok()
                    .and_then(|text| text.parse().ok());
                let Some(size) = size else {
                    return Err(refuse("archive", "a PAX size that is no number"));
                };
                if extension.size.replace(size).is_some() {
                    return Err(refuse("archive", "two PAX sizes for one member"));
                }
            }
            b"linkpath" => return Err(refuse("archive", "a PAX linkpath: links are refused")),
            _ => sparse(key)?,
        }
    }
    Ok(())
}

/// A global header may say what it likes about times and owners, but not about names and sizes.
pub fn global_pax(data: &[u8]) -> Result<()> {
    for (key, _) in pax_records(data)? {
        if matches!(key, b"path" | b"size" | b"linkpath") {
            return Err(refuse(
                "archive",
                format!(
                    "a global PAX header that sets {}",
                    String::from_utf8_lossy(key)
                ),
            ));
        }
        sparse(key)?;
    }
    Ok(())
}

fn sparse(key: &[u8]) -> Result<()> {
    if key.starts_with(b"GNU.sparse.") {
        return Err(refuse(
            "archive",
            "a sparse file (PAX GNU.sparse), plain files expected",
        ));
    }
    Ok(())
}

/// The records `"<length> <key>=<value>\n"` of a PAX header.
fn pax_records(mut data: &[u8]) -> Result<Vec<(&[u8], &[u8])>> {
    let broken = || refuse("archive", "a broken PAX header");
    let mut records = Vec::new();
    while !data.is_empty() {
        let space = data.iter().position(|b| *b == b' ').ok_or_else(broken)?;
        let digits = &data[..space];
        if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
            return Err(broken());
        }
        let length: usize = std::str::from_utf8(digits)
            .ok()
            .and_then(|text| text.parse().ok())
            .ok_or_else(broken)?;
        if length <= space + 1 || length > data.len() {
            return Err(broken());
        }
        let (record, rest) = data.split_at(length);
        let record = record[space + 1..].strip_suffix(b"\n").ok_or_else(broken)?;
        let equals = record.iter().position(|b| *b == b'=').ok_or_else(broken)?;
        records.push((&record[..equals], &record[equals + 1..]));
        data = rest;
    }
    Ok(records)
}
