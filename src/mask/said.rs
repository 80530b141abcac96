//! The one useful line of what came in place of the answer that was hoped for.

use std::borrow::Cow;
use std::io::Read;

use flate2::read::MultiGzDecoder;
use serde_json::Value;

use crate::mask::Masker;

/// The most bytes that are unpacked.
const UNPACKED: u64 = 64 << 10;
/// The most characters of a page that has no title.
const LINE: usize = 200;
/// Where JSON of the usual gateways says what is wrong, most telling first.
const MESSAGES: [&str; 9] = [
    "/errors/0/message",
    "/errors/0/detail",
    "/errors/0/title",
    "/error/message",
    "/error_description",
    "/message",
    "/detail",
    "/error",
    "/title",
];

/// The bytes as they were before somebody compressed them, whatever the headers say.
pub fn unpacked(body: &[u8]) -> Cow<'_, [u8]> {
    if !is_gzip(body) {
        return body.into();
    }
    let mut plain = Vec::new();
    // One that breaks off still says something.
    let _ = MultiGzDecoder::new(body)
        .take(UNPACKED)
        .read_to_end(&mut plain);
    plain.into()
}

/// Whether bytes begin as gzip does.
pub fn is_gzip(body: &[u8]) -> bool {
    body.starts_with(&[0x1f, 0x8b])
}

/// Whether bytes are a page for people.
pub fn is_page(body: &[u8]) -> bool {
    let start = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let start = start.trim_ascii_start();
    let start = start[..start.len().min(64)].to_ascii_lowercase();
    ["<!doctype html", "<html", "<head", "<title", "<body"]
        .iter()
        .any(|tag| start.starts_with(tag.as_bytes()))
}

/// What a body says, without secrets and fit to print: the message of JSON and of a store's XML, the
/// title of a page, else the text. `None` for nothing, and for what is no text.
pub fn said(body: &[u8], masker: &Masker) -> Option<String> {
    let body = unpacked(body);
    if let Ok(json) = serde_json::from_slice::<Value>(&body) {
        let message = MESSAGES
            .iter()
            .find_map(|path| json.pointer(path)?.as_str());
        let line = message.map_or_else(|| masker.text(&*body), |message| masker.text(message));
        return (!line.is_empty()).then_some(line);
    }
    if !is_text(&body) {
        return None;
    }
    let text = String::from_utf8_lossy(&body);
    let line = if is_page(&body) {
        of_page(&text)
    } else if let Some(code) = element(&text, "code").filter(|_| text.contains("<Error")) {
        let message = element(&text, "message").unwrap_or_default();
        format!("{}: {}", plain(code), plain(message))
    } else {
        text.into_owned()
    };
    // Masked before blanks are joined: a secret may hold some.
    let line = masker.text(line.replace(['\r', '\n', '\t'], " "));
    let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
    (!line.is_empty()).then_some(line)
}

/// Whether bytes are meant to be read: compressed ones are not.
fn is_text(body: &[u8]) -> bool {
    let text = String::from_utf8_lossy(body);
    let is_odd =
        |c: &char| *c == char::REPLACEMENT_CHARACTER || c.is_control() && !c.is_whitespace();
    text.chars().filter(is_odd).count() * 10 <= text.chars().count()
}

/// The title of a page, else its heading and what follows.
fn of_page(page: &str) -> String {
    let title = element(page, "title").map(plain);
    if let Some(title) = title.filter(|title| !title.trim().is_empty()) {
        return title;
    }
    let body = element(page, "body").unwrap_or(page);
    plain(body).chars().take(LINE).collect()
}

/// What stands in the first element of a name, up to the end where that is not closed.
fn element<'a>(page: &'a str, name: &str) -> Option<&'a str> {
    // Of ASCII alone, so that places are the same in both.
    let lower = page.to_ascii_lowercase();
    let open = lower.match_indices(&format!("<{name}")).find(|(at, tag)| {
        lower[at + tag.len()..].starts_with(|c: char| c == '>' || c.is_ascii_whitespace())
    })?;
    let start = open.0 + lower[open.0..].find('>')? + 1;
    let end = lower[start..].find(&format!("</{name}"));
    page.get(start..end.map_or(page.len(), |end| start + end))
}

