//! `token add|list|revoke`: the bearer tokens of the HTTP API.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::context::Context;
use crate::cli::TokenAction;
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::ledger::{Access, HASHED_TOKEN, TokenRow};
use crate::pass::open_to_write;

/// What a token that is found somewhere is recognised by.
const PREFIX: &str = "cam_";

/// Carries out one of the three.
pub(super) fn run(context: &Context<'_>, action: &TokenAction) -> Result<Exit> {
    match action {
        TokenAction::Add { name } => add(context, name)?,
        TokenAction::List => list(context)?,
        TokenAction::Revoke { token } => revoke(context, token)?,
    }
    Ok(Exit::Success)
}

/// Stores the hash of a new token and prints the token: the only time that it is seen.
fn add(context: &Context<'_>, name: &str) -> Result<()> {
    let output = context.output;
    let token = new_token();
    open_to_write(context.ports, output)?.add_token(name, &stored(&token))?;
    if output.is_json() {
        output.json(&json!({"name": name, "token": token}));
    } else {
        output.line(&token);
    }
    Ok(())
}

/// Shows whose tokens there are.
fn list(context: &Context<'_>) -> Result<()> {
    let output = context.output;
    let tokens = context.ports.ledger(Access::ReadOnly)?.tokens()?;
    if output.is_json() {
        let tokens: Vec<Value> = tokens
            .iter()
            .map(
                |t| json!({"id": t.id, "name": t.name, "createdAt": t.created_at, "kind": kind(t)}),
            )
            .collect();
        output.json(&json!({ "tokens": tokens }));
        return Ok(());
    }
    if tokens.is_empty() {
        output.line("there is no token: nobody can use the HTTP API");
        return Ok(());
    }
    let rows: Vec<Vec<String>> = tokens
        .iter()
        .map(|t| {
            let name = t.name.clone().unwrap_or_default();
            vec![
                t.id.to_string(),
                name,
                t.created_at.clone(),
                kind(t).to_owned(),
            ]
        })
        .collect();
    output.table(&["ID", "NAME", "CREATED", "KIND"], &rows);
    Ok(())
}

/// Removes the token that is meant. One that is not there is an error: whoever mistypes a name must
/// not believe that the token is dead.
fn revoke(context: &Context<'_>, wanted: &str) -> Result<()> {
    let output = context.output;
    let mut ledger = open_to_write(context.ports, output)?;
    let id = find(&ledger.tokens()?, wanted)?;
    if !ledger.revoke_token(id)? {
        return Err(missing(wanted));
    }
    if output.is_json() {
        output.json(&json!({"id": id, "revoked": true}));
    } else {
        output.line(&format!("token {id} is revoked"));
    }
    Ok(())
}

/// The row of a number, or of a name that only one row has.
fn find(tokens: &[TokenRow], wanted: &str) -> Result<i64> {
    let number = wanted.parse::<i64>().ok();
    if let Some(token) = tokens.iter().find(|t| Some(t.id) == number) {
        return Ok(token.id);
    }
    let named: Vec<i64> = tokens
        .iter()
        .filter(|t| t.name.as_deref() == Some(wanted))
        .map(|t| t.id)
        .collect();
    match named[..] {
        [] => Err(missing(wanted)),
        [id] => Ok(id),
        _ => {
            let ids: Vec<String> = named.iter().map(ToString::to_string).collect();
            let message = format!("{} tokens are named {wanted}", named.len());
            Err(Error::usage(message).hint(format!("name one by its number: {}", ids.join(", "))))
        }
    }
}

fn missing(wanted: &str) -> Error {
    Error::usage(format!("there is no token {wanted}")).hint("`token list` shows them")
}

/// Rows of the original hold the token itself.
fn kind(token: &TokenRow) -> &'static str {
    if token.stored.expose().starts_with(HASHED_TOKEN) {
        "hashed"
    } else {
        "plain"
    }
}

/// 256 bits that nobody can guess: the digest of 366 random ones, from the system's generator.
fn new_token() -> String {
    let mut hash = Sha256::new();
    for _ in 0..3 {
        hash.update(uuid::Uuid::new_v4().as_bytes());
    }
    format!("{PREFIX}{:x}", hash.finalize())
}

/// What the column holds for a token.
fn stored(token: &str) -> String {
    format!("{HASHED_TOKEN}{:x}", Sha256::digest(token))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;
    use crate::secret::Secret;

    fn row(id: i64, name: Option<&str>, stored: &str) -> TokenRow {
        TokenRow {
            id,
            stored: Secret::new(stored.to_owned()),
            name: name.map(str::to_owned),
            created_at: "2026-01-02 03:04:05".to_owned(),
        }
    }

    #[test]
    fn tokens_are_recognisable_long_and_different() {
        let (a, b) = (new_token(), new_token());
        assert_ne!(a, b);
        assert_eq!(a.len(), 4 + 64);
        assert!(a.starts_with("cam_"));
        assert!(
            a[4..]
                .bytes()
                .all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'))
        );
    }

    #[test]
    fn the_hash_is_the_usual_one() {
        // sha256sum of "abc" (FIPS 180-2, appendix B.1).
        let hash = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(stored("abc"), hash);
        assert_eq!(kind(&row(1, None, hash)), "hashed");
        assert_eq!(kind(&row(1, None, "S0M3B3EARERTOK3N")), "plain");
    }

    #[test]
    fn a_token_is_meant_by_its_number_or_its_only_name() {
        let rows = [
            row(1, None, "a"),
            row(2, Some("ci"), "b"),
            row(3, Some("ops"), "c"),
            row(4, Some("ops"), "d"),
            row(5, Some("1"), "e"),
            row(6, Some("77"), "f"),
        ];
        for (wanted, id) in [("1", 1), ("ci", 2), ("4", 4), ("5", 5), ("77", 6)] {
            assert_eq!(find(&rows, wanted).unwrap(), id, "{wanted}");
        }
        for wanted in ["", "CI", "7", "ci ", "-1"] {
            assert_eq!(find(&rows, wanted).unwrap_err().kind, Kind::Usage);
        }
        let error = find(&rows, "ops").unwrap_err();
        assert_eq!(error.hint.as_deref(), Some("name one by its number: 3, 4"));
    }
}
