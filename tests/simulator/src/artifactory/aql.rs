//! `POST /api/search/aql`, as far as `items.find(…)` goes.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::store::{File, Repo};
use super::{AqlMode, Inner, RepoKind};
use crate::date;
use crate::encoding::json;
use crate::http::{Request, Response, Sending};

/// The fields of a row where the query names none.
const DEFAULT: [&str; 9] = [
    "repo",
    "path",
    "name",
    "type",
    "size",
    "created",
    "created_by",
    "modified",
    "updated",
];

/// A query that was understood.
struct Query {
    criteria: Vec<(String, Value)>,
    include: Vec<String>,
    limit: Option<usize>,
}

impl Inner {
    pub(super) fn search(&self, request: &Request) -> Response {
        if let AqlMode::Refused(status) = self.aql {
            return super::routes::error(status, "AQL is not available");
        }
        if request
            .header("content-type")
            .is_some_and(|t| !t.starts_with("text/plain"))
        {
            return super::routes::error(415, "Unsupported Media Type");
        }
        let text = String::from_utf8_lossy(&request.body).into_owned();
        if text.trim().is_empty() {
            return super::routes::error(400, "Bad Request");
        }
        if text.contains(".sort(") {
            return plain("Sorting is not supported by AQL in the open source version");
        }
        let Some(query) = parse(&text) else {
            return plain(&format!(
                "Failed to parse query: {text}, it looks like there is syntax error near the following sub-query: {text}"
            ));
        };
        // Users who are no administrators must ask for these three.
        if !["repo", "path", "name"]
            .iter()
            .all(|f| query.include.iter().any(|i| i == f))
        {
            return plain(
                "For permissions reasons AQL demands the following fields: repo, path and name.",
            );
        }
        let mut rows = Vec::new();
        for (key, repo) in &self.repos {
            for (criterion, row_key) in self.keys(key, repo.kind) {
                rows.extend(found(repo, &criterion, &row_key, &query));
            }
        }
        rows.truncate(query.limit.unwrap_or(usize::MAX));
        let mut range = String::new();
        if matches!(self.aql, AqlMode::Trimmed) {
            rows.truncate(1);
            range += ",\n  \"notification\" : \"AQL query reached the search hard limit, results are trimmed.\"";
        }
        if let Some(limit) = query.limit {
            let _ = write!(range, ",\n  \"limit\" : {limit}");
        }
        let count = rows.len();
        let rows = rows.join(",");
        let mut body = format!(
            "\n{{\n\"results\" : [ {rows} ],\n\"range\" : {{\n  \"start_pos\" : 0,\n  \"end_pos\" : {count},\n  \"total\" : {count}{range}\n}}\n}}\n"
        );
        if matches!(self.aql, AqlMode::Cut) {
            body.truncate(body.find("\"range\"").unwrap_or(0));
        }
        Response::new(200, "application/json", body).sent(Sending::Chunked)
    }

    /// Under which keys a query finds a repository's files, and the key of the rows.
    fn keys(&self, key: &str, kind: RepoKind) -> Vec<(String, String)> {
        if let AqlMode::Virtual(members) = &self.aql {
            return members
                .iter()
                .map(|member| (key.to_owned(), member.clone()))
                .collect();
        }
        match kind {
            RepoKind::Local => vec![(key.to_owned(), key.to_owned())],
            RepoKind::Remote => vec![(format!("{key}-cache"), format!("{key}-cache"))],
            RepoKind::Virtual => vec![(key.to_owned(), format!("{key}-local"))],
        }
    }
}

