//! Repositories, folders and files.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use sha1::{Digest, Sha1};
use sha2::Sha256;

use super::{Inner, RepoKind};

/// A file.
#[derive(Clone)]
pub(super) struct File {
    pub(super) bytes: Vec<u8>,
    pub(super) created: SystemTime,
    pub(super) modified: SystemTime,
    pub(super) sha1: String,
    pub(super) sha256: String,
}

/// A repository; paths have no slash at either end, the root is `""`.
pub(super) struct Repo {
    pub(super) kind: RepoKind,
    pub(super) created: SystemTime,
    pub(super) files: BTreeMap<String, File>,
    folders: BTreeSet<String>,
}

impl Repo {
    fn new() -> Self {
        Self {
            kind: RepoKind::Local,
            created: SystemTime::now(),
            files: BTreeMap::new(),
            folders: BTreeSet::from([String::new()]),
        }
    }

    pub(super) fn put(&mut self, path: &str, bytes: Vec<u8>) {
        let path = path.trim_matches('/');
        if let Some((folder, _)) = path.rsplit_once('/') {
            self.put_folder(folder);
        }
        let now = SystemTime::now();
        // A second upload keeps the time of creation.
        let created = self.files.get(path).map_or(now, |file| file.created);
        let sha1 = format!("{:x}", Sha1::digest(&bytes));
        let sha256 = format!("{:x}", Sha256::digest(&bytes));
        let file = File {
            bytes,
            created,
            modified: now,
            sha1,
            sha256,
        };
        self.files.insert(path.to_owned(), file);
    }

    fn put_folder(&mut self, path: &str) {
        let path = path.trim_matches('/');
        self.folders.insert(path.to_owned());
        for (at, _) in path.match_indices('/') {
            self.folders.insert(path[..at].to_owned());
        }
    }

    pub(super) fn remove(&mut self, path: &str) {
        let path = path.trim_matches('/');
        let below = format!("{path}/");
        self.files
            .retain(|name, _| name != path && !name.starts_with(&below));
        self.folders
            .retain(|name| name != path && !name.starts_with(&below));
    }

    pub(super) fn set_time(&mut self, path: &str, at: SystemTime) {
        if let Some(file) = self.files.get_mut(path) {
            (file.created, file.modified) = (at, at);
        }
    }

    pub(super) fn is_folder(&self, path: &str) -> bool {
        self.folders.contains(path)
    }

    /// The names in a folder, sorted, each with whether it is a folder.
    pub(super) fn children(&self, path: &str) -> BTreeMap<&str, bool> {
        let direct = |name: &'_ String| -> bool {
            let parent = name.rsplit_once('/').map_or("", |(parent, _)| parent);
            !name.is_empty() && parent == path
        };
        let folders = self
            .folders
            .iter()
            .filter(|name| direct(name))
            .map(|name| (last(name), true));
        let files = self
            .files
            .keys()
            .filter(|name| direct(name))
            .map(|name| (last(name), false));
        folders.chain(files).collect()
    }
}

/// The last segment of a path.
fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

impl Inner {
    /// Gives a repository to change, making it where it is missing.
    pub(super) fn repo(&mut self, key: &str) -> &mut Repo {
        let index = self
            .repos
            .iter()
            .position(|(name, _)| name == key)
            .unwrap_or_else(|| {
                self.repos.push((key.to_owned(), Repo::new()));
                self.repos.len() - 1
            });
        &mut self.repos[index].1
    }

    pub(super) fn find(&self, key: &str) -> Option<&Repo> {
        self.repos
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, repo)| repo)
    }
}
