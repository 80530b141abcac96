use super::*;
use crate::config::ColorMode;
use crate::model::report::Summary;

const CRON: OutputConfig = OutputConfig {
    json: false,
    quiet: false,
    verbose: 0,
    color: ColorMode::Auto,
};

const QUIET: OutputConfig = OutputConfig {
    quiet: true,
    ..CRON
};

fn pipe() -> Terminal {
    Terminal {
        stdout_tty: false,
        stderr_tty: false,
        stderr_journal: false,
        color_stdout: false,
        color_stderr: false,
        width: 80,
        dumb: true,
    }
}

fn screen(width: usize) -> Terminal {
    Terminal {
        stdout_tty: true,
        stderr_tty: true,
        stderr_journal: false,
        width,
        ..pipe()
    }
}

fn app(name: &str, action: Action, outcome: Option<Outcome>) -> AppReport {
    AppReport {
        app: name.into(),
        deployed: Some("1.0".into()),
        newest: Some("2.0".into()),
        action,
        reason: "why".into(),
        outcome,
        attempt: None,
        deploy_id: None,
        duration_ms: None,
        error: None,
        hint: None,
        failing: matches!(action, Action::Unreadable | Action::GivenUp),
    }
}

/// An app that waits for its next try.
fn backing_off() -> AppReport {
    AppReport {
        failing: true,
        ..app("a", Action::Waiting, None)
    }
}

fn of(apps: Vec<AppReport>, failed: u64) -> Report {
    Report {
        pass: "p".into(),
        command: "run".into(),
        domain: "example.com".into(),
        environment: "development".into(),
        started_at: String::new(),
        finished_at: String::new(),
        complete: true,
        summary: Summary {
            apps: apps.len() as u64,
            failed,
            ..Summary::default()
        },
        apps,
        exit_code: 0,
        error: None,
        left_alone: crate::model::report::LeftAlone::default(),
    }
}

pub fn example() -> Report {
    let mut failed = app("web", Action::New, Some(Outcome::Failed));
    failed.deployed = None;
    failed.error = Some("unit web-2.0 never became active".into());
    let mut good = app("video-mobile", Action::Upgrade, Some(Outcome::Succeeded));
    good.duration_ms = Some(13_200);
    let mut report = of(vec![failed, app("api", Action::UpToDate, None), good], 1);
    report.summary.deployed = 1;
    report.summary.up_to_date = 1;
    report
}

#[test]
fn a_pass_is_told_line_by_line() {
    assert_eq!(
        super::report(&example(), None, CRON, &pipe()),
        "video-mobile  1.0 -> 2.0  deployed in 13s\n\
         web           - -> 2.0    failed: unit web-2.0 never became active\n\
         1 deployed, 1 failed, 1 up to date (development of example.com)\n"
    );
}

#[test]
fn verbose_tells_of_all_apps() {
    let config = OutputConfig { verbose: 1, ..CRON };
    let text = super::report(&example(), None, config, &pipe());
    assert!(
        text.starts_with("api           1.0 -> 2.0  up to date: why\nvideo"),
        "{text}"
    );
}

#[test]
fn quiet_tells_only_of_what_went_wrong() {
    let config = OutputConfig {
        quiet: true,
        ..CRON
    };
    let text = super::report(&example(), None, config, &pipe());
    assert!(
        text.starts_with("web  ") && !text.contains("video"),
        "{text}"
    );
    let well = of(vec![app("a", Action::New, Some(Outcome::Succeeded))], 0);
    assert_eq!(super::report(&well, None, config, &screen(80)), "");
}

#[test]
fn details_are_wrapped_on_a_screen_only() {
    let mut report = example();
    report.apps[0].error = Some("word ".repeat(40).trim_end().into());
    for width in [40, 60, 80] {
        let text = super::report(&report, None, CRON, &screen(width));
        assert!(text.contains("\n    failed: word word"), "{text}");
        for line in text.lines() {
            assert!(measure_text_width(line) <= width, "{width}: {line}");
        }
    }
    let piped = super::report(&report, None, CRON, &pipe());
    assert_eq!(piped.lines().count(), 3);
}

#[test]
fn long_names_do_not_push_the_outcome_off_the_screen() {
    let mut report = example();
    report.apps[0].app = "w".repeat(70);
    let text = super::report(&report, None, CRON, &screen(80));
    assert!(
        text.starts_with("video-mobile  1.0 -> 2.0  deployed"),
        "{text}"
    );
    assert!(
        text.lines().all(|line| measure_text_width(line) <= 80),
        "{text}"
    );
}

