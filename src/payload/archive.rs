//! The archive of a payload: gzip around tar, read in memory and never unpacked.
//!
//! The blocks of the tar are walked here, not by `tar::Archive`: that one would hold whatever a
//! hostile size field claims of a long name or a PAX header. From the tar crate comes the reading
//! of the header's fields. Formats: POSIX.1-2017 `pax`, and the GNU tar manual ("Basic Tar
//! Format"); gzip is RFC 1952.

use std::collections::BTreeSet;

use tar::{EntryType, Header};

use super::blocks::{BLOCK, Blocks};
use super::extension::{Extension, global_pax, local_pax, named_once, pax_data};
use super::names::{Place, place};
use super::refuse;
use crate::error::{Error, Result};
use crate::text::printable;

/// The most bytes of a compressed archive.
pub const IN_LIMIT: usize = 8 << 20;
/// The most bytes that come out of an archive, headers and padding counted.
pub const OUT_LIMIT: u64 = 16 << 20;
/// The most members, the folder and ignored files counted.
pub const ENTRY_LIMIT: usize = 64;
/// The most bytes of one file.
pub const FILE_LIMIT: u64 = 1 << 20;
/// The most bytes of one GNU long name.
const LONG_NAME_LIMIT: u64 = 4 << 10;

/// One file of a payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// The name, without the folder.
    pub name: String,
    /// The content, UTF-8.
    pub text: String,
}

/// The files that make a payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// The metadata, `.json`.
    pub metadata: File,
    /// The unit file or its template, `.service` or `.service.tmpl`.
    pub service: File,
    /// The keys to set in etcd, `.etcd2`.
    pub etcd2: Option<File>,
}

/// What a file is for, told by its ending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `.json`.
    Metadata,
    /// `.service` or `.service.tmpl`.
    Service,
    /// `.etcd2`.
    Etcd2,
    /// `README.md`: allowed, not read.
    Readme,
}

/// Reads a `.tar.gz` whose one folder has to be named `folder`.
///
/// An archive without the two zero blocks that end every tar is refused: it may have been cut
/// between two members before it was compressed, and nothing else would show that.
pub fn read(archive: &[u8], folder: &str) -> Result<Files> {
    if archive.len() > IN_LIMIT {
        return Err(refuse(
            "archive",
            format!("{} bytes, at most {IN_LIMIT} expected", archive.len()),
        ));
    }
    if !archive.starts_with(&[0x1f, 0x8b]) {
        return Err(refuse("archive", "not gzip, a .tar.gz expected"));
    }
    let mut blocks = Blocks::new(archive);
    let mut found = Found::default();
    members(&mut blocks, folder, &mut found)?;
    blocks.end()?;
    found.complete()
}

fn members(blocks: &mut Blocks<'_>, folder: &str, found: &mut Found) -> Result<()> {
    let mut extension = Extension::default();
    let mut extended = false;
    let mut headers = 0;
    loop {
        let Some(block) = blocks.next()? else {
            return Err(refuse(
                "archive",
                "truncated tar: no end of archive (two zero blocks)",
            ));
        };
        if block.iter().all(|b| *b == 0) {
            if extended {
                return Err(refuse(
                    "archive",
                    "an extension header without the member it is for",
                ));
            }
            return match blocks.next()? {
                Some(second) if second.iter().all(|b| *b == 0) => Ok(()),
                Some(_) => Err(refuse(
                    "archive",
                    "data after the end of the tar, only zero padding expected",
                )),
                None => Err(refuse(
                    "archive",
                    "truncated tar: one zero block at the end, two expected",
                )),
            };
        }
        headers += 1;
        if headers > 3 * ENTRY_LIMIT {
            return Err(refuse(
                "archive",
                format!("more than {} headers", 3 * ENTRY_LIMIT),
            ));
        }
        let header = Header::from_byte_slice(&block);
        check_sum(header, &block)?;
        let size = size(header)?;
        extended = true;
        match header.entry_type() {
            EntryType::XHeader => local_pax(&mut extension, &pax_data(blocks, size)?)?,
            EntryType::XGlobalHeader => {
                global_pax(&pax_data(blocks, size)?)?;
                extended = extension.pax || extension.name.is_some();
            }
            EntryType::GNULongName => {
                if size > LONG_NAME_LIMIT {
                    return Err(refuse(
                        "archive",
                        format!("a long name of {size} bytes, at most {LONG_NAME_LIMIT} expected"),
                    ));
                }
                let data = blocks.data("long name", size, true)?;
                named_once(&mut extension, data.strip_suffix(&[0]).unwrap_or(&data))?;
            }
            _ => {
                member(
                    blocks,
                    header,
                    size,
                    std::mem::take(&mut extension),
                    folder,
                    found,
                )?;
                extended = false;
            }
        }
    }
}

