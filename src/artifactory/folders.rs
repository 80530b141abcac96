//! The repository folder by folder: what works on every edition and every class of repository.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use serde::Deserialize;

use super::client::Client;
use super::failure::{ReadResult, malformed};
use super::file_info::unquoted;
use crate::error::{Error, Result};
use crate::http::Meaning;
use crate::mask::Masker;
use crate::model::listing::{Listing, ListingBuilder};
use crate::threads;

/// A folder as the storage API describes it. An empty folder has `children: []`; an answer without
/// `children` is no folder's.
#[derive(Debug, Deserialize)]
pub struct FolderInfo {
    repo: Option<String>,
    path: Option<String>,
    children: Vec<Child>,
}

#[derive(Debug, Deserialize)]
struct Child {
    uri: String,
    #[serde(deserialize_with = "unquoted")]
    folder: bool,
}

impl Child {
    fn name(&self) -> &str {
        self.uri.strip_prefix('/').unwrap_or(&self.uri)
    }

    fn is_odd(&self) -> bool {
        self.name().is_empty() || self.name().contains('/')
    }
}

impl FolderInfo {
    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.children.is_empty()
    }

    /// Name and kind (true: folder) of every child, or what is wrong with the answer.
    fn entries(
        &self,
        repo: &str,
        path: &str,
    ) -> std::result::Result<impl Iterator<Item = (&str, bool)>, String> {
        // A remote repository answers in the name of its cache.
        let right = |key: &str| key == repo || key.strip_suffix("-cache") == Some(repo);
        if self.repo.as_deref().is_some_and(|key| !right(key)) {
            return Err("it describes another repository".into());
        }
        let trimmed = |p: &str| p.trim_matches('/').to_owned();
        if self.path.as_deref().is_some_and(|p| trimmed(p) != path) {
            return Err("it describes another folder".into());
        }
        let good = self.children.iter().filter(|child| !child.is_odd());
        Ok(good.map(|c| (c.name(), c.folder)))
    }

    /// The addresses of children that have no name, which nothing can be asked about.
    fn odd(&self) -> impl Iterator<Item = &str> {
        let odd = self.children.iter().filter(|child| child.is_odd());
        odd.map(|child| child.uri.as_str())
    }
}

/// The root of a repository. Errors: exit 2 naming `option` where Artifactory says that there is no
/// such repository.
pub fn root(client: &Client, repo: &str, option: &str) -> Result<FolderInfo> {
    let answer = client.get_json(&format!("repository {repo}"), &["storage", repo]);
    answer.map_err(|failure| {
        if failure.meaning != Meaning::NotFound {
            return failure.error;
        }
        let mut error = Error::usage(format!("Artifactory has no repository {repo} ({option})"))
            .hint(
                "repository names are case-sensitive; one that the user may not see looks the same",
            );
        error.causes = failure.error.causes;
        error
    })
}

/// The listing, one request for the root and one for each app that is wanted, `jobs` at a time.
///
/// An app that cannot be read is unreadable; refused credentials (401) and a server that takes no
/// connection any more end it all.
pub fn walk(
    client: &Client,
    repo: &str,
    jobs: usize,
    mut builder: ListingBuilder,
) -> Result<Listing> {
    let top = root(client, repo, "--art-deploy-repo")?;
    let (apps, whole) = wanted(&top, repo, &mut builder, client.masker())?;
    let shared = Mutex::new((builder, None::<Error>));
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some(app) = apps.get(next.fetch_add(1, Ordering::Relaxed)) {
            let found = markers(client, repo, app);
            let mut guard = shared.lock().unwrap_or_else(PoisonError::into_inner);
            let (builder, fatal) = &mut *guard;
            match found {
                Ok((entries, odd)) => {
                    for (name, is_folder) in &entries {
                        if *is_folder {
                            builder.inner_folder(app, name);
                        } else {
                            builder.file(app, name);
                        }
                    }
                    for uri in &odd {
                        builder.nameless(&format!("{app}{uri}"));
                    }
                }
                Err(failure)
                    if matches!(
                        failure.meaning,
                        Meaning::Unauthorized | Meaning::Unreachable | Meaning::OutOfTime
                    ) =>
                {
                    next.store(apps.len(), Ordering::Relaxed);
                    fatal.get_or_insert(failure.error);
                }
                Err(failure) => builder.unreadable(app, failure.error.one_line()),
            }
        }
    };
    threads::at_once(jobs.max(1).min(apps.len()), work);
    let (builder, fatal) = shared.into_inner().unwrap_or_else(PoisonError::into_inner);
    match fatal {
        Some(error) => Err(error),
        None => Ok(builder.finish("folders", whole)),
    }
}

