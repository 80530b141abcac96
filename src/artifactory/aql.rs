//! The whole repository by one query of AQL, Artifactory's query language.
//!
//! The answer is streamed: status 200 is sent before the rows are read, so only the `range` object
//! at the end proves that nothing is missing, and only where it agrees with the rows. An answer that
//! contradicts itself was made, or changed on the way, by something else than Artifactory.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, BufRead as _, BufReader, Read};
use std::time::Duration;

use flate2::bufread::MultiGzDecoder;
use reqwest::header::CONTENT_TYPE;
use serde::Deserialize;
use serde::de::{
    DeserializeSeed, Deserializer as _, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};

use super::client::Client;
use super::failure::{Failure, ReadResult};
use super::file_info::parse_iso;
use crate::error::Error;
use crate::http::{BodyError, Bounded, Meaning};
use crate::mask::{self, Masker};
use crate::model::listing::ListingBuilder;

/// The most time for the whole answer.
const AQL_TIME: Duration = Duration::from_secs(300);
/// The most bytes of an answer: about two million markers.
const AQL_LIMIT: usize = 512 << 20;

/// The most bytes of one row; there is no limit on the rows.
const ROW_LIMIT: usize = 256 << 10;

/// The query. `repo`, `path` and `name` must be among the fields, or only administrators may ask.
/// A repository's name is checked before: AQL has no way to write a quote. Names are matched in their
/// letter case by some databases: six letters find `.DEPLOY` too, which is shown and left alone.
pub fn query(repo: &str) -> String {
    format!(
        r#"items.find({{"repo":"{repo}","type":"file","name":{{"$match":"*.??????"}}}}).include("repo","path","name","created")"#
    )
}

/// Asks once per try, and gives the builder fed with every row, and the number of rows.
pub fn read(
    client: &Client,
    repo: &str,
    builder: &ListingBuilder,
) -> ReadResult<(ListingBuilder, u64)> {
    let what = format!("AQL query of repository {repo}");
    let url = client.api(&["search", "aql"])?;
    client.retried(|| {
        once(client, &what, &url, repo, builder).map_err(|failure| match failure.meaning {
            // The folders are read next: what is slow or in the way here need not be there.
            Meaning::Silent | Meaning::Foreign => Failure::from(failure.error),
            _ => failure,
        })
    })
}

fn once(
    client: &Client,
    what: &str,
    url: &str,
    repo: &str,
    builder: &ListingBuilder,
) -> ReadResult<(ListingBuilder, u64)> {
    let request = client.http.post(url).header(CONTENT_TYPE, "text/plain");
    let response = client.call(what, request.body(query(repo)))?;
    // A retry must not see the rows of a try that failed midway.
    let mut builder = builder.clone();
    let left = client.deadline.left(AQL_TIME);
    let body = Bounded::new(plain(response), AQL_LIMIT, left, &client.config);
    let rows = parse(what, body, repo, &mut builder, client.masker())?;
    Ok((builder, rows))
}

/// The answer as it was before somebody compressed it, whatever the headers say.
fn plain<'a>(response: impl Read + 'a) -> Box<dyn Read + 'a> {
    let mut reader = BufReader::new(response);
    // What can't be read now can't be read later either.
    if reader.fill_buf().is_ok_and(mask::is_gzip) {
        return Box::new(MultiGzDecoder::new(reader));
    }
    Box::new(reader)
}

/// Reads an answer into the builder; gives the number of rows.
fn parse<R: Read>(
    what: &str,
    body: Bounded<R>,
    repo: &str,
    builder: &mut ListingBuilder,
    masker: &Masker,
) -> ReadResult<u64> {
    let since_row = Cell::new(0);
    let mut reader = RowLimit {
        body: BufReader::with_capacity(64 << 10, body),
        since_row: &since_row,
    };
    let mut listed = Listed {
        repo,
        builder,
        since_row: &since_row,
        rows: 0,
        seen: Vec::new(),
        hasher: RandomState::new(),
        range: None,
        contradiction: None,
    };
    let mut json = serde_json::Deserializer::from_reader(&mut reader);
    let parsed = json.deserialize_map(&mut listed).and_then(|()| json.end());
    if parsed.is_ok() {
        listed.check();
    }
    if let Some(reason) = listed.contradiction {
        return Err(Error::unavailable(what).because(masker.text(reason)).into());
    }
    parsed.map_err(|e| Failure::of_json(what, e, masker))?;
    Ok(listed.rows)
}

/// Counts the bytes since the last row and fails past [`ROW_LIMIT`]: one endless string must not
/// fill the memory.
struct RowLimit<'a, R> {
    body: BufReader<R>,
    since_row: &'a Cell<usize>,
}

