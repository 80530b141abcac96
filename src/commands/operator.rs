//! Who gave a command.

use crate::ledger::host;
use crate::text::printable;

/// What a CI system calls the person whose change or click began the job.
const ACTORS: [&str; 2] = ["GITHUB_ACTOR", "GITLAB_USER_LOGIN"];
/// What a user is called, by the name that they logged in with first.
const USERS: [&str; 3] = ["SUDO_USER", "USER", "LOGNAME"];
/// The most characters of a name that are kept.
const LONGEST: usize = 120;

/// Who gave a command: the user, by the name that they logged in with, or in CI the actor; and the
/// host.
pub fn operator() -> String {
    let variable = |name: &str| std::env::var(name).ok();
    let uid = rustix::process::getuid().as_raw();
    asked_by(&variable, uid, &host())
}

/// In CI the user is the runner's, always the same one: the actor is looked for first.
fn asked_by(variable: &dyn Fn(&str) -> Option<String>, uid: u32, host: &str) -> String {
    let set = |name: &&str| variable(name).filter(|value| !value.trim().is_empty());
    let name = ACTORS.iter().chain(&USERS).find_map(set);
    let name = name.unwrap_or_else(|| format!("uid {uid}"));
    let short = |text: &str| text.trim().chars().take(LONGEST).collect::<String>();
    printable(&format!("{}@{}", short(&name), short(host)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_person_is_told_and_not_the_account_that_acts_for_them() {
        for (set, expected) in [
            (&[][..], "uid 7@host"),
            (&[("USER", "")], "uid 7@host"),
            (&[("LOGNAME", "ann")], "ann@host"),
            (&[("LOGNAME", "daemon"), ("USER", "ann")], "ann@host"),
            (&[("USER", "root"), ("SUDO_USER", "ann")], "ann@host"),
            (&[("USER", "runner"), ("GITHUB_ACTOR", "ann")], "ann@host"),
            (
                &[("USER", "root"), ("GITLAB_USER_LOGIN", "ann")],
                "ann@host",
            ),
            (&[("GITHUB_ACTOR", " "), ("SUDO_USER", "ann")], "ann@host"),
            (&[("USER", "a\u{1b}[31mb")], "a\\u{1b}[31mb@host"),
        ] {
            let variable = |name: &str| {
                let found = set.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| (*value).to_owned())
            };
            assert_eq!(asked_by(&variable, 7, "host"), expected, "{set:?}");
        }
        let long = |_: &str| Some("é".repeat(9000));
        assert!(asked_by(&long, 7, &"h".repeat(9000)).len() <= 1020);
    }
}
