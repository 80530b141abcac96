//! The keys to set in etcd: the `.etcd2` file.

use std::collections::BTreeMap;
use std::fmt::Display;

use super::archive::File;
use super::{RECORD_LIMIT, is_unrecorded, refusal, refuse};
use crate::error::{Error, Result};
use crate::text::is_unsafe;

/// The most bytes of one key: a bound of this program, etcd has none of its own.
pub const KEY_LIMIT: usize = 256;

/// Reads lines `key value…`: the key ends at the first white space, the value is the rest,
/// trimmed. Blank lines are skipped.
///
/// Values may be secrets: no error says more than the key and the line.
pub fn parse(file: &File) -> Result<BTreeMap<String, String>> {
    let mut keys: BTreeMap<&str, (usize, &str)> = BTreeMap::new();
    for (line, number) in file.text.split('\n').zip(1..) {
        let line = line.trim();
        if line.is_empty() {
            continue;
        }
        let (key, value) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let value = value.trim();
        let checked = check_key(key).and_then(|()| check_value(key, value));
        checked.map_err(|what| at_line(file, number, what))?;
        if let Some((first, _)) = keys.insert(key, (number, value)) {
            let what = format!("the key {key} again, it is on line {first}");
            return Err(at_line(file, number, what));
        }
    }
    check_parents(file, &keys)?;
    let keys = keys.into_iter();
    let keys = keys
        .map(|(key, (_, value))| (key.to_owned(), value.to_owned()))
        .collect();
    let length = go_json_length(&keys);
    if length > RECORD_LIMIT {
        let most = format!("coreos-deploy records at most {RECORD_LIMIT}");
        return refuse(
            &file.name,
            format!("the keys as JSON are {length} bytes, {most}"),
        );
    }
    Ok(keys)
}

fn at_line(file: &File, line: usize, what: impl Display) -> Error {
    refusal(&file.name, format!("line {line}: {what}"))
}

fn check_key(key: &str) -> std::result::Result<(), String> {
    // A first field that is no key may be a part of a secret value that was wrapped: it isn't shown.
    if !key.starts_with('/') {
        return Err("'/' expected at the start of a key (comments are not known here)".into());
    }
    if key.len() > KEY_LIMIT {
        let length = key.len();
        return Err(format!(
            "a key of {length} bytes, at most {KEY_LIMIT} expected"
        ));
    }
    if key.chars().any(|c| is_unsafe(c) || is_unrecorded(c)) {
        return Err(format!(
            "the key {key} has a control, invisible or 4-byte character"
        ));
    }
    for part in key.split('/').skip(1) {
        if matches!(part, "" | "." | "..") {
            return Err(format!("the key {key} has an empty, '.' or '..' part"));
        }
        if part.starts_with("current-cycle") {
            let why = "the cluster's own, it keeps the A/B cycle there";
            return Err(format!("the key {key} is {why}"));
        }
    }
    Ok(())
}

fn check_value(key: &str, value: &str) -> std::result::Result<(), String> {
    if value.is_empty() {
        return Err(format!("the key {key} has no value, 'key value' expected"));
    }
    if value.chars().any(is_unrecorded) {
        let what = "a character above U+FFFF, which coreos-deploy cannot record";
        return Err(format!("the value of {key} has {what}"));
    }
    Ok(())
}

/// In etcd a key holds a value or other keys, not both: setting both fails half way through.
fn check_parents(file: &File, keys: &BTreeMap<&str, (usize, &str)>) -> Result<()> {
    for (key, (line, _)) in keys {
        let mut parent = *key;
        while let Some((above, _)) = parent.rsplit_once('/') {
            if let Some((first, _)) = keys.get(above) {
                let what =
                    format!("the key {key} is below {above}, which line {first} gives a value");
                return Err(at_line(file, *line, what));
            }
            parent = above;
        }
    }
    Ok(())
}

