//! The whole repository by one query of AQL, Artifactory's query language.
//!
//! The answer is streamed: status 200 is sent before the rows are read, so only the `range` object
//! at the end proves that nothing is missing, and only where it agrees with the rows. An answer that
//! contradicts itself was made, or changed on the way, by something else than Artifactory.

use std::cell::Cell;
use std::collections::HashSet;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::io::{BufReader, Read};
use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::client::{Client, body_failure, json_failure};
use super::failure::{Failure, Outcome};
use crate::error::Error;
use crate::http::{BodyError, Bounded};
use crate::mask::Masker;
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
        let reader = Bounded::new(
            response,
            AQL_LIMIT,
            client.deadline.left(AQL_TIME),
            &client.masker,
        );
        let rows = parse(&what, reader, repo, &mut builder, &client.masker)?;
        Ok((builder, rows))
    })
}

/// Reads an answer into the builder; gives the number of rows.
fn parse<R: Read>(
    what: &str,
    source: Bounded<R>,
    repo: &str,
    builder: &mut ListingBuilder,
    masker: &Masker,
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
        seen: HashSet::new(),
        hasher: RandomState::new(),
        contradiction: None,
    };
    let mut json = serde_json::Deserializer::from_reader(&mut reader);
    let parsed = Top(&mut state)
        .deserialize(&mut json)
        .and_then(|range| json.end().map(|()| range));
    let (rows, contradiction) = (state.rows, state.contradiction.take());
    let not_proof =
        |reason: String| Failure::lasting(200, Error::unavailable(what).because(reason));
    if let Some(reason) = contradiction {
        return Err(not_proof(masker.text(reason)));
    }
    let range = parsed.map_err(|e| match reader.inner.get_ref().failure() {
        Some(cause) => body_failure(what, cause),
        None if spent.get() > ROW_LIMIT => body_failure(what, &BodyError::TooLarge(ROW_LIMIT)),
        None => json_failure(what, &e, masker),
    })?;
    match range.trimmed(rows).or_else(|| range.disagrees(rows)) {
        Some(reason) => Err(not_proof(reason)),
        None => Ok(rows),
    }
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
    start_pos: u64,
    end_pos: u64,
    total: u64,
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

impl Range {
    /// What the numbers say against the rows. Servers count the rows of this answer in `total`, and
    /// in `end_pos` too, wherever it starts.
    fn disagrees(&self, rows: u64) -> Option<String> {
        let Self {
            start_pos,
            end_pos,
            total,
            ..
        } = self;
        ((*start_pos, *end_pos, *total) != (0, rows, rows)).then(|| {
            format!(
                "it contradicts itself: start_pos {start_pos}, end_pos {end_pos} and total {total} \
                 beside {rows} rows"
            )
        })
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
    /// The hashes of the rows so far: 16 bytes each, where the rows would fill the memory.
    seen: HashSet<u64>,
    hasher: RandomState,
    /// Why the answer proves nothing, where that is no mistake of its JSON.
    contradiction: Option<String>,
}

impl State<'_> {
    /// Ends the reading; why is told by [`parse`].
    fn refuse<T, E: serde::de::Error>(&mut self, reason: impl Into<String>) -> Result<T, E> {
        self.contradiction = Some(reason.into());
        Err(E::custom("a contradiction"))
    }

