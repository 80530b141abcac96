//! JFrog Artifactory: the listing of the markers, the checksum and the download of a payload.
//!
//! The newest state is proved or it is not used: an answer counts with status 200 and the expected
//! shape. Addresses are built from repository and path, never taken from answers, whose `uri` and
//! `downloadUri` follow a base URL that an administrator may have set to anything.

mod aql;
mod client;
mod download;
mod failure;
mod file_info;
mod folders;
#[cfg(test)]
mod tests;

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use self::client::{Client, join};
use self::failure::malformed;
use self::file_info::FileInfo;
use crate::config::{ArtifactoryConfig, HttpConfig, ListingMode};
use crate::deadline::Deadline;
use crate::error::{Error, Kind, Result};
use crate::http::Meaning;
use crate::model::listing::{Listing, ListingBuilder};

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

/// A payload as it was downloaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// What they were verified against.
    pub checksum: Checksum,
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
    /// A payload's bytes (at most 8 MiB), verified against its checksum, or against the one that it
    /// has by then: a file may be published again meanwhile.
    ///
    /// Redirects are followed, without credentials once host, port or scheme changes.
    /// Errors: exit 1 for bytes that don't match, 69 where they can't be had, 77 for a 401.
    fn download(&self, app: &str, file: &str, checksum: &Checksum) -> Result<Payload>;
    /// How long ago a marker was last updated, by the server's clock where it sends one.
    ///
    /// Errors: exit 1 where the marker is gone or has no date.
    fn marker_age(&self, app: &str, version: &str) -> Result<Duration>;
    /// Whether a marker is there, by one cheap read. False is Artifactory's own word that it is not,
    /// never a read that failed.
    ///
    /// Errors: exit 1 where it may not be read, 69 where that can't be told, 77 for a 401.
    fn is_marked(&self, app: &str, version: &str) -> Result<bool>;
    /// Reads nothing past the end of a pass from now on.
    fn until(&mut self, deadline: Deadline);
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

    fn read(&self, builder: ListingBuilder) -> Result<Listing> {
        if self.config.listing == ListingMode::Folders {
            return self.by_folders(builder);
        }
        let reason = match self.by_aql(&builder)? {
            Ok(listing) => return Ok(listing),
            Err(reason) => reason,
        };
        if self.config.listing == ListingMode::Aql {
            return Err(reason.hint("--listing auto or folders reads the repository without AQL"));
        }
        let reason = reason.one_line();
        match self.by_folders(builder) {
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

    fn by_folders(&self, builder: ListingBuilder) -> Result<Listing> {
        let config = &self.config;
        folders::walk(&self.client, &config.deploy_repo, config.jobs, builder)
    }

    /// The listing by AQL, or why AQL proves nothing here. Errors: what the folders can't mend.
    fn by_aql(&self, builder: &ListingBuilder) -> Result<std::result::Result<Listing, Error>> {
        let repo = self.config.deploy_repo.as_str();
        let (builder, rows) = match aql::read(&self.client, repo, builder) {
            Ok(read) => read,
            // AQL is for signed-in users only, whatever anonymous ones may read.
            Err(failure) if self.client.is_rejection(&failure) => return Err(failure.error),
            Err(failure) => {
                return match failure.meaning {
                    Meaning::Unreachable | Meaning::OutOfTime => Err(failure.error),
                    _ => Ok(Err(failure.error)),
                };
            }
        };
        // No rows also come for a name that is mistyped, and for a remote repository.
        if rows > 0 || folders::root(&self.client, repo, "--art-deploy-repo")?.is_empty() {
            return Ok(Ok(builder.finish("aql", true)));
        }
        let not_proof =
            |reason| Error::unavailable(format!("AQL query of repository {repo}")).because(reason);
        Ok(match folders::is_local(&self.client, repo)? {
            Some(true) => Ok(builder.finish("aql", true)),
            Some(false) => Err(not_proof("the repository is virtual or remote")),
            None => Err(not_proof(
                "nothing was found, and the kind of the repository is unknown",
            )),
        })
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
        let root = folders::root(
            &self.client,
            &self.config.payload_repo,
            "--art-payload-repo",
        );
        let answer = match root {
            Ok(_) => Ok(()),
            // Forbidden is not mistyped: a user may be let in to some of its folders only.
            Err(e) if e.kind == Kind::Credentials && !self.client.is_rejected() => Ok(()),
            Err(e) => Err(e),
        };
        if answer.as_ref().err().is_none_or(|e| e.kind == Kind::Usage) {
            *known = Some(answer.clone());
        }
        answer
    }
}

impl Releases for Artifactory {
    fn list(&self, builder: ListingBuilder) -> Result<Listing> {
        let mut listing = self.read(builder)?;
        // Names that are no app's and no version's are Artifactory's word alone.
        for left in &mut listing.left_alone.shown {
            left.name = self.client.masker().text(&left.name);
        }
        for app in listing.apps.values_mut() {
            for (version, _) in &mut app.left_alone {
                *version = self.client.masker().text(&version);
            }
        }
        Ok(listing)
    }

    fn checksum(&self, app: &str, file: &str) -> Result<Option<Checksum>> {
        let repo = &self.config.payload_repo;
        let what = format!("payload {repo}/{app}/{file}");
        let path = ["storage", repo, app, file];
        let info: FileInfo = match self.client.get_json(&what, &path) {
            Ok(info) => info,
            Err(failure) if failure.meaning == Meaning::NotFound => {
                return self.payload_repo_exists().map(|()| None);
            }
            Err(failure) if failure.meaning == Meaning::Forbidden => {
                return Err(failure.of_app().error);
            }
            Err(failure) => return Err(failure.error),
        };
        if !info.is_one() {
            return Err(malformed(&what, "it tells nothing of a file"));
        }
        match info.checksum() {
            Ok(checksum) => Ok(Some(checksum)),
            Err(reason) => Err(Error::new(Kind::Failed, what).because(reason)),
        }
    }

    fn download(&self, app: &str, file: &str, checksum: &Checksum) -> Result<Payload> {
        let repo = &self.config.payload_repo;
        let url = join(&self.config.base, &[repo, app, file])?;
        let what = format!("download of {repo}/{app}/{file}");
        let look = || {
            let what = format!("payload {repo}/{app}/{file}");
            let path = ["storage", repo, app, file];
            self.client.get_json(&what, &path)
        };
        Ok(download::fetch(&self.client, &what, &url, checksum, look)?)
    }

    fn marker_age(&self, app: &str, version: &str) -> Result<Duration> {
        let repo = &self.config.deploy_repo;
        let file = format!("{version}.deploy");
        let what = format!("marker {repo}/{app}/{file}");
        let path = ["storage", repo, app, &file];
        let answer = self.client.get_dated_json::<FileInfo>(&what, &path);
        let (info, now) = answer.map_err(|failure| match failure.meaning {
            Meaning::Forbidden | Meaning::NotFound => failure.of_app(),
            _ => failure,
        })?;
        let updated = info.updated().ok_or_else(|| {
            Error::new(Kind::Failed, what).because("Artifactory gives no date of it")
        })?;
        let now = now.unwrap_or_else(SystemTime::now);
        Ok(now.duration_since(updated).unwrap_or_default())
    }

    fn is_marked(&self, app: &str, version: &str) -> Result<bool> {
        let repo = &self.config.deploy_repo;
        let file = format!("{version}.deploy");
        let what = format!("marker {repo}/{app}/{file}");
        let path = ["storage", repo, app, &file];
        match self.client.get_json::<FileInfo>(&what, &path) {
            Ok(info) => info.is_file().ok_or_else(|| {
                Error::unavailable(what).because("the answer is not what Artifactory sends")
            }),
            Err(failure) if failure.meaning == Meaning::NotFound => Ok(false),
            Err(failure) if failure.meaning == Meaning::Forbidden => Err(failure.of_app().error),
            Err(failure) => Err(failure.error),
        }
    }

    fn until(&mut self, deadline: Deadline) {
        self.client.deadline = deadline;
    }

    fn requests(&self) -> u64 {
        self.client.requests()
    }
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
