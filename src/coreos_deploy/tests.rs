//! The replies of coreos-deploy, read.

use proptest::prelude::*;

use super::replies::{info, is_uuid, status, submission};
use super::units::{parse, pattern};
use super::*;

const ID: &str = "2777AB74-BA51-4449-9723-06D20AE05EDA";

fn row(status: &str) -> String {
    format!(
        r#"{{"deployID":"{ID}","domain":"example.com","serviceName":"svc","version":"1.0","status":{status},"message":"m"}}"#
    )
}

fn read(body: &str) -> Status {
    status(200, body.as_bytes(), ID, "svc", "1.0")
}

#[test]
fn only_the_integers_1_2_and_3_mean_something() {
    assert_eq!(read(&row("2")), Status::Succeeded);
    assert_eq!(read(&row("3")), Status::Failed("m".into()));
    assert_eq!(read(&row("1")), Status::Running);
    for nonsense in [
        "0",
        "7",
        "\"2\"",
        "null",
        "2.0",
        "true",
        "[2]",
        "-2",
        "22",
        "2e0",
        "18446744073709551618",
    ] {
        assert!(
            matches!(read(&row(nonsense)), Status::Inconclusive(_)),
            "{nonsense}"
        );
    }
    assert!(
        matches!(read(&row("2,\"status\":3")), Status::Inconclusive(_)),
        "a key given twice"
    );
}

#[test]
fn an_answer_about_something_else_is_no_answer() {
    let other = row("2");
    for (from, to) in [
        ("2777AB74", "3777AB74"),
        ("\"svc\"", "\"svd\""),
        ("\"1.0\"", "\"1.1\""),
        ("deployID", "deployId"),
    ] {
        assert!(
            matches!(read(&other.replace(from, to)), Status::Inconclusive(_)),
            "{from}"
        );
    }
    assert_eq!(
        read(&other.replace(ID, &ID.to_lowercase())),
        Status::Succeeded
    );
    assert_eq!(
        status(200, other.as_bytes(), ID, "", "1.0"),
        Status::Succeeded,
        "a name that was never known"
    );
}

#[test]
fn an_unknown_id_is_told_by_its_recorded_reply() {
    let reply = |id: &str, error: &str| read(&format!("{{\"id\":{id},\"error\":\"{error}\"}}"));
    assert_eq!(reply(ID, "sql: no rows in result set"), Status::NoRows);
    for (id, error) in [
        (ID, "Error 1146: Table 'x' doesn't exist"),
        ("NOPE", "sql: no rows in result set"),
    ] {
        assert!(matches!(reply(id, error), Status::Inconclusive(_)));
    }
}

#[test]
fn other_statuses_and_shapes_are_inconclusive() {
    for code in [401, 403, 404, 500, 502, 503] {
        assert!(matches!(
            status(code, row("2").as_bytes(), ID, "svc", "1.0"),
            Status::Inconclusive(_)
        ));
    }
    let deep = "[".repeat(100_000);
    for body in [
        "",
        "<html>",
        "null",
        "[]",
        "{}",
        "\u{feff}{}",
        "{\"status\":2}",
        deep.as_str(),
    ] {
        assert!(matches!(read(body), Status::Inconclusive(_)));
    }
}

#[test]
fn the_reply_to_the_post() {
    let json = format!("{{\"deployID\":\"{ID}\"}}");
    let other = "00000000-0000-4000-8000-000000000000";
    let accepted = |s: Submission| match s {
        Submission::Accepted(id) => Some(id),
        _ => None,
    };
    assert_eq!(
        accepted(submission(200, Some(other), Ok(json.as_bytes()))).as_deref(),
        Some(ID),
        "the body wins"
    );
    for body in [
        Err("cut".to_owned()),
        Ok(&b"<html>"[..]),
        Ok(&b"{\"deployID\":7}"[..]),
    ] {
        assert_eq!(
            accepted(submission(201, Some(ID), body)).as_deref(),
            Some(ID),
            "rescued from the header"
        );
    }
    assert!(matches!(
        submission(200, Some("proxy-7"), Ok(b"{}")),
        Submission::Lost(_)
    ));
    for (code, counted) in [
        (400, true),
        (404, true),
        (405, true),
        (415, true),
        (401, false),
        (403, false),
        (302, false),
        (429, false),
    ] {
        match submission(code, Some(ID), Ok(b"no")) {
            Submission::Refused { counts, stop, .. } => {
                assert_eq!((counts, stop.is_some()), (counted, !counted), "{code}");
            }
            other => panic!("{code}: {other:?}"),
        }
    }
    for code in [408, 425, 500, 502, 503, 504] {
        assert!(
            matches!(
                submission(code, Some(ID), Ok(json.as_bytes())),
                Submission::Lost(_)
            ),
            "{code}"
        );
    }
}

