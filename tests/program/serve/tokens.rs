//! `token add|list|revoke`.

use std::fs;

use serde_json::Value;

use crate::support::{Ran, Rig};

/// The program with a ledger and nothing else: tokens need no scope and no Artifactory.
fn token(rig: &Rig, arguments: &[&str]) -> Ran {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_coreos-artifactory-monitor"));
    command.env_clear().env("HOME", rig.path());
    rig.ledger.give(&mut command);
    Ran::of(
        &command
            .arg("token")
            .args(arguments)
            .output()
            .expect("the program starts"),
    )
}

fn good(rig: &Rig, arguments: &[&str]) -> String {
    let writes_first = rig.is_untouched() && arguments[0] == "add";
    let ran = token(rig, arguments);
    assert_eq!(ran.code, Some(0), "{ran:#?}");
    assert_eq!(ran.stderr.contains("created the ledger"), writes_first);
    assert_eq!(ran.stderr.is_empty(), !writes_first, "{ran:#?}");
    ran.stdout
}

/// Id, name and kind of every token.
fn listed(rig: &Rig) -> Vec<(i64, String, String)> {
    let document: Value =
        serde_json::from_str(&good(rig, &["list", "--output", "json"])).expect("JSON");
    let row = |t: &Value| {
        assert_eq!(t.as_object().expect("an object").len(), 4, "{t}");
        assert!(t["createdAt"].as_str().expect("text").len() == 19);
        let word = |key: &str| t[key].as_str().expect("text").to_owned();
        (
            t["id"].as_i64().expect("a number"),
            word("name"),
            word("kind"),
        )
    };
    document["tokens"]
        .as_array()
        .expect("an array")
        .iter()
        .map(row)
        .collect()
}

#[test]
fn a_token_is_shown_once_and_never_stored() {
    let rig = Rig::new();
    assert!(good(&rig, &["list"]).contains("no token"));
    let text = good(&rig, &["add", "ci server"]);
    let plain = text.trim_end();
    assert_eq!(text.lines().count(), 1);
    assert!(plain.starts_with("cam_") && plain.len() == 68, "{plain}");
    let second: Value =
        serde_json::from_str(&good(&rig, &["add", "ops", "--output", "json"])).unwrap();
    let second = second["token"].as_str().unwrap();
    assert_ne!(second, plain);
    let list = good(&rig, &["list"]);
    assert!(
        list.contains("ci server") && list.contains("hashed"),
        "{list}"
    );
    for secret in [plain, second] {
        assert!(!list.contains(secret) && !list.contains(&secret[4..]));
        assert!(!rig.ledger.dump().contains(secret), "the token is stored");
        for entry in fs::read_dir(rig.path()).unwrap() {
            let bytes = fs::read(entry.unwrap().path()).unwrap_or_default();
            let found = bytes
                .windows(secret.len())
                .any(|part| part == secret.as_bytes());
            assert!(!found, "the token is stored");
        }
    }
    assert!(!list.contains("sha256"));
}

#[test]
fn a_token_is_revoked_by_number_or_by_a_name_that_is_its_own() {
    let rig = Rig::new();
    for name in ["ops", "ci", "ops"] {
        good(&rig, &["add", name]);
    }
    let names: Vec<String> = listed(&rig).into_iter().map(|(_, name, _)| name).collect();
    assert_eq!(names, ["ops", "ci", "ops"]);
    let first = listed(&rig)[0].0;
    let refused = token(&rig, &["revoke", "ops"]);
    assert_eq!(refused.code, Some(2), "{refused:#?}");
    assert!(refused.stderr.contains(&first.to_string()), "{refused:#?}");
    good(&rig, &["revoke", "ci"]);
    good(&rig, &["revoke", &first.to_string()]);
    let left = listed(&rig);
    assert_eq!(left.len(), 1);
    assert_eq!((left[0].1.as_str(), left[0].2.as_str()), ("ops", "hashed"));
    good(&rig, &["revoke", "ops"]);
    for gone in ["ops", &first.to_string(), "never"] {
        assert_eq!(token(&rig, &["revoke", gone]).code, Some(2), "{gone}");
    }
    assert!(listed(&rig).is_empty());
}