fn check_sum(header: &Header, block: &[u8; BLOCK]) -> Result<()> {
    // The sum of all bytes, those of the sum itself (148 to 155) counted as spaces.
    let sum: u32 = block[..148]
        .iter()
        .chain(&block[156..])
        .map(|b| u32::from(*b))
        .sum();
    if header.cksum().ok() == Some(sum + 8 * 32) {
        Ok(())
    } else {
        Err(refuse(
            "archive",
            "a tar header with a wrong checksum, or no tar at all",
        ))
    }
}

fn size(header: &Header) -> Result<u64> {
    // The binary form of the field is for sizes from 8 GiB on.
    if header.as_old().size[0] & 0x80 != 0 {
        return Err(refuse("archive", "a member of 8 GiB or more"));
    }
    header
        .entry_size()
        .map_err(|error| refuse("archive", "a tar header with a broken size").because_of(&error))
}

fn member(
    blocks: &mut Blocks<'_>,
    header: &Header,
    size: u64,
    extension: Extension,
    folder: &str,
    found: &mut Found,
) -> Result<()> {
    let raw = extension
        .name
        .unwrap_or_else(|| header.path_bytes().into_owned());
    let shown = printable(&String::from_utf8_lossy(&raw));
    found.count += 1;
    if found.count > ENTRY_LIMIT {
        return Err(refuse(
            "archive",
            format!("more than the {ENTRY_LIMIT} entries expected at most"),
        ));
    }
    if extension.size.is_some_and(|pax| pax != size) {
        return Err(refuse(&shown, "PAX size and header size differ"));
    }
    let is_folder = match header.entry_type() {
        EntryType::Regular => false,
        EntryType::Directory => true,
        other => {
            return Err(refuse(
                &shown,
                format!("{}, a plain file expected", type_name(other)),
            ));
        }
    };
    if is_folder && size > 0 {
        return Err(refuse(
            &shown,
            format!("a folder with {size} bytes of data"),
        ));
    }
    if size > FILE_LIMIT {
        return Err(refuse(
            &shown,
            format!("{size} bytes, at most {FILE_LIMIT} expected"),
        ));
    }
    let place = place(&raw, is_folder, folder)?;
    if !found
        .names
        .insert(raw.strip_prefix(b"./").unwrap_or(&raw).to_vec())
    {
        return Err(refuse(&shown, "the same name twice"));
    }
    let Place::File(name, kind) = place else {
        return blocks.data(&shown, size, false).map(drop);
    };
    let content = blocks.data(&name, size, kind != Kind::Readme)?;
    found.put(kind, name, content)
}

fn type_name(entry: EntryType) -> String {
    match entry {
        EntryType::Symlink => "a symbolic link".into(),
        EntryType::Link => "a hard link".into(),
        EntryType::GNULongLink => "a long link name".into(),
        EntryType::GNUSparse => "a sparse file".into(),
        EntryType::Char | EntryType::Block => "a device".into(),
        EntryType::Fifo => "a fifo".into(),
        other => format!("an entry of type {:?}", char::from(other.as_byte())),
    }
}

/// What has been found so far.
#[derive(Default)]
struct Found {
    count: usize,
    names: BTreeSet<Vec<u8>>,
    metadata: Option<File>,
    service: Option<File>,
    etcd2: Option<File>,
}

impl Found {
    fn put(&mut self, kind: Kind, name: String, content: Vec<u8>) -> Result<()> {
        let (slot, expected) = match kind {
            Kind::Metadata => (&mut self.metadata, ".json"),
            Kind::Service => (&mut self.service, ".service or .service.tmpl"),
            Kind::Etcd2 => (&mut self.etcd2, ".etcd2"),
            Kind::Readme => return Ok(()),
        };
        if let Some(first) = slot {
            return Err(refuse(
                &name,
                format!("a second {expected} beside {}, one expected", first.name),
            ));
        }
        let text = String::from_utf8(content).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            let line = error.as_bytes()[..at].split(|b| *b == b'\n').count();
            refuse(&name, format!("line {line}: not UTF-8"))
        })?;
        *slot = Some(File { name, text });
        Ok(())
    }

    fn complete(self) -> Result<Files> {
        let missing = |what: &str| -> Error {
            refuse("archive", format!("no {what} file found, one expected"))
        };
        Ok(Files {
            metadata: self.metadata.ok_or_else(|| missing(".json"))?,
            service: self
                .service
                .ok_or_else(|| missing(".service or .service.tmpl"))?,
            etcd2: self.etcd2,
        })
    }
}
