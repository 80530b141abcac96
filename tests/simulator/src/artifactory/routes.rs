//! What Artifactory answers.

use std::time::SystemTime;

use base64::prelude::{BASE64_STANDARD, Engine as _};

use super::store::{File, Repo};
use super::{Auth, Inner, RepoKind, State};
use crate::encoding::{json, percent_decode};
use crate::http::{Reply, Request, Response, phrase};
use crate::{Fault, date, fault, lock};

/// The server's zone, in hours west of Greenwich: file info carries local time.
const ZONE: u64 = 8;
const INFO: &str = "application/vnd.org.jfrog.artifactory.storage";

/// The usual envelope of an error.
pub(super) fn error(status: u16, message: &str) -> Response {
    let message = json(message);
    let body = format!(
        "{{\n  \"errors\" : [ {{\n    \"status\" : {status},\n    \"message\" : {message}\n  }} ]\n}}"
    );
    Response::new(status, "application/json", body)
}

impl State {
    pub(super) fn answer(&self, request: &Request) -> Reply {
        let fault = self.faults.take(&request.path);
        let refuse = |status| match status {
            404 => error(404, "Unable to find item"),
            503 => Response::new(
                503,
                "text/html",
                "<html><head><title>Artifactory is starting up</title></head></html>",
            ),
            _ => error(status, phrase(status)),
        };
        let is_foreign = fault.as_ref().is_some_and(Fault::is_foreign);
        let reply = fault::apply(fault, &self.stop, refuse, || {
            lock(&self.inner).route(request).into()
        });
        reply.map(|response| {
            if is_foreign {
                return response;
            }
            response
                .with("X-JFrog-Version", "Artifactory/7.84.10 78410900")
                .with(
                    "X-Artifactory-Id",
                    "d9b0a1e2fcb154275fc224430d682a48c0902701",
                )
                .with("Date", date::header(SystemTime::now(), "GMT"))
        })
    }
}

impl Inner {
    fn route(&self, request: &Request) -> Response {
        let Some(path) = request.route().strip_prefix("/artifactory/") else {
            return Response::new(
                404,
                "text/html;charset=utf-8",
                "<html><head><title>HTTP Status 404 – Not Found</title></head></html>",
            );
        };
        if let Some(path) = path.strip_prefix('/') {
            return error(500, &format!("Repo key cannot be empty. Path: {path}"));
        }
        if path == "api/system/ping" {
            return Response::new(200, "text/plain", "OK");
        }
        if let Some(refused) = self.refused(request) {
            return refused;
        }
        let reading = matches!(request.method.as_str(), "GET" | "HEAD");
        match (path, request.method.as_str()) {
            ("api/search/aql", "POST") => self.search(request),
            ("api/search/aql", _) => error(405, phrase(405)),
            _ if !reading => error(405, phrase(405)),
            ("api/repositories", _) => self.repositories(),
            ("api/system/version", _) => Response::new(
                200,
                "application/json",
                "{\n  \"version\" : \"7.84.10\",\n  \"revision\" : \"78410900\",\n  \"addons\" : [ ]\n}",
            ),
            _ => match path.strip_prefix("api/storage/") {
                Some(path) => self.info(&percent_decode(path)),
                None if path.starts_with("api/") => error(404, "Not Found"),
                None => self.download(request, &percent_decode(path)),
            },
        }
    }

    /// The answer to wrong credentials.
    fn refused(&self, request: &Request) -> Option<Response> {
        let sent = request.header("authorization");
        let key = request.header("x-jfrog-art-api");
        let good = match self.auth.as_ref()? {
            Auth::Basic(user, password) => {
                let both = BASE64_STANDARD.encode(format!("{user}:{password}"));
                sent == Some(&format!("Basic {both}"))
            }
            Auth::Bearer(token) => sent == Some(&format!("Bearer {token}")),
            Auth::ApiKey(wanted) => key == Some(wanted),
        };
        if good {
            return None;
        }
        if key.is_some() {
            return Some(error(403, "Bad credentials"));
        }
        let message = if sent.is_some() {
            "Bad credentials"
        } else {
            "Authentication is required"
        };
        Some(error(401, message).with("WWW-Authenticate", "Basic realm=\"Artifactory Realm\""))
    }

    fn repositories(&self) -> Response {
        let list = self.repos.iter().map(|(key, repo)| {
            let (kind, url) = match repo.kind {
                RepoKind::Local => ("LOCAL", format!("{}/{key}", self.base)),
                RepoKind::Remote => ("REMOTE", "https://upstream.example.com/".to_owned()),
                RepoKind::Virtual => ("VIRTUAL", format!("{}/{key}", self.base)),
            };
            let [key, url] = [key, &url].map(|text| json(text));
            format!("{{\n  \"key\" : {key},\n  \"type\" : \"{kind}\",\n  \"url\" : {url},\n  \"packageType\" : \"Generic\"\n}}")
        });
        let list = list.collect::<Vec<_>>().join(", ");
        Response::new(200, "application/json", format!("[ {list} ]"))
            .with("Cache-Control", "no-store")
    }

