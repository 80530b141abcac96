//! Payloads: from the bytes of an archive to what is asked of coreos-deploy.
//!
//! [`archive`] reads the files, [`metadata`] and [`etcd2`] read two of them, [`template`] renders
//! the third, once `guard` has looked it over. All is done in memory, on hostile input as well: the
//! limits stand with the code that keeps them. An error names the file, the line where there is one, what was found and what was
//! expected.

pub mod archive;
mod blocks;
#[cfg(test)]
mod corpus;
pub mod etcd2;
mod extension;
mod functions;
mod guard;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod hostile_form;
pub mod metadata;
mod names;
pub mod template;
#[cfg(test)]
mod template_tests;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt::Display;

use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::model::name::{Scope, payload_name};
use crate::model::request::DeployRequest;

/// The most bytes of a template, and of the keys as JSON, that coreos-deploy can record: what a
/// `TEXT` column of `MySQL` holds. It deploys what is longer, and then knows nothing of it.
pub const RECORD_LIMIT: usize = 65_535;
/// The most bytes of a line of a unit file: fleet reads lines through a buffer of 2048 bytes.
pub const LINE_LIMIT: usize = 2047;

/// A payload, read and checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// What to ask of coreos-deploy.
    pub request: DeployRequest,
    /// SHA-256 of the rendered unit file, lower-case hexadecimal.
    pub template_sha256: String,
    /// The version of the image that the template was rendered with.
    pub image_version: String,
}

/// Opens the payload of one version of one app.
///
/// `archive` is the `.tar.gz` as it was downloaded, its checksum verified by the caller.
pub fn open(archive: &[u8], scope: &Scope, app: &str, version: &str) -> Result<Opened> {
    let files = archive::read(archive, &payload_name(scope, app, version))?;
    let metadata = metadata::parse(&files.metadata, version)?;
    let etcd2_keys = match &files.etcd2 {
        Some(file) => etcd2::parse(file)?,
        None => BTreeMap::new(),
    };
    if let Some(file) = &files.etcd2 {
        check_keys(&file.name, &etcd2_keys)?;
    }
    let service_template = template::render(&files.service, &metadata)?;
    check_unit(&files.service.name, &service_template)?;
    Ok(Opened {
        template_sha256: hex(&Sha256::digest(&service_template)),
        image_version: metadata.image_version,
        request: DeployRequest {
            service_name: metadata.name,
            version: metadata.version,
            num_instances: metadata.num_instances,
            service_template,
            etcd2_keys,
        },
    })
}

/// The refusal of a payload, because of one of its files.
fn refuse(file: &str, what: impl Display) -> Error {
    Error::new(Exit::Failed, format!("{file}: {what}"))
}

fn check_unit(file: &str, unit: &str) -> Result<()> {
    if unit.trim().is_empty() {
        return Err(refuse(file, "renders to nothing, a unit file expected"));
    }
    if unit.len() > RECORD_LIMIT {
        return Err(refuse(
            file,
            format!(
                "renders to {} bytes, coreos-deploy records at most {RECORD_LIMIT}",
                unit.len()
            ),
        ));
    }
    for (index, line) in unit.split('\n').enumerate() {
        let number = index + 1;
        if line.len() > LINE_LIMIT {
            return Err(refuse(
                file,
                format!(
                    "rendered line {number}: {} bytes, fleet reads at most {LINE_LIMIT}",
                    line.len()
                ),
            ));
        }
        if let Some(c) = line.chars().find(|c| *c > '\u{ffff}') {
            return Err(refuse(
                file,
                format!(
                    "rendered line {number}: U+{:X}, coreos-deploy records nothing above U+FFFF",
                    u32::from(c)
                ),
            ));
        }
    }
    Ok(())
}

fn check_keys(file: &str, keys: &BTreeMap<String, String>) -> Result<()> {
    let length = go_json_length(keys);
    if length > RECORD_LIMIT {
        return Err(refuse(
            file,
            format!(
                "the keys as JSON are {length} bytes, coreos-deploy records at most {RECORD_LIMIT}"
            ),
        ));
    }
    Ok(())
}

/// The bytes of the keys as Go's `encoding/json` writes them, which coreos-deploy does: it escapes
/// more than others (`<`, `>`, `&`, U+2028, U+2029).
fn go_json_length(keys: &BTreeMap<String, String>) -> usize {
    let string = |text: &str| -> usize {
        2 + text
            .chars()
            .map(|c| match c {
                '"' | '\\' | '\n' | '\r' | '\t' => 2,
                '\0'..='\u{1f}' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => 6,
                c => c.len_utf8(),
            })
            .sum::<usize>()
    };
    let pairs: usize = keys
        .iter()
        .map(|(key, value)| string(key) + 1 + string(value))
        .sum();
    2 + pairs + keys.len().saturating_sub(1)
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
