//! The template engine against what Go's text/template says of the same templates.

use proptest::prelude::*;
use serde::Deserialize;

use crate::payload::archive::File;
use crate::payload::metadata::Metadata;
use crate::payload::template::render;

#[derive(Deserialize)]
struct Case {
    template: String,
    output: Option<String>,
    #[serde(default)]
    error: bool,
    #[serde(default)]
    refused: bool,
}

fn rendered(template: &str) -> crate::error::Result<String> {
    let file = File {
        name: "a@.service.tmpl".into(),
        text: template.into(),
    };
    let metadata = Metadata {
        name: "example-video-mobile".into(),
        version: "1.0.1-22".into(),
        image_version: "1.0.1-22".into(),
        num_instances: 2,
    };
    render(&file, &metadata)
}

/// What is wrong with the answer to a case.
fn difference(case: &Case) -> Option<String> {
    let answer = rendered(&case.template);
    match (&case.output, &answer) {
        (Some(go), Ok(own)) if go == own && !case.refused => None,
        (Some(_), Err(_)) if case.refused => None,
        (None, Err(error)) if case.error && error.message.starts_with("a@.service.tmpl: ") => None,
        _ => Some(format!(
            "{:?}\n  Go:  {:?}\n  own: {answer:?}",
            case.template, case.output
        )),
    }
}

#[test]
fn as_go_or_refused() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("template_cases.json")).unwrap();
    assert!(cases.len() >= 150);
    let wrong: Vec<String> = cases.iter().filter_map(difference).collect();
    assert!(
        wrong.is_empty(),
        "{} cases:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn errors_name_line_and_action() {
    for (template, words) in [
        (
            "[Unit]\nA={{.State}}",
            ["line 2: {{.State}}: ", "no such field"],
        ),
        (
            "[Unit]\nA={{.Name}}\nB={{if .Name}}x",
            ["a@.service.tmpl: ", "unexpected EOF"],
        ),
        (
            "a\n\n{{range .Name}}x{{end}}",
            ["line 3: {{range .Name}}: ", "not supported"],
        ),
        (
            "a\n{{eq .Name 2}}",
            ["line 2: {{eq .Name 2}}: ", "incompatible types"],
        ),
        (
            "a\n{{nofunc}}",
            ["line 2: {{nofunc}}: ", "function \"nofunc\" not defined"],
        ),
        ("a\nb {{.Name", ["line 2: {{.Name: ", "unclosed action"]),
        ("a\nb\n{{.}}", ["rendered line 3: ", "not supported"]),
    ] {
        let error = rendered(template).unwrap_err();
        for word in words {
            assert!(error.message.contains(word), "{template:?}: {error}");
        }
    }
}

#[test]
fn what_would_hang_or_overflow_the_engine_is_refused() {
    for template in [
        r#"{{"\x"}}"#.to_owned(),
        r#"{{"\u12"}}"#.to_owned(),
        r#"{{define "\x"}}"#.to_owned(),
        r"{{`\x`}}".to_owned(),
        r#"{{"\x1é"}}"#.to_owned(),
        format!("{{{{{}1{}}}}}", "(".repeat(4000), ")".repeat(4000)),
        format!("{{{{if 0}}}}{}{{{{end}}}}", "{{else if 0}}".repeat(4000)),
        "{{if 1}}".repeat(4000),
        "x".repeat((64 << 10) + 1),
        r#"{{define "a"}}{{template "a"}}{{end}}{{template "a"}}"#.to_owned(),
        r#"{{printf "%999999999d" 1}}"#.to_owned(),
        format!(
            r#"{{{{$x := "x"}}}}{}{{{{$x}}}}"#,
            "{{$x = print $x $x}}".repeat(60)
        ),
    ] {
        assert!(
            rendered(&template).is_err(),
            "{}",
            &template[..template.len().min(80)]
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn text_without_actions_is_itself(text in "([^{]|\\{[^{]){0,80}") {
        prop_assert_eq!(rendered(&text).unwrap(), text);
    }

    #[test]
    fn any_text_is_an_answer(
        parts in proptest::collection::vec(
            proptest::sample::select(vec![
                "{{", "}}", "{{-", "-}}", " ", "\n", ".Name", "$", "$x", ":=", "|", "(", ")", "\"", "`",
                "'", "\\", "if", "else", "end", "with", "define", "template", "eq", "printf", "%d", "1",
                "é", "/*", "*/", ".",
            ]),
            0..24,
        )
    ) {
        if let Err(error) = rendered(&parts.concat()) {
            prop_assert!(!error.message.contains("too long") && !error.message.contains("broke down"));
        }
    }
}
