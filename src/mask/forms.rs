//! The forms that a secret may come back in.

/// The digits of base64.
pub(super) const STANDARD: &[u8; 64] =
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/// The digits of base64 that an address can hold.
pub(super) const URL_SAFE: &[u8; 64] =
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Lower-case hexadecimal.
pub(super) fn hex(text: &str) -> String {
    let digit = |value: u8| char::from(b"0123456789abcdef"[usize::from(value)]);
    text.bytes()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

/// Base64 without padding.
pub(super) fn base64(text: &str, digits: &[u8; 64]) -> String {
    encoded(text.as_bytes(), 0, (text.len() * 8).div_ceil(6), digits)
}

/// What is the same in the base64 of all that holds `text` at a place that is `shift` modulo 3.
pub(super) fn inside_base64(text: &str, shift: usize, digits: &[u8; 64]) -> String {
    let bytes = [&[0; 3][..shift], text.as_bytes()].concat();
    encoded(&bytes, (shift * 8).div_ceil(6), bytes.len() * 8 / 6, digits)
}

/// The digits from `first` up to `end` of the base64 of `bytes`.
fn encoded(bytes: &[u8], first: usize, end: usize, digits: &[u8; 64]) -> String {
    let bit = |n: usize| bytes.get(n / 8).map_or(0, |byte| byte >> (7 - n % 8) & 1);
    let value = |digit: usize| (0..6).fold(0, |value, n| value << 1 | bit(digit * 6 + n));
    (first..end)
        .map(|digit| char::from(digits[usize::from(value(digit))]))
        .collect()
}

/// The range, with all base64 to its left and right.
pub(super) fn widened(bytes: &[u8], start: usize, end: usize) -> (usize, usize) {
    let is_digit = |byte: &&u8| byte.is_ascii_alphanumeric() || b"+/-_".contains(byte);
    let left = bytes[..start].iter().rev().take_while(is_digit).count();
    let right = bytes[end..]
        .iter()
        .take_while(|byte| is_digit(byte) || **byte == b'=');
    let right = right.count();
    (start - left, end + right)
}

/// A text with some of its escapes undone.
#[derive(PartialEq, Eq)]
pub(super) struct Layer {
    /// What it reads as.
    pub(super) bytes: Vec<u8>,
    /// Where in the text each byte comes from: first byte, and the one behind the last.
    pub(super) spans: Vec<(usize, usize)>,
    /// Whether words run into each other, since what stood between them was left out.
    pub(super) is_joined: bool,
}

/// What the bytes begin with if that is an escape: what it stands for, and its length.
type Unescape = fn(&[u8]) -> Option<(Vec<u8>, usize)>;

/// The text as it is, and with up to two kinds of escapes undone, each on its own: a secret may hold
/// what looks like an escape of another kind.
pub(super) fn layers(raw: &[u8]) -> Vec<Layer> {
    const KINDS: [(Unescape, bool); 5] = [
        (percent, false),
        (form, false),
        (json, false),
        (html, false),
        (filler, true),
    ];
    let mut layers = vec![Layer {
        bytes: raw.to_vec(),
        spans: (0..raw.len()).map(|at| (at, at + 1)).collect(),
        is_joined: false,
    }];
    let mut done = 0;
    for _ in 0..2 {
        for at in std::mem::replace(&mut done, layers.len())..layers.len() {
            for (kind, joins) in KINDS {
                let mut undone = undo(&layers[at], kind);
                undone.is_joined |= joins;
                if !layers.contains(&undone) {
                    layers.push(undone);
                }
            }
        }
    }
    layers
}

fn undo(layer: &Layer, kind: Unescape) -> Layer {
    let (mut bytes, mut spans) = (Vec::new(), Vec::new());
    let mut at = 0;
    while let Some(byte) = layer.bytes.get(at) {
        let Some((text, length)) = kind(&layer.bytes[at..]) else {
            spans.push(layer.spans[at]);
            bytes.push(*byte);
            at += 1;
            continue;
        };
        let span = (layer.spans[at].0, layer.spans[at + length - 1].1);
        spans.extend(text.iter().map(|_| span));
        bytes.extend(text);
        at += length;
    }
    Layer {
        bytes,
        spans,
        is_joined: layer.is_joined,
    }
}

/// What is put between the characters of a word: blanks and line ends (base64 in lines), colons (the
/// hexadecimal of certificates), control characters, and characters without width.
fn filler(text: &[u8]) -> Option<(Vec<u8>, usize)> {
    let length = match text {
        [0..=b' ' | b':' | 0x7f, ..] => 1,
        [0xe2, 0x80, 0x8b..=0x8d, ..] | [0xef, 0xbb, 0xbf, ..] => 3,
        _ => return None,
    };
    Some((Vec::new(), length))
}

/// `%2B`.
fn percent(text: &[u8]) -> Option<(Vec<u8>, usize)> {
    let digits = text.strip_prefix(b"%")?.get(..2)?;
    Some((vec![u8::try_from(number(digits, 16)?).ok()?], 3))
}

/// `%2B`, and `+` for a blank: what browsers make of a form.
fn form(text: &[u8]) -> Option<(Vec<u8>, usize)> {
    if text.starts_with(b"+") {
        return Some((b" ".to_vec(), 1));
    }
    percent(text)
}

/// `\u002b`, `\/`, and what Rust, JavaScript and C print beside them: `\u{2b}`, `\x2b`, `\053`, `\'`.
fn json(text: &[u8]) -> Option<(Vec<u8>, usize)> {
    let rest = text.strip_prefix(b"\\")?;
    match rest {
        [b'u', b'{', digits @ ..] => {
            let end = digits.iter().take(7).position(|byte| *byte == b'}')?;
            Some((utf8(number(&digits[..end], 16)?)?, end + 4))
        }
        [b'u', digits @ ..] => {
            let first = number(digits.get(..4)?, 16)?;
            let Some(second) = digits[4..].strip_prefix(b"\\u") else {
                return Some((utf8(first)?, 6));
            };
            // Two halves of a character beyond U+FFFF.
            match (first, second.get(..4).and_then(|d| number(d, 16))) {
                (0xd800..0xdc00, Some(low @ 0xdc00..0xe000)) => Some((
                    utf8(0x10000 + ((first - 0xd800) << 10) + (low - 0xdc00))?,
                    12,
                )),
                _ => Some((utf8(first)?, 6)),
            }
        }
        [b'x', digits @ ..] => Some((utf8(number(digits.get(..2)?, 16)?)?, 4)),
        [b'0'..=b'3', b'0'..=b'7', b'0'..=b'7', ..] => {
            Some((vec![u8::try_from(number(rest.get(..3)?, 8)?).ok()?], 4))
        }
        [b'n', ..] => Some((b"\n".to_vec(), 2)),
        [b't', ..] => Some((b"\t".to_vec(), 2)),
        [byte @ (b'"' | b'\'' | b'\\' | b'/'), ..] => Some((vec![*byte], 2)),
        _ => None,
    }
}

/// `&amp;`, `&#43;`, `&#x2b;`.
fn html(text: &[u8]) -> Option<(Vec<u8>, usize)> {
    let rest = text.strip_prefix(b"&")?;
    let end = rest.iter().take(10).position(|byte| *byte == b';')?;
    let character = match &rest[..end] {
        b"amp" => b"&".to_vec(),
        b"lt" => b"<".to_vec(),
        b"gt" => b">".to_vec(),
        b"quot" => b"\"".to_vec(),
        b"apos" => b"'".to_vec(),
        b"plus" => b"+".to_vec(),
        b"sol" => b"/".to_vec(),
        b"equals" => b"=".to_vec(),
        b"colon" => b":".to_vec(),
        b"commat" => b"@".to_vec(),
        b"nbsp" => b" ".to_vec(),
        [b'#', b'x' | b'X', digits @ ..] => utf8(number(digits, 16)?)?,
        [b'#', digits @ ..] => utf8(number(digits, 10)?)?,
        _ => return None,
    };
    Some((character, end + 2))
}

fn number(digits: &[u8], radix: u32) -> Option<u32> {
    // `from_str_radix` takes a sign.
    let is_digit = |byte: &u8| char::from(*byte).is_digit(radix);
    let text = std::str::from_utf8(digits).ok()?;
    u32::from_str_radix(text, radix)
        .ok()
        .filter(|_| digits.iter().all(is_digit))
}

fn utf8(character: u32) -> Option<Vec<u8>> {
    Some(char::from_u32(character)?.to_string().into_bytes())
}
