//! JSON documents, safe to show.

use std::fmt::Write;

use serde::Serialize;
use serde_json::Value;

use crate::text::printable;

/// Renders one document, indented, and a newline.
///
/// JSON lets characters such as U+009B (an escape sequence to some terminals) and U+202E (which
/// reorders what is beside it) stand raw in a string; here they are written as `\u` escapes, which
/// every parser reads back as the same text.
pub fn document<T: Serialize>(value: &T) -> serde_json::Result<String> {
    let mut text = serde_json::to_string_pretty(value)?;
    text.push('\n');
    Ok(safe(text))
}

/// An object whose first value is a list of any length, written piece by piece. Its text is that of
/// [`document`] or [`compact`].
pub struct Listing {
    /// What stands before each line of an item; empty on one line.
    indent: &'static str,
    has_items: bool,
    begin: String,
}

impl Listing {
    /// Begins one, indented where it is `pretty`; the list's key must sort before the others.
    pub fn new(key: &str, pretty: bool) -> Self {
        let (indent, begin) = if pretty {
            ("\n    ", format!("{{\n  \"{key}\": ["))
        } else {
            ("", format!("{{\"{key}\":["))
        };
        Self {
            indent,
            has_items: false,
            begin,
        }
    }

    /// Some more items.
    pub fn items(&mut self, items: &[Value]) -> serde_json::Result<String> {
        let mut out = std::mem::take(&mut self.begin);
        for item in items {
            if std::mem::replace(&mut self.has_items, true) {
                out.push(',');
            }
            if self.indent.is_empty() {
                out += &compact(item)?;
            } else {
                let text = document(item)?.replace('\n', self.indent);
                out += self.indent;
                out += text.trim_end();
            }
        }
        Ok(out)
    }

    /// The end: the other keys, of an object that has some.
    pub fn end(&mut self, others: &Value) -> serde_json::Result<String> {
        let mut out = std::mem::take(&mut self.begin);
        if self.has_items && !self.indent.is_empty() {
            out += "\n  ";
        }
        out += "],";
        let others = if self.indent.is_empty() {
            compact(others)?
        } else {
            document(others)?
        };
        out += others.strip_prefix('{').unwrap_or(&others);
        Ok(out)
    }
}

/// Renders one document on one line, without a newline.
pub fn compact<T: Serialize>(value: &T) -> serde_json::Result<String> {
    serde_json::to_string(value).map(safe)
}

fn safe(text: String) -> String {
    if text.chars().any(must_escape) {
        escaped(&text)
    } else {
        text
    }
}

/// The serializer has escaped all below U+0020 inside of strings: the newlines that are left are
/// its own.
fn must_escape(c: char) -> bool {
    c == '\u{7f}' || (!c.is_ascii() && !printable(c.encode_utf8(&mut [0; 4])).starts_with(c))
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if must_escape(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a string can't fail.
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::report::{Action, AppReport, Outcome, Report, Summary};

    #[test]
    fn a_report_has_the_documented_keys_in_the_documented_order() {
        let report = Report {
            pass: "p".into(),
            command: "run".into(),
            domain: "example.com".into(),
            environment: "qa".into(),
            started_at: "2026-01-01T00:00:00Z".into(),
            finished_at: "2026-01-01T00:00:01Z".into(),
            complete: true,
            apps: vec![AppReport {
                app: "web".into(),
                deployed: None,
                newest: Some("2.0".into()),
                action: Action::UpToDate,
                reason: String::new(),
                outcome: Some(Outcome::Succeeded),
                attempt: None,
                deploy_id: None,
                duration_ms: Some(1),
                error: None,
                hint: None,
                failing: false,
            }],
            summary: Summary::default(),
            exit_code: 0,
            error: None,
            left_alone: crate::model::report::LeftAlone::default(),
        };
        let text = document(&report).unwrap();
        let keys: Vec<&str> = text
            .lines()
            .filter_map(|line| line.trim_start().strip_prefix('"')?.split_once("\": "))
            .map(|(key, _)| key)
            .collect();
        let documented = "pass command domain environment startedAt finishedAt complete apps \
            app deployed newest action reason outcome attempt deployID durationMs error hint \
            summary apps upToDate due deployed failed skipped unknown exitCode error";
        assert_eq!(keys, documented.split_whitespace().collect::<Vec<_>>());
        assert!(text.contains("\"deployed\": null") && text.contains("\"up-to-date\""));
        assert!(text.ends_with("}\n"));
        assert_eq!(serde_json::from_str::<Report>(&text).unwrap(), report);
    }

    #[test]
    fn a_listing_is_the_same_text_as_the_whole_document() {
        let item = |name: &str| serde_json::json!({"app": name, "latest": {"a": [1, 2]}});
        let others = serde_json::json!({"holds": [], "open": [{"x": "\u{202e}\n"}]});
        for count in 0..5 {
            let items: Vec<Value> = (0..count).map(|i| item(&format!("{i}\u{9b}"))).collect();
            let mut whole = others.clone();
            whole["apps"] = items.clone().into();
            for (pretty, expected) in [
                (true, document(&whole).unwrap()),
                (false, compact(&whole).unwrap()),
            ] {
                let mut listing = Listing::new("apps", pretty);
                let mut text = String::new();
                for piece in items.chunks(2) {
                    text += &listing.items(piece).unwrap();
                    text += &listing.items(&[]).unwrap();
                }
                text += &listing.end(&others).unwrap();
                assert_eq!(text, expected);
            }
        }
    }

    #[test]
    fn what_moves_a_terminal_is_escaped() {
        assert_eq!(
            document(&"a\u{9b}b\u{202e}\u{7f}\u{1b}\u{e0001}é\n").unwrap(),
            "\"a\\u009bb\\u202e\\u007f\\u001b\\udb40\\udc01é\\n\"\n"
        );
    }

    proptest! {
        #[test]
        fn any_text_comes_back_the_same(text in any::<String>()) {
            let shown = document(&text).unwrap();
            prop_assert_eq!(printable(&shown).chars().take(400).collect::<String>(),
                shown.trim_end_matches('\n').chars().take(400).collect::<String>());
            prop_assert_eq!(serde_json::from_str::<String>(&shown).unwrap(), text);
        }
    }
}