#[test]
fn only_the_outcome_is_coloured() {
    let mut terminal = screen(80);
    terminal.color_stdout = true;
    let text = super::report(&example(), None, CRON, &terminal);
    assert!(
        text.contains("1.0 -> 2.0  \u{1b}[32mdeployed in 13s\u{1b}[0m\n"),
        "{text:?}"
    );
    assert!(text.contains("\u{1b}[31mfailed\u{1b}[0m: unit"), "{text:?}");
    assert_eq!(
        console::strip_ansi_codes(&text),
        super::report(&example(), None, CRON, &screen(80))
    );
}

#[test]
fn hostile_names_are_escaped() {
    let mut hostile = app("a\u{1b}[2J\nb", Action::Unreadable, None);
    hostile.newest = Some("\u{202e}1".into());
    hostile.reason = "x\ry".into();
    let mut report = of(vec![hostile], 1);
    report.domain = "d\u{9b}".into();
    let text = super::report(&report, None, CRON, &pipe());
    assert!(text.lines().all(|line| printable(line) == line), "{text:?}");
    assert_eq!(text.lines().count(), 2);
}

#[test]
fn nothing_is_said_where_nothing_happened_and_nobody_looks() {
    let quiet = of(vec![app("a", Action::UpToDate, None)], 0);
    assert_eq!(super::report(&quiet, None, CRON, &pipe()), "");
    assert_eq!(super::report(&of(vec![], 0), None, CRON, &pipe()), "");
    assert!(super::report(&quiet, None, CRON, &screen(80)).starts_with("0 deployed"));
    let config = OutputConfig { verbose: 1, ..CRON };
    assert!(super::report(&quiet, None, config, &pipe()).starts_with("a  "));
}

/// A report of this one app, whose exit code says that something failed.
fn failing(app: AppReport) -> Report {
    Report {
        exit_code: 1,
        ..of(vec![app], 1)
    }
}

#[test]
fn what_nobody_need_do_anything_about_is_told_once() {
    for action in [Action::Held, Action::Ahead, Action::Gone] {
        let now = of(vec![app("a", action, None)], 0);
        let before = of(vec![app("a", Action::UpToDate, None)], 0);
        let mut newer = now.clone();
        newer.apps[0].newest = Some("3.0".into());
        let told = |previous| !super::report(&now, previous, CRON, &pipe()).is_empty();
        assert!(told(None), "{action:?}");
        assert!(told(Some(&before)), "{action:?}");
        assert!(told(Some(&newer)), "{action:?}");
        assert!(!told(Some(&now)), "{action:?}");
        assert_eq!(super::report(&now, None, QUIET, &pipe()), "");
        let seen = super::report(&now, Some(&now), CRON, &screen(80));
        assert!(seen.starts_with("a  1.0 -> 2.0  "), "{seen}");
    }
}

#[test]
fn what_is_wrong_is_told_at_every_pass_and_once_to_who_wants_it_quiet() {
    let unreadable = app("a", Action::Unreadable, None);
    let given_up = app("a", Action::GivenUp, None);
    for standing in [unreadable, given_up, backing_off()] {
        let now = failing(standing);
        let before = of(vec![app("a", Action::UpToDate, None)], 0);
        let mut newer = now.clone();
        newer.apps[0].newest = Some("3.0".into());
        for previous in [None, Some(&before), Some(&newer), Some(&now)] {
            let text = super::report(&now, previous, CRON, &pipe());
            assert!(text.starts_with("a  1.0 -> 2.0  "), "{text:?}");
            let quiet = super::report(&now, previous, QUIET, &pipe());
            assert_eq!(quiet.is_empty(), previous == Some(&now), "{quiet}");
        }
    }
}