/// Notes what stands in the root; gives the folders to read, and whether those are all of them.
fn wanted(
    top: &FolderInfo,
    repo: &str,
    builder: &mut ListingBuilder,
    masker: &Masker,
) -> Result<(Vec<String>, bool)> {
    let what = format!("repository {repo}");
    let entries = top
        .entries(repo, "")
        .map_err(|e| malformed(&what, &masker.text(e)))?;
    top.odd().for_each(|uri| builder.nameless(uri));
    let (mut apps, mut whole) = (Vec::new(), true);
    for (name, folder) in entries {
        if !folder {
            builder.misplaced(name);
            continue;
        }
        builder.folder(name);
        if builder.wants(name) {
            apps.push(name.to_owned());
        } else if !name.starts_with('.') {
            whole = false;
        }
    }
    apps.sort_unstable();
    apps.dedup();
    Ok((apps, whole))
}

/// What stands in a folder: the names, each with whether it is a folder; addresses without a name.
type Entries = (Vec<(String, bool)>, Vec<String>);

/// The names in an app's folder, each with whether it is a folder; and what is there without a name.
fn markers(client: &Client, repo: &str, app: &str) -> ReadResult<Entries> {
    let what = format!("folder {repo}/{app}");
    let info: FolderInfo = client.get_json(&what, &["storage", repo, app])?;
    let entries = info
        .entries(repo, app)
        .map_err(|e| malformed(&what, &client.masker().text(e)))?;
    let entries = entries.map(|(name, is_folder)| (name.to_owned(), is_folder));
    Ok((entries.collect(), info.odd().map(str::to_owned).collect()))
}

/// Whether `/api/repositories` calls a repository one that holds its files itself. `None` where the
/// list can't be read or does not name it.
pub fn is_local(client: &Client, repo: &str) -> Result<Option<bool>> {
    #[derive(Deserialize)]
    struct Repository {
        key: String,
        #[serde(rename = "type")]
        class: Option<String>,
    }
    match client.get_json::<Vec<Repository>>("list of repositories", &["repositories"]) {
        Ok(listed) => {
            let class = listed
                .into_iter()
                .find(|r| r.key == repo)
                .and_then(|r| r.class);
            Ok(class.map(|c| !["VIRTUAL", "REMOTE"].contains(&c.to_ascii_uppercase().as_str())))
        }
        Err(failure) if client.is_rejection(&failure) => Err(failure.error),
        Err(_) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(json: &str) -> FolderInfo {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn trap_13_and_14_children_in_both_spellings() {
        let folder = info(
            r#"{"repo":"r","path":"/a/","children":[{"uri":"/x","folder":"true"},{"uri":"/1.deploy","folder":false}]}"#,
        );
        let entries: Vec<_> = folder.entries("r", "a").unwrap().collect();
        assert_eq!(entries, [("x", true), ("1.deploy", false)]);
        assert!(info(r#"{"children":[]}"#).is_empty());
    }

    #[test]
    fn a_child_without_a_name_does_not_hide_the_others() {
        for odd in ["/x/y", "/", "", "//"] {
            let json = format!(
                r#"{{"children":[{{"uri":"{odd}","folder":true}},{{"uri":"/b","folder":true}}]}}"#
            );
            let folder = info(&json);
            let entries: Vec<_> = folder.entries("r", "").unwrap().collect();
            assert_eq!(entries, [("b", true)], "{odd}");
            assert_eq!(folder.odd().collect::<Vec<_>>(), [odd]);
        }
    }

    #[test]
    fn an_answer_about_something_else_is_refused() {
        for json in [
            r#"{"repo":"other","path":"/a","children":[]}"#,
            r#"{"repo":"r","path":"/b","children":[]}"#,
        ] {
            assert!(info(json).entries("r", "a").is_err(), "{json}");
        }
        assert!(
            info(r#"{"repo":"r-cache","path":"/a","children":[]}"#)
                .entries("r", "a")
                .is_ok()
        );
        for json in [
            "{}",
            r#"{"errors":[]}"#,
            r#"{"children":[{"uri":"/x","folder":"maybe"}]}"#,
        ] {
            assert!(serde_json::from_str::<FolderInfo>(json).is_err(), "{json}");
        }
    }
}
