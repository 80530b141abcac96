//! Peers that send back what they were sent, in every form that a server may give it.

use std::process::Output;
use std::thread;

use serde_json::json;
use simulator::{Artifactory, Behaviour, Fault};

use super::{ART, DEPLOY, KINDS, Safe, Source, base64, needles, percent, search_rig};

/// What a proxy that logs too much says, with the secrets in all their forms.
pub fn echoes() -> Vec<String> {
    let basic = base64(format!("{}:{ART}", super::USER).as_bytes());
    vec![
        format!(
            "Authorization: 'Bearer {ART}', X-JFrog-Art-Api: {ART}, Basic {basic}=, {}, {}",
            basic.replace('+', "-").replace('/', "_"),
            base64(ART.as_bytes()),
        ),
        format!(
            "at http://sysadm:{0}@host/?access_token={1}, {2} {3}, Bearer {DEPLOY}, {4}",
            percent(ART),
            percent(ART).to_lowercase(),
            hex(ART),
            hex(DEPLOY).to_uppercase(),
            base64(DEPLOY.as_bytes()),
        ),
        // Where the program cuts long texts.
        format!("{}{ART}{DEPLOY}", "x".repeat(495)),
    ]
}

/// Lower-case hexadecimal.
pub fn hex(text: &str) -> String {
    text.bytes()
        .fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"))
}

/// The text as an HTML page has it.
pub fn entities(text: &str) -> String {
    let entity = |c: char| match c {
        '&' => "&amp;".to_owned(),
        '\'' | '+' | '=' | '/' => format!("&#{};", u32::from(c)),
        _ => c.to_string(),
    };
    text.chars().map(entity).collect()
}

/// The text as JSON in which more is escaped than must be.
pub fn escapes(text: &str) -> String {
    let escape = |c: char| match c {
        '&' | '+' | '=' | '~' => format!("\\u{:04x}", u32::from(c)),
        '/' => "\\/".to_owned(),
        '"' => "\\\"".to_owned(),
        _ => c.to_string(),
    };
    text.chars().map(escape).collect()
}

fn answer(status: u16, media_type: &str, body: String) -> Fault {
    let header = ("Content-Type".to_owned(), media_type.to_owned());
    Fault::StatusWith(status, vec![header], body)
}

