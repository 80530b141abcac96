//! The forms that a secret may come back in.

use base64::Engine as _;
use base64::engine::general_purpose::{GeneralPurpose, STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// Both alphabets of base64.
pub(super) const BASE64: [GeneralPurpose; 2] = [STANDARD_NO_PAD, URL_SAFE_NO_PAD];

/// Hexadecimal.
pub(super) fn hex(text: &str) -> String {
    let digits = text.bytes().flat_map(|byte| [byte >> 4, byte & 15]);
    digits
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}

/// What is the same in the base64 of all that holds `text` at a place that is `shift` modulo 3.
pub(super) fn inside_base64(text: &str, shift: usize, alphabet: &GeneralPurpose) -> String {
    let bytes = [&[0; 3][..shift], text.as_bytes()].concat();
    // 6 bits a digit: the first and the last may hold bits of what stands around.
    let (first, end) = ((shift * 8).div_ceil(6), bytes.len() * 8 / 6);
    alphabet.encode(bytes)[first..end].to_owned()
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
    const KINDS: [Unescape; 5] = [percent, form, json, html, filler];
    let mut layers = vec![Layer {
        bytes: raw.to_vec(),
        spans: (0..raw.len()).map(|at| (at, at + 1)).collect(),
        is_joined: false,
    }];
    for _ in 0..2 {
        for at in 0..layers.len() {
            for kind in KINDS {
                let undone = undo(&layers[at], kind);
                if !layers.contains(&undone) {
                    layers.push(undone);
                }
            }
        }
    }
    layers
}

fn undo(layer: &Layer, kind: Unescape) -> Layer {
    let mut undone = Layer {
        bytes: Vec::new(),
        spans: Vec::new(),
        is_joined: layer.is_joined,
    };
    let mut at = 0;
    while let Some(byte) = layer.bytes.get(at) {
        let (text, length) = kind(&layer.bytes[at..]).unwrap_or((vec![*byte], 1));
        let span = (layer.spans[at].0, layer.spans[at + length - 1].1);
        undone.spans.extend(text.iter().map(|_| span));
        undone.is_joined |= text.is_empty();
        undone.bytes.extend(text);
        at += length;
    }
    undone
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
            let unit = |digits: &[u8]| u16::try_from(number(digits.get(..4)?, 16)?).ok();
            // Beyond U+FFFF a character has two halves.
            let second = digits.get(4..).and_then(|rest| rest.strip_prefix(b"\\u"));
            let units = [Some(unit(digits)?), second.and_then(unit)];
            let character = char::decode_utf16(units.into_iter().flatten()).next()?;
            let character = character.ok()?;
            Some((utf8(character.into())?, 6 * character.len_utf16()))
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
    digits.iter().try_fold(0_u32, |number, digit| {
        let digit = char::from(*digit).to_digit(radix)?;
        number.checked_mul(radix)?.checked_add(digit)
    })
}

fn utf8(character: u32) -> Option<Vec<u8>> {
    Some(char::from_u32(character)?.to_string().into_bytes())
}
