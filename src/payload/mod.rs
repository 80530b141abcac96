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
mod inflate;
pub mod metadata;
mod names;
pub mod template;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt::Display;

use sha2::{Digest, Sha256};

use crate::error::{Error, Kind, Result};
use crate::model::name::{Scope, payload_name};
use crate::model::request::DeployRequest;

/// The most bytes of a template, and of the keys as JSON, that coreos-deploy can record: what a
/// `TEXT` column of `MySQL` holds. It deploys what is longer, and then knows nothing of it.
const RECORD_LIMIT: usize = 65_535;
/// The most bytes of a line of a unit file: fleet reads lines through a buffer of 2048 bytes.
const LINE_LIMIT: usize = 2047;

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
    let service_template = template::render(&files.service, &metadata)?;
    check_unit(&files.service.name, &service_template)?;
    Ok(Opened {
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

fn check_unit(file: &str, unit: &str) -> Result<()> {
    if unit.trim().is_empty() {
        return refuse(file, "renders to nothing, a unit file expected");
    }
    let length = unit.len();
    if length > RECORD_LIMIT {
        let most = format!("coreos-deploy records at most {RECORD_LIMIT}");
        return refuse(file, format!("renders to {length} bytes, {most}"));
    }
    for (line, number) in unit.split('\n').zip(1..) {
        let length = line.len();
        if length > LINE_LIMIT {
            let what = format!("{length} bytes, fleet reads at most {LINE_LIMIT}");
            return refuse(file, format!("rendered line {number}: {what}"));
        }
        if let Some(c) = line.chars().find(|c| is_unrecorded(*c)) {
            let (code, most) = (u32::from(c), "coreos-deploy records nothing above U+FFFF");
            return refuse(file, format!("rendered line {number}: U+{code:X}, {most}"));
        }
    }
    Ok(())
}

/// Whether coreos-deploy cannot record a character: the columns of its database hold 3 bytes of one.
fn is_unrecorded(c: char) -> bool {
    c > '\u{ffff}'
}
