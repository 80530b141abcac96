//! Secrets, taken out of what peers say.
//!
//! A server, a proxy or a database may send back what it was sent, in whatever form it likes. All
//! that an adapter shows of a peer goes through [`Masker::text`], which alone turns a peer's bytes
//! into text: masked first, then made printable, then cut, so that no cut leaves half a secret.

mod forms;
mod said;

use std::sync::Arc;

use base64::Engine as _;

use self::forms::{Layer, layers};
pub use self::said::{is_gzip, is_page, said, unpacked};
use crate::secret::Secret;
use crate::text::printable;

/// What stands where a secret stood.
const MASK: &[u8] = b"***";
/// A secret of at least so many bytes is masked wherever it stands; a shorter one may be a usual
/// word, and is masked only where a password stands.
const LONG: usize = 8;
/// The beginning of a secret that is masked at the end of a text, where a peer broke off.
const HEAD: usize = 6;
/// The most bytes that are looked at: far more than are ever shown of one text.
const WINDOW: usize = 8 << 10;
/// What stands before a password, in lower case.
const SCHEMES: [&[u8]; 2] = [b"bearer", b"basic"];
/// What stands before a password and a `=` or `:`, in lower case.
const KEYS: [&[u8]; 10] = [
    b"password",
    b"passwd",
    b"passphrase",
    b"pwd",
    b"pass",
    b"token",
    b"secret",
    b"key",
    b"authorization",
    b"x-jfrog-art-api",
];

/// Knows the secrets of the program. Cloning it is cheap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Masker(Arc<Vec<Needle>>);

/// One form of one secret.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Needle {
    text: Secret,
    search: Search,
}

/// Where a form is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Search {
    /// Everywhere, and its beginning at the end of the text.
    Anywhere,
    /// As [`Search::Anywhere`], with all base64 around it: a secret in the middle of what was encoded.
    Base64,
    /// Only as a whole word where a password stands.
    BehindKey,
}

impl Masker {
    /// Knows these secrets, each with the user that it belongs to, if any.
    pub fn new<'a>(secrets: impl IntoIterator<Item = (Option<&'a str>, &'a Secret)>) -> Self {
        Self::default().and(secrets)
    }

    /// Knows these secrets too. Whoever sends a secret sees to it that it is known.
    #[must_use]
    pub fn and<'a>(
        &self,
        secrets: impl IntoIterator<Item = (Option<&'a str>, &'a Secret)>,
    ) -> Self {
        let mut needles = self.0.to_vec();
        for (user, secret) in secrets {
            let secret = secret.expose();
            add(&mut needles, secret);
            // The base64 of a long secret is found whatever stands before it.
            if let Some(user) = user
                && secret.len() < LONG
            {
                add(&mut needles, &format!("{user}:{secret}"));
            }
        }
        Self(Arc::new(needles))
    }

    /// What a peer says, as text that is fit to be shown, stored and logged: without secrets,
    /// printable, on one line and bounded.
    pub fn text(&self, raw: impl AsRef<[u8]>) -> String {
        let raw = raw.as_ref().trim_ascii();
        // What we cut off ourselves may have been cut within a secret: then any beginning counts.
        let (seen, head) = match raw.get(..WINDOW) {
            Some(start) if raw.len() > WINDOW => (start, 1),
            _ => (raw, HEAD),
        };
        printable(String::from_utf8_lossy(&self.masked(seen, head)).trim())
    }

    fn masked(&self, raw: &[u8], head: usize) -> Vec<u8> {
        let mut covered = vec![false; raw.len()];
        if !self.0.is_empty() {
            for layer in layers(raw) {
                for needle in self.0.iter() {
                    needle.cover(&layer, head, &mut covered);
                }
            }
        }
        let mut out = Vec::with_capacity(raw.len());
        for (at, byte) in raw.iter().enumerate() {
            match covered[at] {
                false => out.push(*byte),
                true if at == 0 || !covered[at - 1] => out.extend(MASK),
                true => {}
            }
        }
        out
    }
}

