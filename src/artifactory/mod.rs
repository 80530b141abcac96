//! JFrog Artifactory: the listing of the markers, the checksum and the download of a payload.
//!
//! The newest state is proved or it is not used: an answer counts with status 200 and the expected
//! shape. Addresses are built from repository and path, never taken from answers, whose `uri` and
//! `downloadUri` follow a base URL that an administrator may have set to anything.

mod aql;
mod client;
mod date;
mod download;
mod failure;
mod folders;
mod retry;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod url;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Deserializer};

use self::client::{Answer, Client};
use self::failure::{Failure, Outcome};
use crate::config::{ArtifactoryConfig, HttpConfig, ListingMode};
use crate::deadline::Deadline;
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::model::listing::{Listing, ListingBuilder};

pub use self::url::bases;

/// A checksum as the storage API gives it: lower-case hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Checksum {
    /// SHA-256, 64 digits.
    Sha256(String),
    /// SHA-1, 40 digits: all that an old server has.
    Sha1(String),
}

impl Checksum {
    /// The digits.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Sha256(digits) | Self::Sha1(digits) => digits,
        }
    }

    /// Whether only a SHA-1 was to be had.
    pub fn is_sha1(&self) -> bool {
        matches!(self, Self::Sha1(_))
    }
}

/// Where releases come from. Every method only reads, may be called again, and retries by itself
/// what a retry can mend.
pub trait Releases: Sync {
    /// The complete listing of the deploy request repository.
    ///
    /// Errors: 69 where it can't be had or proved, 77 for refused credentials, 2 for a repository
    /// that isn't there. An app whose folder can't be read is in the listing, unreadable.
    fn list(&self, builder: ListingBuilder) -> Result<Listing>;
    /// The checksum of a payload by the storage API; `None` where the file isn't there (yet).
    ///
    /// Errors: exit 1 for what is no payload (over 8 MiB, a folder, forbidden), 2 where the payload
    /// repository isn't there, which is asked once when a file is missing.
    fn checksum(&self, app: &str, file: &str) -> Result<Option<Checksum>>;
    /// A payload's bytes (at most 8 MiB), verified against its checksum.
    ///
    /// Redirects are followed, without credentials once host, port or scheme changes.
    /// Errors: exit 1 for bytes that don't match, 69 where they can't be had, 77 for a 401.
    fn download(&self, app: &str, file: &str, checksum: &Checksum) -> Result<Vec<u8>>;
    /// How long ago a marker was last updated, by the server's clock where it sends one.
    ///
    /// Errors: exit 1 where the marker is gone or has no date.
    fn marker_age(&self, app: &str, version: &str) -> Result<Duration>;
    /// How many requests were sent so far.
    fn requests(&self) -> u64;
}

/// One Artifactory; threads share it. It makes one HTTP client and keeps its connections.
#[derive(Debug)]
pub struct Artifactory {
    client: Client,
    config: ArtifactoryConfig,
    payload_repo: Mutex<Option<Result<()>>>,
}

impl Artifactory {
    /// Prepares; sends nothing.
    ///
    /// Errors: exit 2 for a repository's name outside `[A-Za-z0-9._-]` and for credentials that
    /// can't be sent; those of [`crate::http::client`].
    pub fn new(config: &ArtifactoryConfig, http: &HttpConfig) -> Result<Self> {
        check_repository("--art-deploy-repo", &config.deploy_repo)?;
        check_repository("--art-payload-repo", &config.payload_repo)?;
        Ok(Self {
            client: Client::new(config, http)?,
            config: config.clone(),
            payload_repo: Mutex::new(None),
        })
    }

    /// Reads nothing past the end of the pass.
    #[must_use]
    pub fn until(mut self, deadline: Deadline) -> Self {
        self.client.deadline = deadline;
        self
    }