/// A refusal that says this, in every shape.
fn refusals(status: u16, said: &str) -> Vec<Fault> {
    let json = "application/json";
    let html = format!("<html><title>{0}</title><p>{0}</p></html>", entities(said));
    vec![
        answer(status, json, json!({"message": said}).to_string()),
        answer(
            status,
            json,
            json!({"errors": [{"status": status, "message": said}]}).to_string(),
        ),
        answer(
            status,
            json,
            format!(r#"{{"errors":[{{"message":"{}"}}]}}"#, escapes(said)),
        ),
        answer(status, json, format!(r#"{{"message":"{}"#, escapes(said))),
        answer(status, "text/html", html.clone()),
        answer(status, "text/plain", html),
        answer(status, "text/plain", said.to_owned()),
    ]
}

/// A pass that tries again what failed before.
const ALWAYS: [&str; 4] = ["--retry-after", "0s", "--max-attempts", "99"];

impl Safe {
    /// Runs the program in vain, looks for the secrets, and gives what it printed.
    fn fail(&self, what: &str, arguments: &[&str]) -> String {
        let loud = ["-vv", "--output", "json"];
        let output = self.command(&[arguments, &loud].concat()).output().unwrap();
        assert_ne!(output.status.code(), Some(0), "{what}: {output:?}");
        self.search(what, &output);
        text(&output)
    }
}

/// Whether a secret is left out of what was printed, or was cut off whole.
fn is_masked(shown: &str) -> bool {
    shown.contains("***") || shown.contains("xxx…")
}

pub fn text(output: &Output) -> String {
    let [out, err] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    format!("{out}{err}")
}

/// Every echo, each to a rig of its own and another way to authenticate, in parallel.
fn each(check: impl Fn(&Safe, &str) + Sync) {
    thread::scope(|scope| {
        for (kind, said) in KINDS.into_iter().zip(echoes()) {
            let check = &check;
            scope.spawn(move || {
                let safe = Safe::new(kind, Source::Variable);
                safe.rig.publish("video", "1.0");
                check(&safe, &said);
            });
        }
    });
}

#[test]
fn artifactory_refuses_with_our_secret_in_every_shape() {
    each(|safe, said| {
        let places = ["/api/", "/api/storage/payloads/", "/payloads/video/"];
        for (at, refusal) in refusals(403, said).into_iter().enumerate() {
            safe.rig.artifactory.fault(places[at % 3], refusal, None);
            let shown = safe.fail(&format!("shape {at} of {said}"), &ALWAYS);
            assert!(is_masked(&shown), "shape {at}: {shown}");
            safe.rig.artifactory.clear_faults();
        }
    });
}

#[test]
fn an_answer_of_another_shape_is_not_quoted_with_our_secret() {
    let bodies = |said: &str| {
        [
            json!({"children": said}).to_string(),
            json!({"children": [{"uri": format!("/{said}/"), "folder": false}]}).to_string(),
            json!({"children": [{"uri": format!("/{said}"), "folder": true}]}).to_string(),
            json!({"repo": "deploys", "path": "/", "children": [], "size": said}).to_string(),
        ]
    };
    each(|safe, said| {
        for body in bodies(said) {
            let body = answer(200, "application/json", body);
            safe.rig.artifactory.fault("/api/", body, None);
            let output = safe.command(&["--listing", "folders", "-vv"]).output();
            safe.search(said, &output.unwrap());
            safe.rig.artifactory.clear_faults();
        }
        let row = json!({"results": [{"repo": said, "path": "a", "name": "1.deploy"}]});
        let aql = answer(200, "application/json", row.to_string());
        safe.rig.artifactory.fault("/api/search/aql", aql, None);
        assert!(is_masked(&safe.fail(said, &["--listing", "aql"])));
    });
}

#[test]
fn a_redirect_and_the_store_behind_it_say_our_secret() {
    each(|safe, said| {
        let store = Artifactory::start();
        let to = format!("{}/x?token={}", store.url(), percent(ART));
        let redirect = Fault::StatusWith(302, vec![("Location".to_owned(), to)], said.to_owned());
        let downloads = "/artifactory/payloads/video/";
        safe.rig.artifactory.fault(downloads, redirect, None);
        for refusal in refusals(403, said).into_iter().step_by(3) {
            store.fault("/", refusal, None);
            safe.fail(said, &ALWAYS);
            store.clear_faults();
        }
        assert!(!store.requests().is_empty());
    });
}

#[test]
fn coreos_deploy_refuses_with_our_secret() {
    each(|safe, said| {
        let deploy = &safe.rig.deploy;
        let places = [
            (401, "info"),
            (500, "info"),
            (401, "deploy"),
            (400, "deploy"),
        ];
        for (at, (status, route)) in places.into_iter().cycle().take(7).enumerate() {
            let refusal = refusals(status, said).swap_remove(at);
            deploy.fault(&format!("/v1.0/{route}"), refusal, None);
            let shown = safe.fail(&format!("{status}, shape {at} of {said}"), &ALWAYS);
            assert!(is_masked(&shown), "{status}, shape {at}: {shown}");
            deploy.clear_faults();
        }
        safe.run(&["history", "--output", "json"], 0);
        deploy.set_scope(said, "development");
        assert!(is_masked(&safe.fail(said, &ALWAYS)));
    });
}

#[test]
fn a_deploy_that_failed_says_our_secret() {
    each(|safe, said| {
        safe.rig
            .deploy
            .next_deploy(Behaviour::Fail(said.to_owned()));
        assert!(is_masked(&safe.fail(said, &["--retry-after", "1h"])));
        for arguments in [["status", "-vv"], ["history", "-vv"]] {
            safe.run(&arguments, 0);
        }
        let history = safe.run(&["history", "--output", "json"], 0);
        let history = text(&history);
        assert!(is_masked(&history), "{history}");
        // What it says while it is asked what became of a deploy.
        let status = json!({"deployID": said, "status": said, "message": said}).to_string();
        safe.rig.publish("video", "1.1");
        let of_it = answer(200, "application/json", status);
        safe.rig.deploy.fault("/v1.0/status/", of_it, Some(2));
        safe.run(&["-vv"], 0);
        search_rig(said, &safe.rig, &needles(&[ART, DEPLOY]));
    });
}