/// The bytes of the keys as Go's `encoding/json` writes them, which coreos-deploy does: it escapes
/// more than others (`<`, `>`, `&`, U+2028, U+2029).
pub(super) fn go_json_length(keys: &BTreeMap<String, String>) -> usize {
    let length = |c| match c {
        '"' | '\\' | '\n' | '\r' | '\t' => 2,
        '\0'..='\u{1f}' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => 6,
        c => c.len_utf8(),
    };
    let string = |text: &str| 2 + text.chars().map(length).sum::<usize>();
    let pair = |(key, value): (&String, &String)| string(key) + 1 + string(value);
    let pairs: usize = keys.iter().map(pair).sum();
    2 + pairs + keys.len().saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(text: &str) -> Result<BTreeMap<String, String>> {
        parse(&File {
            name: "k.etcd2".into(),
            text: text.into(),
        })
    }

    #[test]
    fn the_value_is_the_rest_of_the_line() {
        let keys = parsed("/a some  thing 33\r\n\r\n \t/b\t x=<&>\u{a0}\n/c/d é").unwrap();
        let expected = [("/a", "some  thing 33"), ("/b", "x=<&>"), ("/c/d", "é")];
        assert_eq!(
            keys,
            expected.map(|(k, v)| (k.to_owned(), v.to_owned())).into()
        );
        assert!(parsed("").unwrap().is_empty());
    }

    #[test]
    fn refusals_name_the_line_and_never_a_value() {
        for (text, words) in [
            ("/a 1\n# comment", "line 2: '/' expected"),
            ("a hunter2", "line 1: '/' expected"),
            ("\u{feff}/a hunter2", "line 1: '/' expected"),
            ("/a", "line 1: the key /a has no value"),
            ("/a   \n", "line 1: the key /a has no value"),
            (
                "/a hunter2\n\n/a hunter2",
                "line 3: the key /a again, it is on line 1",
            ),
            ("/ hunter2", "empty, '.' or '..'"),
            ("/a/ hunter2", "empty, '.' or '..'"),
            ("/a//b hunter2", "empty, '.' or '..'"),
            ("/a/../b hunter2", "empty, '.' or '..'"),
            ("/./b hunter2", "empty, '.' or '..'"),
            (
                "/example.com/apps/services/x/current-cycle hunter2",
                "the cluster's own",
            ),
            (
                "/example.com/apps/services/x/current-cycle-version hunter2",
                "the cluster's own",
            ),
            ("/a hunter2\u{1f600}", "above U+FFFF"),
            ("/a\u{1f600} hunter2", "4-byte"),
            ("/a\u{202e} hunter2", "invisible"),
            ("/a\0 hunter2", "control"),
            (
                "/a/b hunter2\n/a hunter2",
                "line 1: the key /a/b is below /a, which line 2",
            ),
        ] {
            let error = parsed(text).unwrap_err();
            assert!(error.message.starts_with("k.etcd2: line "), "{error}");
            assert!(error.message.contains(words), "{text:?}: {error}");
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        }
        let long = format!("/{} hunter2", "k".repeat(KEY_LIMIT));
        assert!(
            parsed(&long)
                .unwrap_err()
                .message
                .contains("a key of 257 bytes")
        );
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            keys in proptest::collection::btree_map("/k[a-z0-9-]{1,9}", "[!-~]([ -~]{0,20}[!-~])?", 0..20),
            crlf: bool,
        ) {
            let end = if crlf { "\r\n" } else { "\n" };
            let lines: Vec<String> = keys.iter().map(|(k, v)| format!("{k}  {v}{end}")).collect();
            let text = lines.concat();
            prop_assert_eq!(parsed(&text).unwrap(), keys);
        }

        #[test]
        fn any_text_is_an_answer(text in "(/|[ a-z./\n\r\t]|\\PC){0,60}") {
            if let Ok(keys) = parsed(&text) {
                prop_assert!(keys.iter().all(|(k, v)| k.starts_with('/') && !v.is_empty()));
            }
        }
    }
}
