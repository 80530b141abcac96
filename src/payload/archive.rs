//! The archive of a payload: gzip around tar, read in memory and never unpacked.
//!
//! The tar crate gives the headers one by one; what the extension headers say is read here, as the
//! crate would hold whatever a hostile size field claims of a long name or a PAX header. Formats:
//! POSIX.1-2017 `pax`, and the GNU tar manual ("Basic Tar Format"); gzip is RFC 1952.

use std::collections::BTreeSet;
use std::io::{self, Read};

use tar::{Archive, Entry, EntryType};

use super::extension::{Extension, check_global_pax};
use super::inflate::Inflated;
use super::{control_character, header, names, refusal, refuse};
use crate::error::{Error, Result, is_shortage};
use crate::text::printable;

/// The most bytes of a compressed archive.
const IN_LIMIT: usize = 8 << 20;
/// The most members, the folder and ignored files counted.
const ENTRY_LIMIT: usize = 64;
/// The most headers: of each member, and of what extends it.
const HEADER_LIMIT: usize = 3 * ENTRY_LIMIT;
/// The most bytes of one file.
const FILE_LIMIT: u64 = 1 << 20;
/// The most bytes of the records of one PAX header.
const PAX_LIMIT: u64 = 64 << 10;
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
        let what = format!("{} bytes, at most {IN_LIMIT} expected", archive.len());
        return refuse("archive", what);
    }
    if !archive.starts_with(&[0x1f, 0x8b]) {
        return refuse("archive", "not gzip, a .tar.gz expected");
    }
    let mut tar = Archive::new(Inflated::new(archive));
    let found = members(&mut tar, folder)?;
    tar.into_inner().finish()?;
    found.complete()
}

/// A header and its data.
type Member<'a, 'b> = Entry<'a, Inflated<'b>>;

/// Reads the members, up to the first zero block.
fn members(tar: &mut Archive<Inflated<'_>>, folder: &str) -> Result<Found> {
    let mut found = Found::default();
    let mut extension = Extension::default();
    for (before, entry) in tar.entries().map_err(unreadable)?.raw(true).enumerate() {
        if before == HEADER_LIMIT {
            return refuse("archive", format!("more than {HEADER_LIMIT} headers"));
        }
        let mut entry = entry.map_err(unreadable)?;
        header::check(entry.header())?;
        match entry.header().entry_type() {
            EntryType::XHeader => {
                extension.set_pax(&bounded(&mut entry, "PAX header", PAX_LIMIT)?)?;
            }
            EntryType::XGlobalHeader => {
                if extension != Extension::default() {
                    let what = "a global PAX header between an extension header and its member";
                    return refuse("archive", what);
                }
                check_global_pax(&bounded(&mut entry, "PAX header", PAX_LIMIT)?)?;
            }
            EntryType::GNULongName => {
                let name = bounded(&mut entry, "long name", LONG_NAME_LIMIT)?;
                extension.set_name(name.strip_suffix(&[0]).unwrap_or(&name))?;
            }
            _ => found.member(&mut entry, std::mem::take(&mut extension), folder)?,
        }
    }
    if extension != Extension::default() {
        let what = "an extension header without the member it is for";
        return refuse("archive", what);
    }
    Ok(found)
}

/// The data of an extension header.
fn bounded(entry: &mut Member<'_, '_>, what: &str, limit: u64) -> Result<Vec<u8>> {
    let size = entry.size();
    if size > limit {
        let what = format!("a {what} of {size} bytes, at most {limit} expected");
        return refuse("archive", what);
    }
    data(entry)
}

/// The data of a member whose size was looked at.
fn data(entry: &mut Member<'_, '_>) -> Result<Vec<u8>> {
    let mut data = Vec::new();
    entry.read_to_end(&mut data).map_err(unreadable)?;
    Ok(data)
}

/// What was found wrong while the tar crate read, by [`Inflated`] or by the crate.
fn unreadable(error: io::Error) -> Error {
    error.downcast().unwrap_or_else(|error: io::Error| {
        if is_shortage(&error) {
            return Error::shortage("the archive cannot be read now").because_of(&error);
        }
        let what = "a tar header with a wrong checksum or a broken size, or no tar at all";
        refusal("archive", what).because_of(&error)
    })
}

/// Whether a member is a folder; if not, it is a plain file.
fn is_folder(shown: &str, kind: EntryType, size: u64) -> Result<bool> {
    match kind {
        EntryType::Regular if size > FILE_LIMIT => refuse(
            shown,
            format!("{size} bytes, at most {FILE_LIMIT} expected"),
        ),
        EntryType::Regular => Ok(false),
        EntryType::Directory if size > 0 => {
            refuse(shown, format!("a folder with {size} bytes of data"))
        }
        EntryType::Directory => Ok(true),
        other => refuse(
            shown,
            format!("{}, a plain file expected", type_name(other)),
        ),
    }
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
    fn member(
        &mut self,
        entry: &mut Member<'_, '_>,
        extension: Extension,
        folder: &str,
    ) -> Result<()> {
        let header = entry.header();
        let raw = extension
            .name
            .unwrap_or_else(|| header.path_bytes().into_owned());
        let shown = printable(&String::from_utf8_lossy(&raw));
        let size = entry.size();
        self.count += 1;
        if self.count > ENTRY_LIMIT {
            let what = format!("more than the {ENTRY_LIMIT} entries expected at most");
            return refuse("archive", what);
        }
        if extension.size.is_some_and(|pax| pax != size) {
            return refuse(&shown, "PAX size and header size differ");
        }
        let is_folder = is_folder(&shown, header.entry_type(), size)?;
        let file = names::file(&raw, is_folder, folder)?;
        let plain = raw.strip_prefix(b"./").unwrap_or(&raw);
        if !self.names.insert(plain.to_vec()) {
            return refuse(&shown, "the same name twice");
        }
        match file {
            None => Ok(()),
            Some((name, kind)) => self.put(kind, name, data(entry)?),
        }
    }

    fn put(&mut self, kind: Kind, name: String, content: Vec<u8>) -> Result<()> {
        let (slot, expected) = match kind {
            Kind::Metadata => (&mut self.metadata, ".json"),
            Kind::Service => (&mut self.service, ".service or .service.tmpl"),
            Kind::Etcd2 => (&mut self.etcd2, ".etcd2"),
            Kind::Readme => return Ok(()),
        };
        if let Some(first) = slot {
            let what = format!("a second {expected} beside {}, one expected", first.name);
            return refuse(&name, what);
        }
        let text = String::from_utf8(content).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            let line = error.as_bytes()[..at].split(|b| *b == b'\n').count();
            refusal(&name, format!("line {line}: not UTF-8"))
        })?;
        if let Some((line, what)) = control_character(&text) {
            return refuse(&name, format!("line {line}: {what}"));
        }
        *slot = Some(File { name, text });
        Ok(())
    }

    fn complete(self) -> Result<Files> {
        let missing =
            |what: &str| refusal("archive", format!("no {what} file found, one expected"));
        Ok(Files {
            metadata: self.metadata.ok_or_else(|| missing(".json"))?,
            service: self
                .service
                .ok_or_else(|| missing(".service or .service.tmpl"))?,
            etcd2: self.etcd2,
        })
    }
}
