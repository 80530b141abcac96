//! Payloads: from the bytes of an archive to what is asked of coreos-deploy.
//!
//! [`archive`] reads the files, [`metadata`] and [`etcd2`] read two of them, [`template`] renders
//! the third, once `guard` has looked it over. All is done in memory, on hostile input as well: the
//! limits stand with the code that keeps them. An error names the file, the line where there is
//! one, what was found and what was expected.

pub mod archive;
pub mod etcd2;
mod extension;
mod functions;
mod guard;
mod header;
mod inflate;
pub mod metadata;
mod names;
pub mod template;
#[cfg(test)]
mod tests;
mod unit;

use std::collections::BTreeMap;
use std::fmt::Display;

use sha2::{Digest, Sha256};

use crate::error::{Error, Kind, Result};
use crate::model::name::{Scope, payload_name};
use crate::model::request::DeployRequest;

/// The most bytes of a template, and of the keys as JSON, that coreos-deploy can record: what a
/// `TEXT` column of `MySQL` holds. It deploys what is longer, and then knows nothing of it.
const RECORD_LIMIT: usize = 65_535;

/// A payload, read and checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// What to ask of coreos-deploy.
    pub request: DeployRequest,
    /// SHA-256 of the rendered unit file, lower-case hexadecimal.
    pub template_sha256: String,
    /// The version of the image that the template was rendered with.
    pub image_version: String,
    /// What systemd or fleet does not take of the unit, where the other does.
    pub note: Option<String>,
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
    let service_template = template::render(&files.service, &metadata)?;
    let note = check_unit(&files.service.name, &service_template)?;
    Ok(Opened {
        note,
        template_sha256: format!("{:x}", Sha256::digest(&service_template)),
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

/// Refuses a payload, because of one of its files.
fn refuse<T>(file: &str, what: impl Display) -> Result<T> {
    Err(refusal(file, what))
}

fn refusal(file: &str, what: impl Display) -> Error {
    Error::new(Kind::Failed, format!("{file}: {what}"))
}

/// Refuses what cannot be recorded, and what is no unit; gives what a person should know of it.
fn check_unit(file: &str, unit: &str) -> Result<Option<String>> {
    if unit.trim().is_empty() {
        return refuse(file, "renders to nothing, a unit file expected");
    }
    let length = unit.len();
    if length > RECORD_LIMIT {
        let most = format!("coreos-deploy records at most {RECORD_LIMIT}");
        return refuse(file, format!("renders to {length} bytes, {most}"));
    }
    for (line, number) in unit.split('\n').zip(1..) {
        if let Some(c) = line.chars().find(|c| is_unrecorded(*c)) {
            let (code, most) = (u32::from(c), "coreos-deploy records nothing above U+FFFF");
            return refuse(file, format!("rendered line {number}: U+{code:X}, {most}"));
        }
    }
    if let Some((line, what)) = control_character(unit) {
        return refuse(file, format!("rendered line {line}: {what}"));
    }
    unit::check(unit)
        .map(|note| note.map(|note| format!("{file}: {note}")))
        .map_err(|what| refusal(file, what))
}

/// The first control character other than tabs and the ends of lines: its line, and what it is.
fn control_character(text: &str) -> Option<(usize, String)> {
    text.split('\n').zip(1..).find_map(|(line, number)| {
        let line = line.strip_suffix('\r').unwrap_or(line);
        let c = line.chars().find(|c| c.is_control() && *c != '\t')?;
        let what = format!("the control character U+{:04X}", u32::from(c));
        Some((number, what))
    })
}

/// Whether coreos-deploy cannot record a character: the columns of its database hold 3 bytes of one.
fn is_unrecorded(c: char) -> bool {
    c > '\u{ffff}'
}
