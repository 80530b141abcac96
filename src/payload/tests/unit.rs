//! What is a unit: cases that systemd 252 and go-systemd were asked about.

use super::super::unit::check;

/// The end of a good unit.
const REST: &str = "ExecStart=/x\n";

fn judged(unit: &str) -> String {
    match check(unit) {
        Ok(None) => "taken".to_owned(),
        Ok(Some(note)) => format!("taken; {note}"),
        Err(what) => format!("refused; {what}"),
    }
}

#[test]
fn what_either_reader_takes_in_full_is_taken() {
    let long = |start: &str| format!("[Service]\n{start}{}\n{REST}", "x".repeat(3000));
    for (what, unit, words) in [
        ("plain", format!("[Service]\n{REST}"), ""),
        ("CRLF", "[Service]\r\nA=x\r\nExecStart=/x\r\n".into(), ""),
        ("no line end", "[Service]\nExecStart=/x".into(), ""),
        ("BOM", format!("\u{feff}[Service]\n{REST}"), ""),
        (
            "comment first",
            format!("# a\n; b\n\n[Service]\n{REST}"),
            "",
        ),
        (
            "indented comment",
            format!("[Service]\n  # c\n\t; d=\n{REST}"),
            "",
        ),
        ("empty value", format!("[Service]\nA=\n{REST}"), ""),
        ("blanks around =", "[Service]\nExecStart = /x\n".into(), ""),
        (
            "continued",
            format!("[Service]\nA=a \\\n  b \\\n  c\n{REST}"),
            "",
        ),
        (
            "continued, then blank",
            format!("[Service]\nA=a \\\n\n{REST}"),
            "",
        ),
        ("ends in \\", "[Service]\nExecStart=/x \\".into(), ""),
        (
            "ends in \\ and a line end",
            "[Service]\nExecStart=/x \\\n".into(),
            "",
        ),
        (
            "section twice",
            format!("[Service]\nA=1\n[Unit]\nB=1\n[Service]\n{REST}"),
            "",
        ),
        ("blank behind ]", format!("[Service] \t\n{REST}"), ""),
        (
            "X- section",
            format!("[Service]\n{REST}[X-Fleet]\nGlobal=true\n"),
            "",
        ),
        (
            "unknown option",
            format!("[Service]\nFoo=1\nBindTo=x\n{REST}"),
            "",
        ),
        (
            "unknown specifier",
            "[Service]\nExecStart=/x %Q\n".into(),
            "",
        ),
        (
            "ExecStop alone",
            "[Service]\nType=oneshot\nExecStop=/x\n".into(),
            "",
        ),
        (
            "SuccessAction alone",
            "[Unit]\nSuccessAction=exit\n".into(),
            "",
        ),
        (
            "set again",
            "[Service]\nExecStart=/x\nExecStart=\nExecStart=/y\n".into(),
            "",
        ),
        (
            "comment continued by comments",
            format!("[Service]\n#A=1 \\\n#  b\n{REST}"),
            "",
        ),
        (
            "equals signs in a value",
            format!("[Service]\nA==x=y\n{REST}"),
            "",
        ),
        (
            "conflict marker inside of a line",
            "[Service]\nExecStart=/x <<<<<<< y\n".into(),
            "",
        ),
        (
            "eight equals signs in a comment",
            format!("[Service]\n# ========\n{REST}"),
            "",
        ),
        (
            "long continued",
            {
                let half = "x".repeat(2000);
                format!("[Service]\nA={half}\\\n{half}\n{REST}")
            },
            "",
        ),
        (
            "long line",
            long("A="),
            "rendered line 2: fleet reads at most 2047",
        ),
        ("long comment", long("#"), "line 2: fleet reads at most"),
        (
            "CRLF, continued",
            "[Service]\r\nExecStart=/x \\\r\n  y\r\n".into(),
            "line 3: no '=', fleet",
        ),
        (
            "comment in a continued value",
            format!("[Service]\nA=a \\\n# c\n  b\n{REST}"),
            "line 4: no '=', fleet",
        ),
        (
            "comment ends in \\",
            format!("[Service]\n# a \\\n{REST}"),
            "line 3: fleet takes it for a part",
        ),
        (
            "no name",
            format!("[Service]\n=x\n{REST}"),
            "line 2: no name before '=', systemd",
        ),
        (
            "unknown section",
            format!("[Service]\n{REST}[Foo]\nA=1\n"),
            "line 3: systemd knows no section [Foo]",
        ),
        (
            "two backslashes at an end",
            format!("[Service]\nA=x\\\\\n  y\n{REST}"),
            "line 3: no '=', systemd",
        ),
    ] {
        let judgement = judged(&unit);
        assert!(judgement.starts_with("taken"), "{what}: {judgement}");
        assert_eq!(
            judgement == "taken",
            words.is_empty(),
            "{what}: {judgement}"
        );
        assert!(judgement.contains(words), "{what}: {judgement}");
    }
}