/// Text without tags, scripts and styles, the usual entities undone.
fn plain(html: &str) -> String {
    let mut text = String::new();
    let mut rest = html;
    while let Some((before, tag)) = rest.split_once('<') {
        text.push_str(before);
        let lower = tag.to_ascii_lowercase();
        let hidden = ["script", "style"]
            .iter()
            .find(|name| lower.starts_with(**name));
        let skipped = match hidden {
            Some(name) => lower.find(&format!("</{name}")),
            None => Some(0),
        };
        let Some(end) = skipped.and_then(|from| Some(from + tag[from..].find('>')?)) else {
            return text;
        };
        rest = &tag[end + 1..];
    }
    text.push_str(rest);
    for (entity, character) in [
        ("&nbsp;", " "),
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#39;", "'"),
        ("&#039;", "'"),
        ("&amp;", "&"),
    ] {
        text = text.replace(entity, character);
    }
    text
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;
    use crate::secret::Secret;

    fn line(body: impl AsRef<[u8]>) -> Option<String> {
        said(body.as_ref(), &Masker::default())
    }

    fn gzip(text: &str) -> Vec<u8> {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(text.as_bytes()).unwrap();
        packed.finish().unwrap()
    }

    #[test]
    fn the_useful_line_of_every_kind_of_body() {
        for (body, expected) in [
            (
                "<html>\r\n<head><title>400 No required SSL certificate was sent</title></head>\r\n<body>\r\n<center><h1>400 Bad Request</h1></center>",
                "400 No required SSL certificate was sent",
            ),
            (
                "<html><body><h1>503 Service Unavailable</h1>\nNo server is available to handle this request.\n</body></html>\n",
                "503 Service Unavailable No server is available to handle this request.",
            ),
            (
                "<!DOCTYPE html><html><head><style>h1 {a}</style><TITLE lang=\"en\">\n Artifactory\n  is starting &amp; up\n</TITLE>",
                "Artifactory is starting & up",
            ),
            (
                "<html><head><title></title></head><body><script>var a = '<b>';</script><p>Sign <b>in</b></p>",
                "Sign in",
            ),
            (
                "<?xml version=\"1.0\"?>\n<Error><Code>AccessDenied</Code><Message>Request has expired</Message><Expires>x</Expires></Error>",
                "AccessDenied: Request has expired",
            ),
            (
                r#"{"errors":[{"status":404,"message":"Unable to find item"}]}"#,
                "Unable to find item",
            ),
            (r#"{"errors":[{"code":"DENIED","detail":"no"}]}"#, "no"),
            (
                r#"{"message":"no Route matched with those values"}"#,
                "no Route matched with those values",
            ),
            (r#"{"error":{"code":7,"message":"quota"}}"#, "quota"),
            (r#"{"fault":1}"#, r#"{"fault":1}"#),
            ("error code: 1010", "error code: 1010"),
            (
                "upstream connect error\nor disconnect",
                "upstream connect error or disconnect",
            ),
            ("<title>never closed", "never closed"),
        ] {
            assert_eq!(line(body).as_deref(), Some(expected), "{body}");
            assert_eq!(
                line(gzip(body)).as_deref(),
                Some(expected),
                "{body}, packed"
            );
        }
        for nothing in ["", " \n", "<html></html>", "<html><script>x"] {
            assert_eq!(line(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn what_is_no_text_is_not_shown() {
        let soup: Vec<u8> = (0..=255).cycle().take(900).collect();
        assert_eq!(line(&soup), None);
        let mut broken = gzip(&"Bad Gateway ".repeat(9));
        broken.truncate(6);
        assert_eq!(line(&broken), None);
        assert!(
            line("\u{1b}[31mBad Gateway of Ü")
                .unwrap()
                .starts_with("\\u{1b}")
        );
    }

    #[test]
    fn a_secret_is_masked_in_every_kind_of_body() {
        let secret = Secret::new("hunter2 & hunter3".into());
        let masker = Masker::new([(None, &secret)]);
        for body in [
            "<title>for hunter2 &amp; hunter3</title>",
            "<title>for <b>hunter2</b> &#38; hunter3</title>",
            r#"{"message":"for hunter2 \u0026 hunter3"}"#,
            "<Error><Code>X</Code><Message>for hunter2 & hunter3</Message></Error>",
            "for hunter2 & hunter3",
        ] {
            for body in [body.as_bytes().to_vec(), gzip(body)] {
                let line = said(&body, &masker).unwrap();
                assert!(
                    line.ends_with("for ***") || line.ends_with(": for ***"),
                    "{line}"
                );
            }
        }
    }

    proptest! {
        #[test]
        fn no_body_panics(body in prop::collection::vec(any::<u8>(), 0..200), page in "(<[a-zé/]{0,6}|[>&;İ]|title|</title|[a-z ]){0,20}") {
            let _ = line(body);
            let _ = line(format!("<html>{page}"));
        }
    }
}