/// Adds a secret in its forms. Percent-encoding, the escapes of JSON and the entities of HTML are no
/// forms of their own: they are undone in the text.
fn add(needles: &mut Vec<Needle>, secret: &str) {
    let mut add = |text: String, search| {
        if !text.is_empty() && !needles.iter().any(|n| n.text.expose() == text) {
            let text = Secret::new(text);
            needles.push(Needle { text, search });
        }
    };
    let is_long = secret.len() >= LONG;
    let plain = if is_long {
        Search::Anywhere
    } else {
        Search::BehindKey
    };
    add(secret.to_owned(), plain);
    add(forms::hex(secret), plain);
    for alphabet in &forms::BASE64 {
        if is_long {
            for shift in 0..3 {
                add(
                    forms::inside_base64(secret, shift, alphabet),
                    Search::Base64,
                );
            }
        } else {
            add(alphabet.encode(secret), plain);
        }
    }
}

impl Needle {
    /// Marks the bytes of the text that this secret stands in; `head` is the shortest beginning of
    /// it that counts at the end.
    fn cover(&self, layer: &Layer, head: usize, covered: &mut [bool]) {
        let needle = self.text.expose().as_bytes();
        let bytes = &layer.bytes;
        // Names of hosts are printed in lower case, and some print hexadecimal in upper case.
        let is_same = |(a, b): &(&u8, &u8)| a.eq_ignore_ascii_case(b);
        for start in 0..bytes.len() {
            let common = bytes[start..]
                .iter()
                .zip(needle)
                .take_while(is_same)
                .count();
            if common == 0 {
                continue;
            }
            let end = start + common;
            let is_whole = common == needle.len();
            let is_found = match self.search {
                Search::BehindKey => is_whole && is_behind_key(&bytes[..start], &bytes[end..]),
                Search::Anywhere | Search::Base64 => {
                    is_whole || (common >= head && is_end(&bytes[end..]))
                }
            };
            if !is_found {
                continue;
            }
            let end = if is_whole { end } else { bytes.len() };
            let (start, end) = match self.search {
                Search::Base64 if !layer.is_joined => forms::widened(bytes, start, end),
                _ => (start, end),
            };
            let (from, to) = (layer.spans[start].0, layer.spans[end - 1].1);
            covered[from..to].fill(true);
        }
    }
}

/// Whether a text breaks off here, be it in the middle of an escape.
fn is_end(rest: &[u8]) -> bool {
    match rest {
        [] => true,
        [b'%', ..] => rest.len() < 3,
        [b'\\', ..] => rest.len() < 6,
        [b'&', ..] => rest.len() < 8 && !rest.contains(&b';'),
        _ => false,
    }
}

/// Whether what stands between `before` and `after` is a word where a password stands.
fn is_behind_key(before: &[u8], after: &[u8]) -> bool {
    if after.first().is_some_and(u8::is_ascii_alphanumeric) {
        return false;
    }
    if after.starts_with(b"@") && (before.ends_with(b":") || before.ends_with(b"//")) {
        return true;
    }
    // Brackets, and the quotes of print, which are not ASCII.
    let is_gap = |byte: &u8| b" \t\"'\\=:+<([{".contains(byte) || !byte.is_ascii();
    let end = before.iter().rposition(|byte| !is_gap(byte)).unwrap_or(0);
    let Some((word, gap)) = before.split_at_checked(end + 1) else {
        return false;
    };
    let word = word[word.len().saturating_sub(24)..].to_ascii_lowercase();
    let is_assigned = gap.iter().any(|byte| b"=:".contains(byte));
    !gap.is_empty()
        && (SCHEMES.iter().any(|scheme| word.ends_with(scheme))
            || is_assigned && KEYS.iter().any(|key| word.ends_with(key)))
}

#[cfg(test)]
mod tests;