    fn row<E: serde::de::Error>(&mut self, row: &Row) -> Result<(), E> {
        let Row { repo, path, name } = row;
        if repo != self.repo {
            let ours = self.repo;
            return self.refuse(format!(
                "it lists another repository, {repo}: {ours} is virtual or remote"
            ));
        }
        if !self.seen.insert(self.hasher.hash_one((path, name))) {
            return self.refuse(format!("it lists {path}/{name} twice"));
        }
        self.rows += 1;
        self.spent.set(0);
        // "." is the root: a marker beside the folders belongs to no app.
        if path == "." || path.is_empty() {
            self.builder.ignore(name);
        } else if !path.contains('/') {
            self.builder.file(path, name);
        } else if !path.starts_with('.') {
            self.builder.ignore(&format!("{path}/{name}"));
        }
        Ok(())
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
                "results" if results => return self.0.refuse("it has two lists of results"),
                "results" if range.is_some() => {
                    return self.0.refuse("its range stands before its results");
                }
                "results" => {
                    map.next_value_seed(Rows(self.0))?;
                    results = true;
                }
                "range" if range.is_some() => return self.0.refuse("it has two ranges"),
                "range" => range = Some(map.next_value()?),
                "errors" => return self.0.refuse("it tells of errors"),
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
            self.0.row(&row)?;
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
        let masker = Masker::default();
        let source = Bounded::new(body, usize::MAX, Duration::from_secs(60), &masker);
        parse("query", source, "r", &mut builder, &masker)?;
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
               {"repo":"r","path":"a","name":"0.deploy"}"#,
            r#"{"start_pos":0,"end_pos":5,"total":5,"limit":500000}"#,
        );
        let listing = parsed(body.as_bytes()).unwrap();
        assert_eq!(listing.ignored, ["1.deploy", "a/b/1.deploy"]);
        assert_eq!(listing.apps.keys().collect::<Vec<_>>(), ["a"]);
        assert_eq!(listing.apps["a"].newest.as_deref(), Some("1"));
    }

    const ROW: &str = r#"{"repo":"r","path":"a","name":"1.deploy"}"#;
    const OLDER: &str = r#"{"repo":"r","path":"a","name":"0.deploy"}"#;

    fn range(start_pos: u64, end_pos: u64, total: u64) -> String {
        format!(r#"{{"start_pos":{start_pos},"end_pos":{end_pos},"total":{total}}}"#)
    }

    #[test]
    fn trap_18_19_20_21_what_proves_nothing() {
        let one = range(0, 1, 1);
        let and = |more: &str| one.replace('}', &format!(",{more}}}"));
        for (body, status) in [
            (
                rows(
                    ROW,
                    &and(r#""notification":"AQL query reached the search hard limit""#),
                ),
                Some(200),
            ),
            (rows(ROW, &and(r#""notification":null"#)), Some(200)),
            (rows(ROW, &and(r#""limit":1"#)), Some(200)),
            (rows(ROW, "null"), Some(200)),
            (
                rows(r#"{"repo":"r-cache","path":"a","name":"1.deploy"}"#, &one),
                Some(200),
            ),
            (rows(r#"{"repo":"r","path":"a"}"#, &one), Some(200)),
            (format!("{{\"results\":[{ROW}]}}"), Some(200)),
            (format!("{{\"range\":{}}}", range(0, 0, 0)), Some(200)),
            ("[]".into(), Some(200)),
            ("<html>".into(), Some(200)),
            (format!("{{\"results\":[{ROW}"), None),
            (format!("{{\"results\":[{ROW}],"), None),
            (String::new(), None),
            (rows(ROW, &one) + "{}", Some(200)),
        ] {
            let failure = parsed(body.as_bytes()).unwrap_err();
            assert_eq!(failure.status, status, "{body} {failure:?}");
        }
        assert!(parsed(rows(ROW, &one).as_bytes()).is_ok());
        let more = r#"{"took":3,"#.to_owned() + &rows(ROW, &and(r#""limit":2"#)).trim_start()[1..];
        assert!(parsed(more.as_bytes()).is_ok(), "{more}");
    }

    #[test]
    fn an_answer_that_contradicts_itself_proves_nothing() {
        let two = format!("{ROW},{OLDER}");
        let good = range(0, 2, 2);
        assert!(parsed(rows(&two, &good).as_bytes()).is_ok());
        assert!(parsed(rows("", &range(0, 0, 0)).as_bytes()).is_ok());
        let ranges = [
            range(0, 2, 3),
            range(0, 3, 3),
            range(0, 1, 1),
            range(0, 2, 1),
            range(0, 1, 2),
            range(0, 0, 2),
            range(0, 2, 0),
            range(1, 2, 2),
            range(2, 4, 2),
        ];
        for range in ranges {
            let failure = parsed(rows(&two, &range).as_bytes()).unwrap_err();
            let cause = failure.error.causes.join(" ");
            assert!(cause.contains("contradicts itself"), "{range}: {cause}");
            assert_eq!(failure.status, Some(200), "{range}");
        }
        let list = format!("\"results\":[{two}]");
        let errors = r#""errors":[{"status":500,"message":"no"}]"#;
        for (body, reason) in [
            (rows(&format!("{ROW},{ROW}"), &good), "a/1.deploy twice"),
            (format!("{{{list},{list},\"range\":{good}}}"), "two lists"),
            (
                format!("{{\"results\":[],{list},\"range\":{good}}}"),
                "two lists",
            ),
            (
                format!("{{{list},\"range\":{good},\"range\":{good}}}"),
                "two ranges",
            ),
            (format!("{{\"range\":{good},{list}}}"), "before its results"),
            (format!("{{{errors},{list},\"range\":{good}}}"), "errors"),
            (format!("{{{list},\"range\":{good},{errors}}}"), "errors"),
            (
                format!("{{{list},\"range\":{good},\"errors\":[]}}"),
                "errors",
            ),
            (
                rows(&two, &good.replace("\"total\":2", "\"total\":\"2\"")),
                "string",
            ),
            (
                rows(&two, &good.replace("\"total\":2", "\"total\":2.5")),
                "floating",
            ),
            (rows(&two, &good.replace(",\"total\":2", "")), "`total`"),
            (rows(&two, &good.replace("\"end_pos\":2,", "")), "`end_pos`"),
            (
                rows(&two, &good.replace("\"start_pos\":0,", "")),
                "`start_pos`",
            ),
            (
                rows(
                    &two,
                    &good.replace("\"total\":2", "\"total\":3,\"total\":2"),
                ),
                "`total`",
            ),
        ] {
            let failure = parsed(body.as_bytes()).unwrap_err();
            let cause = failure.error.causes.join(" ");
            assert!(cause.contains(reason), "{body}: {cause}");
            assert_eq!(failure.status, Some(200), "{body}");
        }
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
                    n if n == self.count + 1 => {
                        let count = u64::try_from(self.count).unwrap();
                        format!("],\"range\":{}}}", range(0, count, count)).into()
                    }
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
