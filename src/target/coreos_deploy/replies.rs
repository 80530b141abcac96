//! What the replies of the service say. Pure: bytes in, meaning out.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::model::attempt::Status;

use super::Info;

/// The most characters that are kept of a log, in whole lines but for a single longer one.
const LOG: usize = 300;

/// A JSON value in which no object has a key twice: of two readers of such a one, each may be
/// right in its own way.
struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Strict)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(Strict(item)) = access.next_element()? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some((key, Strict(value))) = access.next_entry::<String, Strict>()? {
            if map.insert(key, value).is_some() {
                return Err(A::Error::custom("an object has a key twice"));
            }
        }
        Ok(Value::Object(map))
    }
}

/// Reads JSON without duplicate keys, at most 127 levels deep.
pub(super) fn parse(body: &[u8]) -> Result<Value, String> {
    serde_json::from_slice(body)
        .map(|Strict(value)| value)
        .map_err(|e| format!("the reply is not JSON of this service: {e}"))
}

/// Reads the reply of `/info`.
pub(super) fn info(body: &[u8]) -> Result<Info, String> {
    let reply = parse(body)?;
    let option = |key: &str| {
        reply
            .get("options")
            .and_then(|options| options.get(key))
            .and_then(Value::as_str)
            .map(str::to_owned)
            .ok_or_else(|| format!("the reply has no text `options.{key}`"))
    };
    let (domain, environment) = (option("domain")?, option("environment")?);
    Ok(Info {
        shown: format!("{domain} {environment}"),
        domain,
        environment,
    })
}

/// The id in the body of a reply to a POST, if one can be read.
pub(super) fn deploy_id(body: &[u8]) -> Option<String> {
    let reply = parse(body).ok()?;
    let id = reply.get("deployID")?.as_str()?;
    is_uuid(id).then(|| id.to_owned())
}

/// Whether a text has the form of a UUID, in either case.
pub(super) fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(i, b)| match i {
            8 | 13 | 18 | 23 => b == b'-',
            _ => b.is_ascii_hexdigit(),
        })
}

/// Reads the body of a 200 of `/status/<id>`. Nothing but the integer 2, beside this id, name and
/// version, is success, and nothing but the integer 3 is failure: coreos-deploy's own numbers
/// (recorded; the comment in its schema has them the other way round).
pub(super) fn status(body: &[u8], id: &str, service_name: &str, version: &str) -> Status {
    if is_no_rows(body, id) {
        return Status::NoRows;
    }
    let reply = match parse(body) {
        Ok(Value::Object(reply)) => reply,
        Ok(_) => return Status::Inconclusive("the reply is not a JSON object".into()),
        Err(why) => return Status::Inconclusive(why),
    };
    let text = |key: &str| reply.get(key).and_then(Value::as_str);
    if !text("deployID").is_some_and(|reply_id| reply_id.eq_ignore_ascii_case(id)) {
        return Status::Inconclusive("the reply is not about this deploy".into());
    }
    let (Some(name), Some(deployed)) = (text("serviceName"), text("version")) else {
        return Status::Inconclusive("the reply does not say what was deployed".into());
    };
    if deployed != version || !(service_name.is_empty() || name == service_name) {
        return Status::OtherDeploy(format!("{name} {deployed}"));
    }
    match reply.get("status").and_then(Value::as_i64) {
        Some(1) => Status::Running,
        Some(2) => Status::Succeeded,
        Some(3) => Status::Failed(failure(text("message"), text("log"))),
        Some(other) => Status::Inconclusive(format!(
            "the reply has the status {other}, which means nothing"
        )),
        None => Status::Inconclusive("the reply has no integer `status`".into()),
    }
}

/// Why a deploy failed: the message, and what the tool that failed said itself, which stands at the
/// end of the log, after the line `ERR: <message>` (recorded). Lines are kept whole, so that what is
/// secret in them is still known as such.
fn failure(message: Option<&str>, log: Option<&str>) -> String {
    let message = message.map(str::trim).filter(|m| !m.is_empty());
    let message = message.unwrap_or("coreos-deploy gives no reason");
    let mut last: Vec<&str> = Vec::new();
    let mut length = 0;
    let lines = log.unwrap_or_default().lines().rev().map(str::trim);
    for line in lines
        .take_while(|line| !line.starts_with("ERR: "))
        .filter(|line| !line.is_empty() && *line != message)
    {
        length += line.chars().count();
        if length > LOG && !last.is_empty() {
            break;
        }
        last.push(line);
    }
    if last.is_empty() {
        return message.to_owned();
    }
    last.reverse();
    format!("{message} (log: {})", last.join("; "))
}

