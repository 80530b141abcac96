//! The whole repository by one query of AQL, Artifactory's query language.
//!
//! The answer is streamed: status 200 is sent before the rows are read, so only the `range` object
//! at the end proves that nothing is missing.

use std::cell::Cell;
use std::fmt;
use std::io::{BufReader, Read};
use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::client::{Client, Failure, Outcome, body_failure, json_failure};
use crate::error::Error;
use crate::http::{BodyError, Bounded};
use crate::model::listing::ListingBuilder;

/// The most time for the whole answer.
const AQL_TIME: Duration = Duration::from_secs(300);
/// The most bytes of an answer: about two million markers.
const AQL_LIMIT: usize = 512 << 20;

/// The most bytes of one row; there is no limit on the rows.
const ROW_LIMIT: usize = 256 << 10;

/// The query. `repo`, `path` and `name` must be among the fields, or only administrators may ask.
/// A repository's name is checked before: AQL has no way to write a quote.
pub fn query(repo: &str) -> String {
    format!(
        r#"items.find({{"repo":"{repo}","type":"file","name":{{"$match":"*.deploy"}}}}).include("repo","path","name")"#
    )
}

/// Asks once per try, and gives the builder fed with every row, and the number of rows.
pub fn read(
    client: &Client,
    api: &str,
    repo: &str,
    builder: &ListingBuilder,
) -> Outcome<(ListingBuilder, u64)> {
    let what = format!("AQL query of repository {repo}");
    let url = format!("{api}/search/aql");
    client.retried(|| {
        let request = client
            .http
            .post(&url)
            .header(CONTENT_TYPE, "text/plain")
            .body(query(repo));
        let response = client.call(&what, request)?;
        // A retry must not see the rows of a try that failed midway.
        let mut builder = builder.clone();
        let reader = Bounded::new(response, AQL_LIMIT, client.deadline.left(AQL_TIME));
        let rows = parse(&what, reader, repo, &mut builder)?;
        Ok((builder, rows))
    })
}

/// Reads an answer into the builder; gives the number of rows.
fn parse<R: Read>(
    what: &str,
    source: Bounded<R>,
    repo: &str,
    builder: &mut ListingBuilder,
) -> Outcome<u64> {
    let spent = Cell::new(0);
    let mut reader = RowLimit {
        inner: BufReader::with_capacity(64 << 10, source),
        spent: &spent,
    };
    let mut state = State {
        repo,
        builder,
        spent: &spent,
        rows: 0,
        foreign: None,
    };
    let mut json = serde_json::Deserializer::from_reader(&mut reader);
    let parsed = Top(&mut state)
        .deserialize(&mut json)
        .and_then(|range| json.end().map(|()| range));
    let (rows, foreign) = (state.rows, state.foreign.take());
    let not_proof =
        |reason: String| Failure::lasting(200, Error::unavailable(what).because(reason));
    if let Some(other) = foreign {
        return Err(not_proof(format!(
            "it lists another repository, {other}: {repo} is virtual or remote"
        )));
    }
    let range = parsed.map_err(|e| match reader.inner.get_ref().failure() {
        Some(cause) => body_failure(what, cause),
        None if spent.get() > ROW_LIMIT => body_failure(what, &BodyError::TooLarge(ROW_LIMIT)),
        None => json_failure(what, &e),
    })?;
    if let Some(reason) = range.trimmed(rows) {
        return Err(not_proof(reason));
    }
    Ok(rows)
}

/// Counts the bytes since the last row and fails past [`ROW_LIMIT`]: one endless string must not
/// fill the memory.
struct RowLimit<'a, R> {
    inner: BufReader<R>,
    spent: &'a Cell<usize>,
}

impl<R: Read> Read for RowLimit<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.spent.set(self.spent.get() + n);
        if self.spent.get() > ROW_LIMIT {
            return Err(std::io::Error::other("one row is too long"));
        }
        Ok(n)
    }
}

/// `range`: that it is there says that the answer is complete.
#[derive(Deserialize)]
struct Range {
    #[serde(default, deserialize_with = "present")]
    notification: bool,
    limit: Option<u64>,
}

impl Range {
    /// Why rows may be missing. Servers trim at a limit of their own with status 200; the text of
    /// the notification differs by version, so its presence counts.
    fn trimmed(&self, rows: u64) -> Option<String> {
        if self.notification {
            return Some("the server trimmed the result".into());
        }
        match self.limit {
            Some(limit) if rows >= limit => Some(format!(
                "the result reaches the server's limit of {limit} rows"
            )),
            _ => None,
        }
    }
}

fn present<'de, D: serde::Deserializer<'de>>(value: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(value).map(|_| true)
}

#[derive(Deserialize)]
struct Row {
    repo: String,
    path: String,
    name: String,
}

struct State<'a> {
    repo: &'a str,
    builder: &'a mut ListingBuilder,
    spent: &'a Cell<usize>,
    rows: u64,
    foreign: Option<String>,
}

impl State<'_> {
    fn row(&mut self, row: &Row) {
        self.rows += 1;
        self.spent.set(0);
        let Row { path, name, .. } = row;
        // "." is the root: a marker beside the folders belongs to no app.
        if path == "." || path.is_empty() {
            self.builder.ignore(name);
        } else if !path.contains('/') {
            self.builder.file(path, name);
        } else if !path.starts_with('.') {
            self.builder.ignore(&format!("{path}/{name}"));
        }
    }
}

struct Top<'a, 'b>(&'a mut State<'b>);

impl<'de> DeserializeSeed<'de> for Top<'_, '_> {
    type Value = Range;

