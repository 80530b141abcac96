//! Bearer tokens: how one is presented, and how it is compared.

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use crate::ledger::{HASHED_TOKEN, TokenRow};

/// The SHA-256 of a token; the only form in which tokens are kept in memory.
#[derive(Clone, Copy)]
pub(super) struct TokenDigest([u8; 32]);

impl TokenDigest {
    /// Of the token itself.
    pub(super) fn of(token: &[u8]) -> Self {
        Self(Sha256::digest(token).into())
    }

    /// Of a row of the ledger. `None`: a damaged row, which is nobody's token.
    fn of_row(row: &TokenRow) -> Option<Self> {
        let stored = row.stored.expose();
        match stored.strip_prefix(HASHED_TOKEN) {
            Some(hex) => unhex(hex).map(Self),
            None if stored.is_empty() => None,
            None => Some(Self::of(stored.as_bytes())),
        }
    }
}

/// The tokens that are let in.
#[derive(Default)]
pub(super) struct Tokens(Vec<TokenDigest>);

impl Tokens {
    /// Those of the ledger: `sha256:` and 64 hex digits, or (rows of the original) the token
    /// itself.
    pub(super) fn of_rows(rows: &[TokenRow]) -> Self {
        Self(rows.iter().filter_map(TokenDigest::of_row).collect())
    }

    /// Whether the token is one of them. Takes the same time whichever it is, and whether it is.
    pub(super) fn has(&self, presented: TokenDigest) -> bool {
        let none = Choice::from(0);
        let found = self.0.iter().fold(none, |found, known| {
            found | known.0.as_slice().ct_eq(presented.0.as_slice())
        });
        found.into()
    }
}

/// The token of a request: one `Authorization` header, the scheme `Bearer` in any case, one
/// space, and the rest as it is.
pub(super) fn presented(headers: &HeaderMap) -> Option<&[u8]> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next()?.as_bytes();
    if values.next().is_some() {
        return None;
    }
    let (scheme, rest) = value.split_at_checked("Bearer".len())?;
    let token = rest.strip_prefix(b" ")?;
    (scheme.eq_ignore_ascii_case(b"Bearer") && !token.is_empty()).then_some(token)
}

fn unhex(hex: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if hex.len() != 64 || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    for (i, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(hex.get(2 * i..2 * i + 2)?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use proptest::prelude::*;

    use super::*;
    use crate::secret::Secret;

    fn tokens(stored: &[&str]) -> Tokens {
        let rows: Vec<TokenRow> = stored
            .iter()
            .zip(1..)
            .map(|(stored, id)| TokenRow {
                id,
                stored: Secret::new((*stored).to_string()),
                name: None,
                created_at: String::new(),
            })
            .collect();
        Tokens::of_rows(&rows)
    }

    fn token_of(values: &[&str]) -> Option<Vec<u8>> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        }
        presented(&headers).map(<[u8]>::to_vec)
    }

    /// SHA-256 of "S0M3B3EARERTOK3N", by sha256sum(1).
    const HASH: &str = "sha256:e0473c5ed50f979e8d36234d2108180ccbc3becda9b7d390138691e7430573ca";

    #[test]
    fn plain_and_hashed_rows_let_their_token_in_and_no_other() {
        for stored in [HASH, &HASH.replace("sha256:", "").to_uppercase()] {
            let row = format!("sha256:{}", stored.trim_start_matches("sha256:"));
            for known in [
                tokens(&["other", &row]),
                tokens(&["S0M3B3EARERTOK3N", "other"]),
            ] {
                assert!(known.has(TokenDigest::of(b"S0M3B3EARERTOK3N")));
                for wrong in [
                    "s0m3b3earertok3n",
                    "S0M3B3EARERTOK3N ",
                    "S0M3B3EARERTOK3",
                    "",
                    HASH,
                ] {
                    assert!(!known.has(TokenDigest::of(wrong.as_bytes())), "{wrong}");
                }
            }
        }
    }

    #[test]
    fn damaged_rows_let_nobody_in() {
        let known = tokens(&["", "sha256:", "sha256:abc", "sha256:zz"]);
        for wrong in ["", "sha256:", "sha256:abc", "abc", "zz"] {
            assert!(!known.has(TokenDigest::of(wrong.as_bytes())), "{wrong}");
        }
    }

    #[test]
    fn there_is_one_way_to_present_a_token() {
        for good in ["Bearer x", "bearer x", "BEARER x"] {
            assert_eq!(token_of(&[good]).unwrap(), b"x", "{good}");
        }
        assert_eq!(token_of(&["Bearer Bearer x"]).unwrap(), b"Bearer x");
        assert_eq!(token_of(&["Bearer  x"]).unwrap(), b" x");
        for bad in [
            "x",
            "Bearer",
            "Bearer ",
            "Bearerx",
            "Basic x",
            "Bearer\tx",
            " Bearer x",
            "",
        ] {
            assert_eq!(token_of(&[bad]), None, "{bad}");
        }
        assert_eq!(token_of(&["Bearer x", "Bearer x"]), None);
        assert_eq!(token_of(&[]), None);
    }

    proptest! {
        #[test]
        fn only_the_same_bytes_are_the_same_token(known in ".{1,20}", other in ".{0,20}") {
            prop_assume!(!known.starts_with(HASHED_TOKEN));
            let set = tokens(&[&known]);
            prop_assert!(set.has(TokenDigest::of(known.as_bytes())));
            prop_assert_eq!(set.has(TokenDigest::of(other.as_bytes())), known == other);
        }
    }
}