/// The rows of a repository that a query finds, under this key.
fn found(repo: &Repo, criterion: &str, key: &str, query: &Query) -> Vec<String> {
    let mut rows = Vec::new();
    for (path, file) in &repo.files {
        let (folder, name) = path.rsplit_once('/').unwrap_or((".", path));
        let fits = query
            .criteria
            .iter()
            .all(|(field, wanted)| match field.as_str() {
                "repo" => meets(criterion, wanted),
                "path" => meets(folder, wanted),
                "name" => meets(name, wanted),
                "type" => meets("file", wanted) || meets("any", wanted),
                _ => true,
            });
        if fits {
            rows.push(row(key, folder, name, file, query));
        }
    }
    rows
}

fn row(key: &str, folder: &str, name: &str, file: &File, query: &Query) -> String {
    let fields = query.include.iter().filter_map(|field| {
        let value = match field.as_str() {
            "repo" => json(key),
            "path" => json(folder),
            "name" => json(name),
            "type" => json("file"),
            "size" => file.bytes.len().to_string(),
            "created" => json(&date::utc(file.created)),
            "modified" | "updated" => json(&date::utc(file.modified)),
            "created_by" | "modified_by" => json("sysadm"),
            "actual_sha1" | "original_sha1" => json(&file.sha1),
            "sha256" => json(&file.sha256),
            _ => return None,
        };
        Some(format!("  {} : {value}", json(field)))
    });
    format!("{{\n{}\n}}", fields.collect::<Vec<_>>().join(",\n"))
}

/// A bad query: plain text under the type of JSON, as recorded.
fn plain(text: &str) -> Response {
    Response::new(400, "application/json", text)
}

/// Understands `items.find({…})` with `.include("…")` and `.limit(n)` in that order.
fn parse(text: &str) -> Option<Query> {
    let rest = text.trim().strip_prefix("items.find(")?.trim_start();
    let mut values = serde_json::Deserializer::from_str(rest).into_iter::<Map<String, Value>>();
    let (object, rest) = if rest.starts_with(')') {
        (Map::new(), rest)
    } else {
        let object = values.next()?.ok().filter(|object| !object.is_empty())?;
        (object, rest.get(values.byte_offset()..)?)
    };
    let mut query = Query {
        criteria: criteria(&object),
        include: DEFAULT.map(str::to_owned).to_vec(),
        limit: None,
    };
    let mut rest = rest.trim_start().strip_prefix(')')?.trim();
    if let Some(more) = rest.strip_prefix(".include(") {
        let (names, more) = more.split_once(')')?;
        query.include = serde_json::from_str(&format!("[{names}]")).ok()?;
        rest = more.trim();
    }
    if let Some(more) = rest.strip_prefix(".limit(") {
        let (count, more) = more.split_once(')')?;
        query.limit = Some(count.trim().parse().ok()?);
        rest = more.trim();
    }
    rest.is_empty().then_some(query)
}

fn criteria(object: &Map<String, Value>) -> Vec<(String, Value)> {
    let mut all = Vec::new();
    for (field, value) in object {
        match (field.as_str(), value) {
            ("$and", Value::Array(list)) => {
                all.extend(list.iter().filter_map(Value::as_object).flat_map(criteria));
            }
            _ => all.push((field.clone(), value.clone())),
        }
    }
    all
}

fn meets(value: &str, wanted: &Value) -> bool {
    match wanted {
        Value::String(text) => value == text,
        Value::Object(operators) => operators.iter().all(|(operator, text)| {
            let text = text.as_str().unwrap_or_default();
            match operator.as_str() {
                "$eq" => value == text,
                "$ne" => value != text,
                "$match" => glob(text.as_bytes(), value.as_bytes()),
                "$nmatch" => !glob(text.as_bytes(), value.as_bytes()),
                _ => false,
            }
        }),
        _ => false,
    }
}

fn glob(pattern: &[u8], text: &[u8]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some((b'*', rest)) => (0..=text.len()).any(|at| glob(rest, &text[at..])),
        Some((b'?', rest)) => !text.is_empty() && glob(rest, &text[1..]),
        Some((c, rest)) => text.first() == Some(c) && glob(rest, &text[1..]),
    }
}
