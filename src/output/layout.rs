//! Putting words into lines of a width, counted in columns of a terminal.

use console::measure_text_width;

/// Lays pieces out, two spaces apart. On a terminal (`width` is given) a piece that does not fit
/// goes onto a line of its own, `indent` deep, and is wrapped at its spaces there.
pub fn flow(pieces: &[String], indent: usize, width: Option<usize>) -> String {
    let mut lines = Lines::default();
    for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
        let columns = measure_text_width(piece);
        let room = width.map(|width| width.saturating_sub(lines.column));
        if lines.column == 0 {
            lines.push(piece, columns);
        } else if room.is_none_or(|room| columns + 2 <= room) {
            lines.push("  ", 2);
            lines.push(piece, columns);
        } else {
            lines.wrap(piece, indent, width);
        }
    }
    lines.end()
}

/// Lays one text out beside a head of `column` columns, which the caller prints; where it is
/// wrapped, the next lines stand under its first word.
pub fn hanging(text: &str, column: usize, width: Option<usize>) -> String {
    let mut lines = Lines {
        column,
        ..Lines::default()
    };
    lines.words(text, column, width);
    lines.end()
}

#[derive(Default)]
struct Lines {
    text: String,
    column: usize,
}

impl Lines {
    fn push(&mut self, text: &str, columns: usize) {
        self.text.push_str(text);
        self.column += columns;
    }

    fn break_to(&mut self, indent: usize) {
        self.text.truncate(self.text.trim_end_matches(' ').len());
        self.text.push('\n');
        self.text.push_str(&" ".repeat(indent));
        self.column = indent;
    }

    fn wrap(&mut self, text: &str, indent: usize, width: Option<usize>) {
        self.break_to(indent);
        self.words(text, indent, width);
    }

    /// A word that is wider than the terminal stands alone, whole, so that it can be copied.
    fn words(&mut self, text: &str, indent: usize, width: Option<usize>) {
        for (i, word) in text.split(' ').enumerate() {
            let columns = measure_text_width(word);
            let gap = usize::from(i > 0);
            let full = width.is_some_and(|width| self.column + gap + columns > width);
            if full && self.column > indent {
                self.break_to(indent);
            } else if gap > 0 {
                self.push(" ", 1);
            }
            self.push(word, columns);
        }
    }

    fn end(mut self) -> String {
        self.text.truncate(self.text.trim_end_matches(' ').len());
        self.text.push('\n');
        self.text
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn pieces_flow_and_wrap() {
        let pieces = ["app", "1 -> 2", "failed: a b c d"].map(str::to_owned);
        assert_eq!(flow(&pieces, 4, None), "app  1 -> 2  failed: a b c d\n");
        assert_eq!(flow(&pieces, 4, Some(28)), "app  1 -> 2  failed: a b c d\n");
        assert_eq!(
            flow(&pieces, 4, Some(20)),
            "app  1 -> 2\n    failed: a b c d\n"
        );
        assert_eq!(
            flow(&pieces, 4, Some(14)),
            "app  1 -> 2\n    failed: a\n    b c d\n"
        );
    }

    #[test]
    fn text_hangs_under_its_first_word() {
        assert_eq!(hanging("a bb ccc", 7, Some(12)), "a bb\n       ccc\n");
        assert_eq!(hanging("a bb ccc", 7, None), "a bb ccc\n");
        assert_eq!(hanging("abcdefgh ij", 2, Some(6)), "abcdefgh\n  ij\n");
    }

    proptest! {
        #[test]
        fn no_line_is_wider_and_no_word_is_lost(
            words in prop::collection::vec("[a-z日]{1,8}", 1..30), width in 24_usize..100,
        ) {
            let text = words.join(" ");
            let out = flow(&["head".into(), text.clone()], 4, Some(width));
            for line in out.lines() {
                prop_assert!(measure_text_width(line) <= width, "{line:?}");
                prop_assert_eq!(line.trim_end(), line);
            }
            let back: Vec<&str> = out.split_whitespace().skip(1).collect();
            prop_assert_eq!(back, words);
        }
    }
}
