//! JSON documents, safe to show.

use std::fmt::Write;

use serde::Serialize;

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