    fn read(&self, builder: ListingBuilder) -> Result<Listing> {
        if self.config.listing == ListingMode::Folders {
            return self.walk(builder);
        }
        let reason = match self.by_aql(&builder)? {
            Ok(listing) => return Ok(listing),
            Err(reason) => reason,
        };
        if self.config.listing == ListingMode::Aql {
            return Err(reason.hint("--listing auto or folders reads the repository without AQL"));
        }
        let reason = reason.one_line();
        match self.walk(builder) {
            Ok(listing) => Ok(Listing {
                aql_refused: Some(reason),
                ..listing
            }),
            Err(error) => {
                tracing::info!("read folder by folder: {reason}");
                Err(error)
            }
        }
    }

    fn walk(&self, builder: ListingBuilder) -> Result<Listing> {
        let ArtifactoryConfig {
            api,
            deploy_repo,
            jobs,
            ..
        } = &self.config;
        folders::walk(&self.client, api, deploy_repo, *jobs, builder)
    }

    /// The listing by AQL, or why AQL proves nothing here. Errors: what the folders can't mend.
    fn by_aql(&self, builder: &ListingBuilder) -> Result<std::result::Result<Listing, Error>> {
        let ArtifactoryConfig {
            api, deploy_repo, ..
        } = &self.config;
        let (builder, rows) = match aql::read(&self.client, api, deploy_repo, builder) {
            Ok(read) => read,
            // AQL is for signed-in users only, whatever anonymous ones may read.
            Err(failure)
                if failure.unreachable
                    || (failure.status == Some(401) && !self.client.is_anonymous()) =>
            {
                return Err(failure.error);
            }
            Err(failure) => return Ok(Err(failure.error)),
        };
        if rows > 0 {
            return Ok(Ok(builder.finish("aql", true)));
        }
        // No rows also come for a name that is mistyped, and for a remote repository.
        let root = folders::root(&self.client, api, deploy_repo, "--art-deploy-repo")?;
        if root.is_empty() {
            return Ok(Ok(builder.finish("aql", true)));
        }
        let not_proof = |reason| {
            Error::unavailable(format!("AQL query of repository {deploy_repo}")).because(reason)
        };
        Ok(match folders::is_local(&self.client, api, deploy_repo)? {
            Some(true) => Ok(builder.finish("aql", true)),
            Some(false) => Err(not_proof("the repository is virtual or remote")),
            None => Err(not_proof(
                "nothing was found, and the kind of the repository is unknown",
            )),
        })
    }

    fn file_info(&self, what: &str, path: &[&str]) -> Outcome<Answer<FileInfo>> {
        let segments: Vec<&str> = std::iter::once("storage")
            .chain(path.iter().copied())
            .collect();
        let url = url::join(&self.config.api, &segments).map_err(Failure::from)?;
        self.client.get_json(what, &url)
    }

    /// Asks once; only what Artifactory said for certain is remembered.
    fn payload_repo_exists(&self) -> Result<()> {
        let mut known = self
            .payload_repo
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(answer) = &*known {
            return answer.clone();
        }
        let ArtifactoryConfig {
            api, payload_repo, ..
        } = &self.config;
        let answer = match folders::root(&self.client, api, payload_repo, "--art-payload-repo")
            .map(|_| ())
        {
            // Forbidden is not mistyped: a user may be let in to some of its folders only.
            Err(e) if e.exit == Exit::Credentials && !self.client.is_rejected() => Ok(()),
            other => other,
        };
        if answer.as_ref().err().is_none_or(|e| e.exit == Exit::Usage) {
            *known = Some(answer.clone());
        }
        answer
    }
}

impl Releases for Artifactory {
    fn list(&self, builder: ListingBuilder) -> Result<Listing> {
        let mut listing = self.read(builder)?;
        // Names that are no app's and no version's are Artifactory's word alone.
        for name in &mut listing.ignored {
            *name = self.client.masker.text(&name);
        }
        Ok(listing)
    }