impl<R: Read> Read for RowLimit<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.body.read(buf)?;
        self.since_row.set(self.since_row.get() + n);
        if self.since_row.get() > ROW_LIMIT {
            return Err(io::Error::other(BodyError::TooLarge(ROW_LIMIT)));
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
    limit: Option<u64>,
    #[serde(flatten)]
    others: BTreeMap<String, serde_json::Value>,
}

/// Whether a key, in this or another spelling, tells that something went wrong.
fn is_of_failure(key: &str) -> bool {
    const WORDS: [&str; 5] = ["error", "message", "notification", "status", "warning"];
    let key = key.to_ascii_lowercase();
    WORDS.iter().any(|word| key.starts_with(word))
}

#[derive(Deserialize)]
struct Row {
    repo: String,
    path: String,
    name: String,
    created: Option<String>,
}

/// What was read so far.
struct Listed<'a> {
    repo: &'a str,
    builder: &'a mut ListingBuilder,
    since_row: &'a Cell<usize>,
    rows: u64,
    /// The hashes of the rows so far: 8 bytes each, where the rows would fill the memory.
    seen: Vec<u64>,
    hasher: RandomState,
    range: Option<Range>,
    /// Why the answer proves nothing, where that is no mistake of its JSON.
    contradiction: Option<String>,
}

impl Listed<'_> {
    /// Notes why rows may be missing, or be of another answer.
    ///
    /// Servers trim at a limit of their own with status 200; the text of the notification differs by
    /// version, so its presence counts. They count the rows of this answer in `total`, and in
    /// `end_pos` too, wherever it starts.
    fn check(&mut self) {
        let (Some(range), rows) = (&self.range, self.rows) else {
            return;
        };
        let (start, end, total) = (range.start_pos, range.end_pos, range.total);
        self.seen.sort_unstable();
        self.contradiction = if self.seen.windows(2).any(|pair| pair[0] == pair[1]) {
            Some("it lists one row twice".into())
        } else if range.others.keys().any(|key| is_of_failure(key)) {
            Some("the server trimmed the result".into())
        } else if let Some(limit) = range.limit.filter(|limit| rows >= *limit) {
            let reached = "the result reaches the server's limit of";
            Some(format!("{reached} {limit} rows"))
        } else if (start, end, total) != (0, rows, rows) {
            let numbers = format!("start_pos {start}, end_pos {end} and total {total}");
            Some(format!(
                "it contradicts itself: {numbers} beside {rows} rows"
            ))
        } else {
            None
        };
    }

    /// Ends the reading; why is told by [`parse`].
    fn refuse<T, E: serde::de::Error>(&mut self, reason: impl Into<String>) -> Result<T, E> {
        self.contradiction = Some(reason.into());
        Err(E::custom("a contradiction"))
    }

    fn row<E: serde::de::Error>(&mut self, row: &Row) -> Result<(), E> {
        let Row {
            repo,
            path,
            name,
            created,
        } = row;
        if repo != self.repo {
            let ours = self.repo;
            return self.refuse(format!(
                "it lists another repository, {repo}: {ours} is virtual or remote"
            ));
        }
        self.seen.push(self.hasher.hash_one((path, name)));
        self.rows += 1;
        self.since_row.set(0);
        // "." is the root: a marker beside the folders belongs to no app.
        if path == "." || path.is_empty() {
            self.builder.misplaced(name);
        } else if path.contains('/') {
            self.builder.misplaced(&format!("{path}/{name}"));
        } else {
            let made = created.as_deref().and_then(parse_iso);
            self.builder.dated_file(path, name, made);
        }
        Ok(())
    }
}

/// Reads the list of the results.
impl<'de> DeserializeSeed<'de> for &mut Listed<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for &mut Listed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with an array of results and a range")
    }

    /// The whole answer.
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut has_results = false;
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "results" if has_results => return self.refuse("it has two lists of results"),
                "results" if self.range.is_some() => {
                    return self.refuse("its range stands before its results");
                }
                "results" => {
                    map.next_value_seed(&mut *self)?;
                    has_results = true;
                }
                "range" if self.range.is_some() => return self.refuse("it has two ranges"),
                "range" => self.range = Some(map.next_value()?),
                other if is_of_failure(other) => {
                    return self.refuse(format!("it tells of '{other}' beside its results"));
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        match (has_results, &self.range) {
            (false, _) => Err(A::Error::missing_field("results")),
            (true, None) => Err(A::Error::missing_field("range")),
            (true, Some(_)) => Ok(()),
        }
    }

    /// The results.
    fn visit_seq<A: SeqAccess<'de>>(self, mut rows: A) -> Result<(), A::Error> {
        while let Some(row) = rows.next_element::<Row>()? {
            self.row(&row)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
