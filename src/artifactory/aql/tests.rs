//! Answers that prove the listing, and those that do not.

use super::*;
use crate::config::HttpConfig;
use crate::http::Meaning::{self, Lasting};
use crate::model::listing::{AppFilter, Listing};
use crate::model::version::Order;
use std::collections::BTreeMap;

const SOON: Meaning = Meaning::Passing(Duration::ZERO);

fn parsed<R: Read>(body: R) -> ReadResult<Listing> {
    let mut builder =
        ListingBuilder::new(Order::Natural, AppFilter::default(), BTreeMap::new(), false);
    let masker = Masker::default();
    let config = HttpConfig::default();
    let source = Bounded::new(body, usize::MAX, Duration::from_secs(60), &config);
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
        r#"items.find({"repo":"deploys","type":"file","name":{"$match":"*.??????"}}).include("repo","path","name","created")"#
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
    let left: Vec<&str> = listing
        .left_alone
        .shown
        .iter()
        .map(|l| l.name.as_str())
        .collect();
    assert_eq!(left, [".jfrog/x/1.deploy", "1.deploy", "a/b/1.deploy"]);
    assert_eq!(listing.apps.keys().collect::<Vec<_>>(), ["a"]);
    assert_eq!(listing.apps["a"].newest.as_deref(), Some("1"));
}

#[test]
fn markers_come_with_the_date_they_were_made() {
    let body = rows(
        r#"{"repo":"r","path":"a","name":"1.0.0.deploy","created":"2026-01-02T00:00:00.000+02:00"},
           {"repo":"r","path":"a","name":"release-2.0.0.deploy","created":"2026-01-01T23:00:00.000Z"},
           {"repo":"r","path":"a","name":"3.0.DEPLOY","created":"nonsense"},
           {"repo":"r","path":"a","name":"x.tar.gz"}"#,
        r#"{"start_pos":0,"end_pos":4,"total":4}"#,
    );
    let listing = parsed(body.as_bytes()).unwrap();
    assert_eq!(listing.apps["a"].newest.as_deref(), Some("1.0.0"));
    assert_eq!(listing.apps["a"].later.as_deref(), Some("release-2.0.0"));
    assert_eq!((listing.left_alone.count, listing.others), (1, 1));
    assert_eq!(listing.left_alone.shown[0].name, "a/3.0.DEPLOY");
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
    for (body, meaning) in [
        (
            rows(
                ROW,
                &and(r#""notification":"AQL query reached the search hard limit""#),
            ),
            Lasting,
        ),
        (rows(ROW, &and(r#""notification":null"#)), Lasting),
        (rows(ROW, &and(r#""limit":1"#)), Lasting),
        (rows(ROW, "null"), Lasting),
        (
            rows(r#"{"repo":"r-cache","path":"a","name":"1.deploy"}"#, &one),
            Lasting,
        ),
        (rows(r#"{"repo":"r","path":"a"}"#, &one), Lasting),
        (format!("{{\"results\":[{ROW}]}}"), Lasting),
        (format!("{{\"range\":{}}}", range(0, 0, 0)), Lasting),
        ("[]".into(), Lasting),
        ("<html>".into(), Lasting),
        (format!("{{\"results\":[{ROW}"), SOON),
        (format!("{{\"results\":[{ROW}],"), SOON),
        (String::new(), SOON),
        (rows(ROW, &one) + "{}", Lasting),
    ] {
        let failure = parsed(body.as_bytes()).unwrap_err();
        assert_eq!(failure.meaning, meaning, "{body} {failure:?}");
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
        assert_eq!(failure.meaning, Lasting, "{range}");
    }
    let list = format!("\"results\":[{two}]");
    let errors = r#""errors":[{"status":500,"message":"no"}]"#;
    for (body, reason) in [
        (rows(&format!("{ROW},{ROW}"), &good), "one row twice"),
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
        (
            format!("{{\"Error\":\"timed out\",{list},\"range\":{good}}}"),
            "'Error'",
        ),
        (
            format!("{{\"status\":500,{list},\"range\":{good}}}"),
            "'status'",
        ),
        (
            format!("{{{list},\"range\":{good},\"warning\":\"partial\"}}"),
            "'warning'",
        ),
        (
            rows(
                &two,
                &good.replace("\"total\"", "\"Notifications\":[],\"total\""),
            ),
            "trimmed",
        ),
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
        assert_eq!(failure.meaning, Lasting, "{body}");
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
    assert_eq!(failure.meaning, Lasting, "{failure:?}");
}