#[test]
fn what_neither_takes_in_full_is_refused_with_the_line() {
    let none = "no ExecStart= and no ExecStop=";
    for (what, unit, words) in [
        (
            "text",
            "hello world\n".into(),
            "line 1: before the first section",
        ),
        (
            "text before a section",
            format!("hello\n[Service]\n{REST}"),
            "line 1: before",
        ),
        (
            "option before a section",
            format!("\nA=1\n[Service]\n{REST}"),
            "line 2: before",
        ),
        (
            "text before [ in a line",
            format!("a [Service]\n{REST}"),
            "line 1: before",
        ),
        ("JSON", "{\n\"a\": [1]\n}\n".into(), "line 1: before"),
        (
            "HTML",
            "<html>\n<body class=\"x\">\n".into(),
            "line 1: before",
        ),
        (
            "unclosed section",
            format!("[Unit\nA=1\n[Service]\n{REST}"),
            "line 1: \"[Unit\" is no section",
        ),
        (
            "unclosed section later",
            format!("[Service]\n{REST}[X-Fleet\nGlobal=true\n"),
            "line 3: ",
        ),
        (
            "text behind a section",
            format!("[Unit]\n[Service] x\n{REST}"),
            "line 2: \"[Service] x\"",
        ),
        (
            "doubled brackets",
            format!("[[Service]]\n{REST}"),
            "line 1: ",
        ),
        ("no =", format!("[Service]\n{REST}oops\n"), "line 3: no '='"),
        (
            "no = at the end",
            format!("[Service]\n{REST}oops"),
            "line 3: no '='",
        ),
        (
            "a colon for =",
            format!("[Service]\n{REST}Restart: always\n"),
            "line 3: no '='",
        ),
        (
            "blank behind \\",
            "[Service]\nExecStart=/x \\ \n  y\n".into(),
            "line 3: no '='",
        ),
        (
            "conflict",
            format!("[Service]\n<<<<<<< HEAD\n{REST}=======\n>>>>>>> b\n"),
            "line 2: a marker of",
        ),
        (
            "conflict, only its middle",
            format!("[Service]\n{REST}=======\n"),
            "line 3: a marker of",
        ),
        (
            "conflict, only its end",
            format!("[Service]\r\n{REST}>>>>>>> b\r\n"),
            "line 3: a marker of",
        ),
        (
            "conflict, with the base",
            format!("[Service]\n{REST}||||||| b\n"),
            "line 3: a marker of",
        ),
        ("nothing but comments", "# a\n".into(), none),
        ("no [Service]", "[Unit]\nDescription=a\n".into(), none),
        (
            "empty [Service]",
            "[Unit]\nDescription=a\n[Service]\n".into(),
            none,
        ),
        (
            "nothing to execute",
            "[Service]\nType=simple\nExecStartPre=/x\n".into(),
            none,
        ),
        (
            "taken back",
            "[Service]\nExecStart=/x\nExecStart=\n".into(),
            none,
        ),
        ("another section's", "[Unit]\nExecStart=/x\n".into(), none),
        (
            "another letter case",
            "[service]\nExecStart=/x\n".into(),
            none,
        ),
    ] {
        let judgement = judged(&unit);
        assert!(judgement.starts_with("refused"), "{what}: {judgement}");
        assert!(judgement.contains(words), "{what}: {judgement}");
    }
}