/// Whether the reply is the one for an id that is not recorded: `{"id":<id>,"error":"<text>"}`, with
/// the id as it was asked for and unquoted, which is not JSON. The text is `sql: no rows in result
/// set` (recorded), or what its database says, such as that it has no such table: the schema that
/// coreos-deploy ships makes none (recorded), and then no deploy is ever recorded.
fn is_no_rows(body: &[u8], id: &str) -> bool {
    let Ok(text) = std::str::from_utf8(body) else {
        return false;
    };
    let Some((reply_id, _)) = text
        .trim()
        .strip_prefix(r#"{"id":"#)
        .and_then(|rest| rest.strip_suffix(r#""}"#))
        .and_then(|rest| rest.split_once(r#","error":""#))
    else {
        return false;
    };
    !id.is_empty() && reply_id.eq_ignore_ascii_case(id)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ID: &str = "2777AB74-BA51-4449-9723-06D20AE05EDA";

    fn reply(tail: &str) -> String {
        format!(r#"{{"deployID":"{ID}","domain":"d","serviceName":"app","version":"1.0",{tail}}}"#)
    }

    fn read(body: &str) -> Status {
        status(body.as_bytes(), ID, "app", "1.0")
    }

    #[test]
    fn the_three_words_that_count() {
        assert_eq!(read(&reply(r#""status":1"#)), Status::Running);
        assert_eq!(read(&reply(r#""status":2"#)), Status::Succeeded);
        assert_eq!(
            read(&reply(
                r#""status":3,"message":"no unit"}"#.trim_end_matches('}')
            )),
            Status::Failed("no unit".into())
        );
        for message in [
            "",
            r#","message":null"#,
            r#","message":"""#,
            r#","message":{"a":2}"#,
        ] {
            assert_eq!(
                read(&reply(&format!(r#""status":3{message}"#))),
                Status::Failed("coreos-deploy gives no reason".into())
            );
        }
        // Keys that this program doesn't know, another order, another case of the id.
        assert_eq!(
            read(&format!(
                r#" {{"status":2,"new":[{{}}],"version":"1.0","serviceName":"app","deployID":"{}"}} "#,
                ID.to_lowercase()
            )),
            Status::Succeeded
        );
    }

    #[test]
    fn a_failure_is_told_with_the_end_of_its_log() {
        let long = format!("{}\\nlast", "x".repeat(LOG));
        for (log, told) in [
            ("\"\"", "no unit"),
            ("null", "no unit"),
            ("7", "no unit"),
            (r#""\n no unit \n""#, "no unit"),
            (
                r#""Saving.\n\n Error: 400 \n""#,
                "no unit (log: Saving.; Error: 400)",
            ),
            (
                r#""Saving.\nERR: no unit\nError: 400\n\n""#,
                "no unit (log: Error: 400)",
            ),
            (r#""Saving.\nERR: no unit\n""#, "no unit"),
            (&format!("\"{long}\""), "no unit (log: last)"),
        ] {
            let body = reply(&format!(r#""status":3,"message":"no unit","log":{log}"#));
            assert_eq!(read(&body), Status::Failed(told.into()), "{log}");
        }
        let only = reply(r#""status":3,"log":"Error: 400""#);
        let told = "coreos-deploy gives no reason (log: Error: 400)";
        assert_eq!(read(&only), Status::Failed(told.into()));
    }

    #[test]
    fn everything_else_is_inconclusive() {
        let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        let mut bodies: Vec<String> = [
            r#""status":0"#,
            r#""status":7"#,
            r#""status":-2"#,
            r#""status":-0"#,
            r#""status":"2""#,
            r#""status":null"#,
            r#""x":1"#,
            r#""status":2.0"#,
            r#""status":2e0"#,
            r#""status":1e400"#,
            r#""status":18446744073709551618"#,
            r#""status":18446744073709551615"#,
            r#""status":true"#,
            r#""status":[2]"#,
            r#""status":{"status":2}"#,
            r#""status":3,"status":2"#,
            r#""status":2,"status":2"#,
            r#""Status":2"#,
            r#""status":02"#,
            r#""status":2,"version":"1.0""#,
            r#""status":2,"x":{"a":1,"a":1}"#,
            "\"status\":2\0",
            "\"status\":\0",
        ]
        .into_iter()
        .map(reply)
        .collect();
        bodies.push(reply(&format!(r#""status":2,"x":{}"#, nested(100_000))));
        bodies.push(nested(100_000));
        bodies.push("[".repeat(100_000));
        bodies.extend(
            [
                "",
                " ",
                "null",
                "2",
                "[]",
                "{}",
                r#"{"status":2}"#,
                "<html>2</html>",
                "\u{feff}{}",
                r#"{"message":"db down"}"#,
                r#"["2777AB74-BA51-4449-9723-06D20AE05EDA","app","1.0",2]"#,
            ]
            .map(str::to_owned),
        );
        let good = reply(r#""status":2"#);
        bodies.push(good.replace(ID, "2777AB74-BA51-4449-9723-06D20AE05EDB"));
        bodies.push(good.replace(&format!("\"{ID}\""), "null"));
        bodies.push(good.replace("\"1.0\"", "1.0"));
        bodies.push(format!("{good}{good}"));
        bodies.push(good[..good.len() - 1].to_owned());
        bodies.push(format!("\u{feff}{good}"));
        for body in bodies {
            let shown: String = body.chars().take(120).collect();
            assert!(matches!(read(&body), Status::Inconclusive(_)), "{shown}");
        }
        let utf16: Vec<u8> = good.encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert!(matches!(
            status(&utf16, ID, "app", "1.0"),
            Status::Inconclusive(_)
        ));
    }

    #[test]
    fn a_definite_answer_about_something_else_is_told_apart() {
        let good = reply(r#""status":2"#);
        for (from, to, what) in [
            ("\"app\"", "\"APP\"", "APP 1.0"),
            ("\"1.0\"", "\"1.0.0\"", "app 1.0.0"),
        ] {
            let other = good.replace(from, to);
            assert_eq!(read(&other), Status::OtherDeploy(what.into()));
        }
        // Of a deploy that was taken over the service was never known.
        let renamed = good.replace("\"app\"", "\"web\"");
        let taken_over = |body: &str| status(body.as_bytes(), ID, "", "1.0");
        assert_eq!(taken_over(&renamed), Status::Succeeded);
        let older = renamed.replace("\"1.0\"", "\"0.9\"");
        assert_eq!(taken_over(&older), Status::OtherDeploy("web 0.9".into()));
    }

    #[test]
    fn no_rows_is_that_one_reply_about_this_id() {
        let no_rows = |id: &str, error: &str| format!(r#"{{"id":{id},"error":"{error}"}}"#);
        let words = "sql: no rows in result set";
        assert_eq!(read(&no_rows(ID, words)), Status::NoRows);
        assert_eq!(read(&no_rows(&ID.to_lowercase(), words)), Status::NoRows);
        let no_table = "Error 1146: Table 'coreos_deploy.deploys' doesn't exist";
        assert_eq!(read(&no_rows(ID, no_table)), Status::NoRows);
        for body in [
            no_rows("00000000-0000-4000-8000-000000000000", words),
            no_rows("", words),
            format!("{}x", no_rows(ID, words)),
            format!("x{}", no_rows(ID, words)),
        ] {
            assert!(matches!(read(&body), Status::Inconclusive(_)), "{body}");
        }
    }

    #[test]
    fn an_id_is_read_only_where_there_is_one() {
        assert_eq!(
            deploy_id(format!(r#"{{"deployID":"{ID}"}}"#).as_bytes()).as_deref(),
            Some(ID)
        );
        for body in [
            "",
            "{}",
            "null",
            r#"{"deployID":""}"#,
            r#"{"deployID":7}"#,
            r#"{"deployID":"x"}"#,
            &format!(r#"["{ID}"]"#),
            &format!(r#"{{"deployID":"{ID}","deployID":"{ID}"}}"#),
        ] {
            assert_eq!(deploy_id(body.as_bytes()), None, "{body}");
        }
        for text in ["2777ab74-ba51-4449-9723-06D20AE05EDA", ID] {
            assert!(is_uuid(text));
        }
        for text in [
            "",
            "2777AB74BA51-4449-9723-06D20AE05EDA-",
            "2777AB74-BA51-4449-9723-06D20AE05EDG",
            "2777AB74-BA51-4449-9723-06D20AE05EDA1",
            "2777AB74-BA51-4449-9723-06D20AE05Eé",
        ] {
            assert!(!is_uuid(text), "{text}");
        }
    }

    #[test]
    fn info_needs_both_options() {
        let good = br#"{"options":{"name":"n","domain":"example.com","environment":"development","port":1}}"#;
        assert_eq!(
            info(good),
            Ok(Info {
                domain: "example.com".into(),
                environment: "development".into(),
                shown: "example.com development".into(),
            })
        );
        for body in [
            "",
            "{}",
            "[]",
            r#"{"options":[]}"#,
            r#"{"options":{"domain":"d"}}"#,
            r#"{"options":{"domain":"d","environment":1}}"#,
            r#"{"domain":"d","environment":"e"}"#,
        ] {
            assert!(info(body.as_bytes()).is_err(), "{body}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic_and_never_succeed(body in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(matches!(status(&body, ID, "app", "1.0"), Status::Inconclusive(_)));
            prop_assert_eq!(deploy_id(&body), None);
            prop_assert!(info(&body).is_err());
        }

        #[test]
        fn only_the_integer_two_succeeds(value in r#"-?[0-3]{1,2}(\.[0-9])?(e[0-9])?|"[0-3]"|null|true|\[2\]"#) {
            let succeeded = read(&reply(&format!(r#""status":{value}"#))) == Status::Succeeded;
            prop_assert_eq!(succeeded, value == "2", "{}", value);
        }

        #[test]
        fn a_damaged_success_is_not_about_another_deploy(at in 0usize..200, byte in any::<u8>()) {
            let mut body = reply(r#""status":2"#).into_bytes();
            let at = at % body.len();
            body[at] = byte;
            if status(&body, ID, "app", "1.0") == Status::Succeeded {
                let read: Value = serde_json::from_slice(&body).unwrap();
                prop_assert_eq!(&read["status"], &Value::from(2));
                prop_assert!(read["deployID"].as_str().unwrap().eq_ignore_ascii_case(ID));
            }
        }
    }
}
