//! Text of peers, made fit to print.

/// The most characters that are shown of one piece of foreign text.
pub const LIMIT: usize = 512;

/// Returns `text` with control, bidirectional and invisible characters escaped, cut after
/// [`LIMIT`] characters.
///
/// What comes back is one line that cannot move a cursor, colour a terminal, forge a log line or
/// reorder what stands beside it.
pub fn printable(text: &str) -> String {
    match text.char_indices().nth(LIMIT) {
        Some((end, _)) => escaped(&text[..end]) + "…",
        None => escaped(text),
    }
}

/// Returns `text` as [`printable`] does, but whole.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.trim_end_matches(['\r', '\n']).chars() {
        if is_unsafe(c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

/// Whether a character is a control, bidirectional or invisible one.
pub fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_moves_a_terminal_survives() {
        let hostile = "a\u{1b}[31mb\rc\nd\u{202e}e\u{9b}f\u{7f}";
        let shown = printable(hostile);
        assert!(shown.chars().all(|c| !is_unsafe(c)), "{shown}");
        assert!(shown.starts_with("a\\u{1b}[31mb"));
    }

    #[test]
    fn long_text_is_cut() {
        assert_eq!(printable(&"x".repeat(9000)).chars().count(), LIMIT + 1);
    }
}