#[test]
fn who_wants_it_quiet_is_told_of_an_outcome_once() {
    let with = |action, outcome, error: &str, attempt: &str| {
        let mut app = app("a", action, Some(outcome));
        app.error = Some(error.into());
        app.attempt = Some(attempt.into());
        failing(app)
    };
    let told = |now: &Report, before: &Report| {
        assert!(!super::report(now, Some(before), CRON, &pipe()).is_empty());
        !super::report(now, Some(before), QUIET, &pipe()).is_empty()
    };
    let (new, resume) = (Action::New, Action::Resume);
    // A payload that is still bad, and one that is bad in another way.
    let bad = with(new, Outcome::Error, "no unit", "");
    assert!(!told(&bad, &bad));
    assert!(told(&bad, &with(new, Outcome::Error, "no key", "")));
    assert!(told(&bad, &with(new, Outcome::Refused, "no unit", "")));
    // An attempt that is still open, and another one.
    for outcome in [Outcome::Unknown, Outcome::Submitted] {
        let open = with(resume, outcome, "5s ago", "one");
        assert!(!told(&open, &with(new, outcome, "0s ago", "one")));
        assert!(told(&open, &with(new, outcome, "5s ago", "two")));
    }
    // Each failure is of another attempt.
    let failed = with(new, Outcome::Failed, "no", "one");
    assert!(told(&failed, &failed));
    // What an operator asked for is answered, whatever the last pass said.
    let mut asked = bad.clone();
    asked.command = "deploy".into();
    assert!(told(&asked, &bad));
}

#[test]
fn the_back_off_of_a_failure_is_silent_only_for_who_wants_it_quiet() {
    let waiting = failing(backing_off());
    for outcome in [Outcome::Failed, Outcome::Refused, Outcome::Error] {
        let before = failing(app("a", Action::New, Some(outcome)));
        assert_eq!(super::report(&waiting, Some(&before), QUIET, &pipe()), "");
        let text = super::report(&waiting, Some(&before), CRON, &pipe());
        assert!(text.contains("waiting: why"), "{text}");
    }
    let given_up = failing(app("a", Action::GivenUp, None));
    let text = super::report(&given_up, Some(&waiting), QUIET, &pipe());
    assert!(text.contains("given up: why"), "{text}");
}

#[test]
fn no_exit_code_but_0_is_without_a_word() {
    let nothing = of(vec![app("a", Action::UpToDate, None)], 0);
    let mut odd = nothing.clone();
    odd.exit_code = 1;
    assert_eq!(super::report(&nothing, None, CRON, &pipe()), "");
    let text = super::report(&odd, None, CRON, &pipe());
    assert!(text.starts_with("0 deployed"), "{text}");
    // The error that stopped it is told by itself.
    odd.error = Some("Artifactory is down".into());
    assert_eq!(super::report(&odd, None, CRON, &pipe()), "");
}

#[test]
fn waiting_for_a_payload_is_no_news_to_cron() {
    let waiting = of(vec![app("a", Action::Waiting, None)], 0);
    assert_eq!(super::report(&waiting, None, CRON, &pipe()), "");
    let beside = of(
        vec![
            app("a", Action::Waiting, None),
            app("b", Action::New, Some(Outcome::Failed)),
        ],
        1,
    );
    let text = super::report(&beside, None, CRON, &pipe());
    assert!(text.starts_with("b  "), "{text}");
}

#[test]
fn what_was_due_and_not_tried_is_told_and_counted() {
    let text = super::report(
        &of(vec![app("a", Action::New, None)], 0),
        None,
        CRON,
        &pipe(),
    );
    assert_eq!(
        text,
        "a  1.0 -> 2.0  due: why\n\
         0 deployed, 1 not tried, 0 up to date (development of example.com)\n"
    );
}

#[test]
fn errors_hang_under_their_labels() {
    let error = Error::unavailable("Artifactory cannot be used at all")
        .because("connection refused by the host")
        .hint("check --art-endpoint");
    assert_eq!(
        super::error(&error, &pipe()),
        "error: Artifactory cannot be used at all\n  caused by: connection refused by the host\n  \
         hint: check --art-endpoint\n"
    );
    assert_eq!(
        super::error(&error, &screen(30)),
        "error: Artifactory cannot be\n       used at all\n  caused by: connection\n             \
         refused by the\n             host\n  hint: check --art-endpoint\n"
    );
}

#[test]
fn only_the_label_is_coloured() {
    let terminal = Terminal {
        color_stderr: true,
        ..screen(80)
    };
    assert_eq!(
        labelled("warning", "a\u{1b}b", &terminal),
        "\u{1b}[33mwarning\u{1b}[0m: a\\u{1b}b\n"
    );
    assert_eq!(labelled("warning", "ab", &screen(80)), "warning: ab\n");
}
