//! The names of an archive's members, and what is a file of the payload.

use super::archive::Kind;
use super::refuse;
use crate::error::Result;
use crate::text::{is_unsafe, printable};

/// The most bytes of a file's name (`NAME_MAX` of Linux).
const FILE_NAME_LIMIT: usize = 255;

/// Gives the name and kind of the file of the payload that a member is, by its raw name. `None`:
/// nothing to read.
///
/// A leading `./` is dropped. The folder itself and `./` are nothing to read, and so is what macOS
/// writes beside the files (`._x`, `.DS_Store`), in the folder and beside it.
pub fn file(raw: &[u8], is_folder: bool, folder: &str) -> Result<Option<(String, Kind)>> {
    let shown = printable(&String::from_utf8_lossy(raw));
    let Ok(name) = std::str::from_utf8(raw) else {
        return refuse(&shown, "a name that is not UTF-8");
    };
    check_characters(name, &shown)?;
    if is_folder && matches!(name, "." | "./") {
        return Ok(None);
    }
    let mut relative = name.strip_prefix("./").unwrap_or(name);
    if is_folder {
        relative = relative.strip_suffix('/').unwrap_or(relative);
    }
    let parts: Vec<&str> = relative.split('/').collect();
    if parts.iter().any(|part| matches!(*part, "" | "." | "..")) {
        return refuse(&shown, "an empty, '.' or '..' part in a name");
    }
    match (parts.as_slice(), is_folder) {
        ([top], true) if *top == folder => Ok(None),
        ([file], false) if is_macos(file) => Ok(None),
        ([file], false) => refuse(file, format!("a file beside the folder {folder}/")),
        ([top, ..], _) if *top != folder => {
            refuse(&shown, format!("another folder, only {folder}/ expected"))
        }
        ([_, file], false) if is_macos(file) => Ok(None),
        ([_, file], false) => Ok(Some(((*file).to_owned(), kind(file)?))),
        _ => refuse(
            &shown,
            format!("a folder inside {folder}/, only files expected"),
        ),
    }
}

fn check_characters(name: &str, shown: &str) -> Result<()> {
    if name.is_empty() {
        return refuse("archive", "a member without a name");
    }
    if name.starts_with('/') {
        return refuse(shown, "an absolute name");
    }
    if name.contains('\\') {
        return refuse(shown, "a backslash in a name");
    }
    if name.chars().any(is_unsafe) {
        return refuse(shown, "a control or invisible character in a name");
    }
    Ok(())
}

fn is_macos(file: &str) -> bool {
    file.starts_with("._") || file == ".DS_Store"
}

fn kind(file: &str) -> Result<Kind> {
    if file.len() > FILE_NAME_LIMIT {
        return refuse(file, "a name longer than 255 bytes");
    }
    let ends = |ending: &str| {
        file.strip_suffix(ending)
            .is_some_and(|stem| !stem.is_empty())
    };
    if file == "README.md" {
        Ok(Kind::Readme)
    } else if file.starts_with('.') {
        refuse(file, "a hidden file")
    } else if ends(".json") {
        Ok(Kind::Metadata)
    } else if ends(".service") || ends(".service.tmpl") {
        Ok(Kind::Service)
    } else if ends(".etcd2") {
        Ok(Kind::Etcd2)
    } else {
        refuse(
            file,
            "an unknown file; .json, .service or .service.tmpl, .etcd2 and README.md expected",
        )
    }
}