    fn checksum(&self, app: &str, file: &str) -> Result<Option<Checksum>> {
        let repo = &self.config.payload_repo;
        let what = format!("payload {repo}/{app}/{file}");
        let info = match self.file_info(&what, &[repo, app, file]) {
            Ok(answer) => answer.value,
            Err(failure) if failure.is_not_found() => {
                return self.payload_repo_exists().map(|()| None);
            }
            Err(mut failure) => {
                if failure.status == Some(403) {
                    failure.error.exit = Exit::Failed;
                }
                return Err(failure.error);
            }
        };
        let failed = |reason| Error::new(Exit::Failed, what.as_str()).because(reason);
        if info.children.is_some() {
            return Err(failed("it is a folder".to_owned()));
        }
        match info.size {
            Some(size) if size > download::PAYLOAD_LIMIT => {
                return Err(failed(format!(
                    "it is {size} bytes long, more than {}",
                    download::PAYLOAD_LIMIT
                )));
            }
            _ => {}
        }
        let sums = info.checksums.unwrap_or_default();
        let sha256 = sums
            .sha256
            .and_then(|d| digits(&d, 64))
            .map(Checksum::Sha256);
        let sha1 = || sums.sha1.and_then(|d| digits(&d, 40)).map(Checksum::Sha1);
        match sha256.or_else(sha1) {
            Some(checksum) => Ok(Some(checksum)),
            None => Err(failed("Artifactory gives no checksum of it".to_owned())),
        }
    }

    fn download(&self, app: &str, file: &str, checksum: &Checksum) -> Result<Vec<u8>> {
        let repo = &self.config.payload_repo;
        let url = url::join(&self.config.base, &[repo, app, file])?;
        let what = format!("download of {repo}/{app}/{file}");
        Ok(download::fetch(&self.client, &what, &url, checksum)?)
    }

    fn marker_age(&self, app: &str, version: &str) -> Result<Duration> {
        let repo = &self.config.deploy_repo;
        let file = format!("{version}.deploy");
        let what = format!("marker {repo}/{app}/{file}");
        let answer = self
            .file_info(&what, &[repo, app, &file])
            .map_err(|mut failure| {
                if matches!(failure.status, Some(403 | 404)) {
                    failure.error.exit = Exit::Failed;
                }
                failure
            })?;
        let info = answer.value;
        let updated = [info.last_updated, info.created, info.last_modified]
            .into_iter()
            .flatten()
            .find_map(|text| date::parse_iso(&text))
            .ok_or_else(|| {
                Error::new(Exit::Failed, what.as_str()).because("Artifactory gives no date of it")
            })?;
        let now = answer.date.unwrap_or_else(client::now);
        let age = u64::try_from(now.saturating_sub(updated)).unwrap_or(0);
        Ok(Duration::from_millis(age))
    }

    fn requests(&self) -> u64 {
        self.client.requests()
    }
}

/// What the storage API says of a file; of a folder it has `children`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct FileInfo {
    #[serde(default, deserialize_with = "size")]
    size: Option<u64>,
    checksums: Option<Checksums>,
    children: Option<serde::de::IgnoredAny>,
    created: Option<String>,
    last_modified: Option<String>,
    last_updated: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
struct Checksums {
    sha1: Option<String>,
    sha256: Option<String>,
}

/// A size, which is a string in file info and a number elsewhere.
fn size<'de, D: Deserializer<'de>>(json: D) -> std::result::Result<Option<u64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Size {
        Number(u64),
        Text(String),
    }
    match Option::<Size>::deserialize(json)? {
        None => Ok(None),
        Some(Size::Number(n)) => Ok(Some(n)),
        Some(Size::Text(text)) => text.parse().map(Some).map_err(serde::de::Error::custom),
    }
}

fn digits(text: &str, length: usize) -> Option<String> {
    (text.len() == length && text.bytes().all(|b| b.is_ascii_hexdigit()))
        .then(|| text.to_ascii_lowercase())
}

/// AQL has no way to write a quote in a string, so a name is checked before it goes into a query.
fn check_repository(option: &str, name: &str) -> Result<()> {
    let fine = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if !name.is_empty() && name.chars().all(fine) && !matches!(name, "." | "..") {
        return Ok(());
    }
    Err(Error::usage(format!(
        "{option} '{name}' is not a name that a repository may have"
    ))
    .hint("only the repository's key: letters, digits, '.', '_' and '-'"))
}