    fn info(&self, whole: &str) -> Response {
        let (key, path) = whole.split_once('/').unwrap_or((whole, ""));
        let clean = path.trim_end_matches('/');
        let missing = || error(404, "Unable to find item");
        let Some(repo) = self.find(key) else {
            return missing();
        };
        if repo.is_folder(clean) {
            let body = self.folder_info(key, repo, clean);
            return Response::new(200, &format!("{INFO}.FolderInfo+json"), body)
                .with("Cache-Control", "no-store");
        }
        match repo.files.get(clean) {
            Some(file) => {
                let body = self.file_info(key, path, clean, file);
                Response::new(200, &format!("{INFO}.FileInfo+json"), body)
            }
            None if repo.kind == RepoKind::Virtual => error(404, "Not Found"),
            None => missing(),
        }
    }

    fn folder_info(&self, key: &str, repo: &Repo, path: &str) -> String {
        let children = repo.children(path);
        let children = children.iter().map(|(name, folder)| {
            let uri = json(&format!("/{name}"));
            format!("{{\n    \"uri\" : {uri},\n    \"folder\" : {folder}\n  }}")
        });
        let children = children.collect::<Vec<_>>().join(", ");
        let head = head(key, path, repo.created, repo.created);
        let uri = self.uri(key, path);
        format!("{{\n{head},\n  \"children\" : [ {children} ],\n  \"uri\" : {uri}\n}}")
    }

    fn file_info(&self, key: &str, asked: &str, path: &str, file: &File) -> String {
        let head = head(key, path, file.created, file.modified);
        let download = json(&format!("{}/{key}/{asked}", self.base));
        let mime = json(mime(path));
        let size = json(&file.bytes.len().to_string());
        let sha256 = format!("    \"sha256\" : \"{}\"", file.sha256);
        let sums = format!("    \"sha1\" : \"{}\",\n{sha256}", file.sha1);
        let uri = self.uri(key, path);
        format!(
            "{{\n{head},\n  \"downloadUri\" : {download},\n  \"mimeType\" : {mime},\n  \"size\" : {size},\n  \"checksums\" : {{\n{sums}\n  }},\n  \"originalChecksums\" : {{\n{sha256}\n  }},\n  \"uri\" : {uri}\n}}"
        )
    }

    fn uri(&self, key: &str, path: &str) -> String {
        let slash = if path.is_empty() { "" } else { "/" };
        json(&format!("{}/api/storage/{key}{slash}{path}", self.base))
    }

    fn download(&self, request: &Request, whole: &str) -> Response {
        let (key, path) = whole.split_once('/').unwrap_or((whole, ""));
        let Some(repo) = self.find(key) else {
            return error(
                404,
                &format!("Failed to find the repository '{key}' specified in the request."),
            );
        };
        let clean = path.trim_end_matches('/');
        if repo.is_folder(clean) {
            if !whole.ends_with('/') {
                return Response::new(302, "text/plain", "")
                    .with("Location", format!("{}/{whole}/", self.base));
            }
            return Response::new(
                200,
                "text/html",
                format!("<html><head><title>Index of {whole}</title></head></html>"),
            );
        }
        let Some(file) = repo.files.get(clean) else {
            let text = if repo.kind == RepoKind::Virtual {
                "Could not find resource"
            } else {
                "File not found."
            };
            return error(404, text);
        };
        if let (Some(cdn), "GET", false) =
            (&self.cdn, request.method.as_str(), file.bytes.is_empty())
        {
            let to = cdn.keep(&file.sha1, &file.bytes);
            return Response::new(302, "text/plain", "").with("Location", to);
        }
        let name = clean.rsplit('/').next().unwrap_or(clean);
        Response::new(200, mime(clean), file.bytes.clone())
            .with("Last-Modified", date::header(file.modified, "GMT"))
            .with("ETag", file.sha1.as_str())
            .with("X-Checksum-Sha1", file.sha1.as_str())
            .with("Accept-Ranges", "bytes")
            .with("X-Artifactory-Filename", name)
            .with(
                "Content-Disposition",
                format!("attachment; filename=\"{name}\"; filename*=UTF-8''{name}"),
            )
            .with("X-Checksum-Sha256", file.sha256.as_str())
    }
}

/// The lines that folder info and file info begin with.
fn head(key: &str, path: &str, created: SystemTime, modified: SystemTime) -> String {
    let [key, path] = [key, &format!("/{path}")].map(json);
    let [created, modified] = [created, modified].map(|at| date::west(at, ZONE));
    format!(
        "  \"repo\" : {key},\n  \"path\" : {path},\n  \"created\" : \"{created}\",\n  \"createdBy\" : \"sysadm\",\n  \"lastModified\" : \"{modified}\",\n  \"modifiedBy\" : \"sysadm\",\n  \"lastUpdated\" : \"{modified}\""
    )
}

fn mime(path: &str) -> &'static str {
    let gzip = [".gz", ".tgz"].iter().any(|end| path.ends_with(end));
    if gzip {
        "application/x-gzip"
    } else {
        "application/octet-stream"
    }
}