    fn deserialize<D: serde::Deserializer<'de>>(self, json: D) -> Result<Range, D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Top<'_, '_> {
    type Value = Range;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with results and range")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Range, A::Error> {
        let (mut results, mut range) = (false, None);
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "results" => {
                    map.next_value_seed(Rows(self.0))?;
                    results = true;
                }
                "range" => range = Some(map.next_value()?),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        if !results {
            return Err(A::Error::missing_field("results"));
        }
        range.ok_or_else(|| A::Error::missing_field("range"))
    }
}

struct Rows<'a, 'b>(&'a mut State<'b>);

impl<'de> DeserializeSeed<'de> for Rows<'_, '_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Rows<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of rows")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut rows: A) -> Result<(), A::Error> {
        while let Some(row) = rows.next_element::<Row>()? {
            if row.repo != self.0.repo {
                self.0.foreign = Some(row.repo);
                return Err(A::Error::custom("a row of another repository"));
            }
            self.0.row(&row);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::listing::{AppFilter, Listing};
    use crate::model::version::Order;
    use std::collections::BTreeMap;

    fn parsed<R: Read>(body: R) -> Outcome<Listing> {
        let mut builder =
            ListingBuilder::new(Order::Natural, AppFilter::default(), BTreeMap::new(), false);
        let source = Bounded::new(body, usize::MAX, Duration::from_secs(60));
        parse("query", source, "r", &mut builder)?;
        Ok(builder.finish("aql", true))
    }

    fn rows(rows: &str, range: &str) -> String {
        format!("\n{{\n\"results\" : [ {rows} ],\n\"range\" : {range}\n}}\n")
    }

    #[test]
    fn trap_22_the_query_has_the_fields_that_non_administrators_need() {
        assert_eq!(
            query("deploys"),
            r#"items.find({"repo":"deploys","type":"file","name":{"$match":"*.deploy"}}).include("repo","path","name")"#
        );
    }

    #[test]
    fn trap_22_the_root_and_nested_paths_are_no_apps() {
        let body = rows(
            r#"{"repo":"r","path":".","name":"1.deploy"},{"repo":"r","path":"a/b","name":"1.deploy"},
               {"repo":"r","path":".jfrog/x","name":"1.deploy"},{"repo":"r","path":"a","name":"1.deploy","size":0},
               {"repo":"r","path":"a","name":"1.deploy"}"#,
            r#"{"start_pos":0,"end_pos":4,"total":4,"limit":500000}"#,
        );
        let listing = parsed(body.as_bytes()).unwrap();
        assert_eq!(listing.ignored, ["1.deploy", "a/b/1.deploy"]);
        assert_eq!(listing.apps.keys().collect::<Vec<_>>(), ["a"]);
        assert_eq!(listing.apps["a"].newest.as_deref(), Some("1"));
    }

    #[test]
    fn trap_18_19_20_21_what_proves_nothing() {
        let row = r#"{"repo":"r","path":"a","name":"1.deploy"}"#;
        for (body, status) in [
            (
                rows(
                    row,
                    r#"{"notification":"AQL query reached the search hard limit"}"#,
                ),
                Some(200),
            ),
            (rows(row, r#"{"notification":null}"#), Some(200)),
            (rows(row, r#"{"limit":1}"#), Some(200)),
            (rows(row, "null"), Some(200)),
            (
                rows(r#"{"repo":"r-cache","path":"a","name":"1.deploy"}"#, "{}"),
                Some(200),
            ),
            (rows(r#"{"repo":"r","path":"a"}"#, "{}"), Some(200)),
            (format!("{{\"results\":[{row}]}}"), Some(200)),
            ("{\"range\":{}}".into(), Some(200)),
            ("[]".into(), Some(200)),
            ("<html>".into(), Some(200)),
            (format!("{{\"results\":[{row}"), None),
            (format!("{{\"results\":[{row}],"), None),
            (String::new(), None),
            (rows(row, "{}") + "{}", Some(200)),
        ] {
            let failure = parsed(body.as_bytes()).unwrap_err();
            assert_eq!(failure.status, status, "{body} {failure:?}");
        }
        assert!(parsed(rows(row, "{}").as_bytes()).is_ok());
    }

    /// Makes rows one by one, so that no test holds the whole body either.
    struct Endless {
        at: usize,
        count: usize,
        rest: Vec<u8>,
    }

    impl Read for Endless {
        fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
            if self.rest.is_empty() {
                self.rest = match self.at {
                    0 => b"{\"results\":[".to_vec(),
                    n if n <= self.count => {
                        let comma = if n == 1 { "" } else { "," };
                        let (app, version) = (n % 200, n / 200);
                        format!(
                            r#"{comma}{{"repo":"r","path":"app{app}","name":"1.{version}.deploy"}}"#
                        )
                        .into()
                    }
                    n if n == self.count + 1 => b"],\"range\":{}}".to_vec(),
                    _ => return Ok(0),
                };
                self.at += 1;
            }
            let n = buf.len().min(self.rest.len());
            buf[..n].copy_from_slice(&self.rest[..n]);
            self.rest.drain(..n);
            Ok(n)
        }
    }

    #[test]
    fn two_hundred_thousand_rows_stream_through() {
        let listing = parsed(Endless {
            at: 0,
            count: 200_000,
            rest: Vec::new(),
        })
        .unwrap();
        assert_eq!(listing.apps.len(), 200);
        assert_eq!(
            listing.apps.values().map(|a| a.markers).sum::<u64>(),
            200_000
        );
    }

    #[test]
    fn one_endless_string_is_refused() {
        let head = &b"{\"results\":[{\"repo\":\""[..];
        let failure = parsed(head.chain(std::io::repeat(b'x'))).unwrap_err();
        assert_eq!(failure.status, Some(200), "{failure:?}");
    }
}