#[test]
fn info_says_which_cluster_it_is() {
    let body = br#"{"options":{"name":"rig","domain":"example.com","environment":"development"}}"#;
    assert!(
        matches!(info(200, body), Probe::Answered(i) if i.domain == "example.com" && i.environment == "development")
    );
    for (code, body, exit) in [
        (401, "", 77),
        (403, "", 77),
        (301, "", 2),
        (500, "", 69),
        (404, "", 69),
        (200, "{}", 69),
        (200, "<html>", 69),
    ] {
        assert!(
            matches!(info(code, body.as_bytes()), Probe::Failed(e) if e.exit.code() == exit),
            "{code} {body}"
        );
    }
}

#[test]
fn units_of_this_name_and_version_only() {
    let unit = |name: &str, sub: &str| {
        format!(r#"{{"unit":"{name}","hash":"x","active":"active","load":"loaded","sub":"{sub}"}}"#)
    };
    let map = |units: &[String]| {
        format!(
            r#"{{"machines":[{{"machine":"m","units":[{}]}},{{"machine":"n"}}]}}"#,
            units.join(",")
        )
    };
    let listed = [
        unit("svc-1.0-aaaaaaaa@A1.service", "running"),
        unit("svc-1.0-aaaaaaaa@A1.service", "dead"),
        unit("svc-1.0-aaaaaaaa@A2.service", "dead"),
        unit("svc-1.0-bbbbbbbb@B1.service", "running"),
        unit("svc-1.0-1-cccccccc@A1.service", "running"),
        unit("svc-1x0-dddddddd@A1.service", "running"),
        unit("svc-1.0-short@A1.service", "running"),
        unit("svc-1.0-eeeeeeee@C1.service", "running"),
        unit("svc-1.0-ffffffff@A.service", "running"),
        unit("svc-1.0-ffffffff@é1.service", "running"),
    ];
    let units = parse(map(&listed).as_bytes(), "svc", "1.0").unwrap();
    assert_eq!(units.len(), 3);
    assert_eq!(suffixes(&units), ["aaaaaaaa", "bbbbbbbb"]);
    assert_eq!(running_now(&units), 1);
    let new = new_units(&units, &["bbbbbbbb".to_owned()]);
    assert_eq!((new.running, new.any), (1, 2));
    for broken in [
        "",
        "{}",
        "{\"machines\":{}}",
        "{\"machines\":[{\"units\":[{}]}]}",
        "<html>",
    ] {
        assert!(parse(broken.as_bytes(), "svc", "1.0").is_err(), "{broken}");
    }
}

#[test]
fn the_pattern_is_escaped() {
    assert_eq!(
        pattern("a.b", "1.0+x"),
        "a\\.b-1\\.0\\+x-[a-z0-9]{8}@[AB][0-9]+"
    );
}

#[test]
fn the_url_may_be_given_in_many_forms() {
    for given in [
        "http://h:80/",
        "http://h",
        "http://h/v1.0",
        "http://h/v1.0/",
        " http://h// ",
    ] {
        assert_eq!(normalise_url(given).as_deref(), Ok("http://h"), "{given}");
    }
    assert_eq!(
        normalise_url("https://h:8443/sub/").as_deref(),
        Ok("https://h:8443/sub")
    );
    for bad in [
        "h",
        "ftp://h",
        "http://u:p@h",
        "http://h?x",
        "http://h#x",
        "",
        "http://",
    ] {
        assert!(normalise_url(bad).is_err(), "{bad}");
    }
}

proptest! {
    #[test]
    fn no_body_is_taken_for_success_by_accident(body in proptest::collection::vec(any::<u8>(), 0..200), code in 100_u16..600) {
        prop_assert!(!matches!(status(code, &body, ID, "svc", "1.0"), Status::Succeeded | Status::Failed(_)));
        let _ = submission(code, None, Ok(&body));
        let _ = info(code, &body);
        let _ = parse(&body, "svc", "1.0");
    }

    #[test]
    fn uuids_have_one_shape(text in "[0-9A-Fa-f-]{30,40}") {
        prop_assert_eq!(is_uuid(&text), uuid::Uuid::parse_str(&text).is_ok() && text.len() == 36);
    }
}
