//! What is a unit: cases that systemd 252 and go-systemd were asked about.

use super::super::unit::check;

/// What is wrong or not, a unit, and words of what is said of it. `$REST` is the end of a good unit,
/// `$HALF` is 2000 letters.
type Case = (&'static str, &'static str, &'static str);

/// What is taken; with words, where one of the two readers does not take it in full.
const TAKEN: &[Case] = &[
    ("plain", "[Service]\n$REST", ""),
    ("CRLF", "[Service]\r\nA=x\r\nExecStart=/x\r\n", ""),
    ("no line end", "[Service]\nExecStart=/x", ""),
    ("BOM", "\u{feff}[Service]\n$REST", ""),
    ("comment first", "# a\n; b\n\n[Service]\n$REST", ""),
    ("indented comment", "[Service]\n  # c\n\t; d=\n$REST", ""),
    ("empty value", "[Service]\nA=\n$REST", ""),
    ("blanks around =", "[Service]\nExecStart = /x\n", ""),
    ("continued", "[Service]\nA=a \\\n  b \\\n  c\n$REST", ""),
    ("continued, then blank", "[Service]\nA=a \\\n\n$REST", ""),
    ("ends in \\", "[Service]\nExecStart=/x \\", ""),
    (
        "ends in \\ and a line end",
        "[Service]\nExecStart=/x \\\n",
        "",
    ),
    (
        "section twice",
        "[Service]\nA=1\n[Unit]\nB=1\n[Service]\n$REST",
        "",
    ),
    ("blank behind ]", "[Service] \t\n$REST", ""),
    ("X- section", "[Service]\n$REST[X-Fleet]\nGlobal=true\n", ""),
    ("unknown option", "[Service]\nFoo=1\nBindTo=x\n$REST", ""),
    ("unknown specifier", "[Service]\nExecStart=/x %Q\n", ""),
    (
        "ExecStop alone",
        "[Service]\nType=oneshot\nExecStop=/x\n",
        "",
    ),
    ("SuccessAction alone", "[Unit]\nSuccessAction=exit\n", ""),
    (
        "set again",
        "[Service]\nExecStart=/x\nExecStart=\nExecStart=/y\n",
        "",
    ),
    (
        "comment continued by comments",
        "[Service]\n#A=1 \\\n#  b\n$REST",
        "",
    ),
    ("equals signs in a value", "[Service]\nA==x=y\n$REST", ""),
    (
        "conflict marker inside of a line",
        "[Service]\nExecStart=/x <<<<<<< y\n",
        "",
    ),
    (
        "eight equals signs in a comment",
        "[Service]\n# ========\n$REST",
        "",
    ),
    ("long continued", "[Service]\nA=$HALF\\\n$HALF\n$REST", ""),
    (
        "long line",
        "[Service]\nA=$HALF$HALF\n$REST",
        "rendered line 2: fleet reads at most 2047",
    ),
    (
        "long comment",
        "[Service]\n#$HALF$HALF\n$REST",
        "line 2: fleet reads at most",
    ),
    (
        "CRLF, continued",
        "[Service]\r\nExecStart=/x \\\r\n  y\r\n",
        "line 3: no '=', fleet",
    ),
    (
        "comment in a continued value",
        "[Service]\nA=a \\\n# c\n  b\n$REST",
        "line 4: no '=', fleet",
    ),
    (
        "comment ends in \\",
        "[Service]\n# a \\\n$REST",
        "line 3: fleet takes it for a part",
    ),
    (
        "no name",
        "[Service]\n=x\n$REST",
        "line 2: no name before '=', systemd",
    ),
    (
        "unknown section",
        "[Service]\n$REST[Foo]\nA=1\n",
        "line 3: systemd knows no section [Foo]",
    ),
    (
        "two backslashes at an end",
        "[Service]\nA=x\\\\\n  y\n$REST",
        "line 3: no '=', systemd",
    ),
];

const NONE: &str = "no ExecStart= and no ExecStop=";

/// What neither takes in full.
const REFUSED: &[Case] = &[
    ("text", "hello world\n", "line 1: before the first section"),
    (
        "text before a section",
        "hello\n[Service]\n$REST",
        "line 1: before",
    ),
    (
        "option before a section",
        "\nA=1\n[Service]\n$REST",
        "line 2: before",
    ),
    (
        "text before [ in a line",
        "a [Service]\n$REST",
        "line 1: before",
    ),
    ("JSON", "{\n\"a\": [1]\n}\n", "line 1: before"),
    ("HTML", "<html>\n<body class=\"x\">\n", "line 1: before"),
    (
        "unclosed section",
        "[Unit\nA=1\n[Service]\n$REST",
        "line 1: \"[Unit\" is no section",
    ),
    (
        "unclosed section later",
        "[Service]\n$REST[X-Fleet\nGlobal=true\n",
        "line 3: ",
    ),
    (
        "text behind a section",
        "[Unit]\n[Service] x\n$REST",
        "line 2: \"[Service] x\"",
    ),
    ("doubled brackets", "[[Service]]\n$REST", "line 1: "),
    ("no =", "[Service]\n$RESToops\n", "line 3: no '='"),
    ("no = at the end", "[Service]\n$RESToops", "line 3: no '='"),
    (
        "a colon for =",
        "[Service]\n$RESTRestart: always\n",
        "line 3: no '='",
    ),
    (
        "blank behind \\",
        "[Service]\nExecStart=/x \\ \n  y\n",
        "line 3: no '='",
    ),
    (
        "conflict",
        "[Service]\n<<<<<<< HEAD\n$REST=======\n>>>>>>> b\n",
        "line 2: a marker of",
    ),
    (
        "conflict, only its middle",
        "[Service]\n$REST=======\n",
        "line 3: a marker of",
    ),
    (
        "conflict, only its end",
        "[Service]\r\n$REST>>>>>>> b\r\n",
        "line 3: a marker of",
    ),
    (
        "conflict, with the base",
        "[Service]\n$REST||||||| b\n",
        "line 3: a marker of",
    ),
    ("nothing but comments", "# a\n", NONE),
    ("no [Service]", "[Unit]\nDescription=a\n", NONE),
    (
        "empty [Service]",
        "[Unit]\nDescription=a\n[Service]\n",
        NONE,
    ),
    (
        "nothing to execute",
        "[Service]\nType=simple\nExecStartPre=/x\n",
        NONE,
    ),
    ("taken back", "[Service]\nExecStart=/x\nExecStart=\n", NONE),
    ("another section's", "[Unit]\nExecStart=/x\n", NONE),
    ("another letter case", "[service]\nExecStart=/x\n", NONE),
];

fn judged(unit: &str) -> String {
    let unit = unit
        .replace("$REST", "ExecStart=/x\n")
        .replace("$HALF", &"x".repeat(2000));
    match check(&unit) {
        Ok(None) => "taken".to_owned(),
        Ok(Some(note)) => format!("taken; {note}"),
        Err(what) => format!("refused; {what}"),
    }
}

#[test]
fn what_either_reader_takes_in_full_is_taken() {
    for (what, unit, words) in TAKEN {
        let judgement = judged(unit);
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
    for (what, unit, words) in REFUSED {
        let judgement = judged(unit);
        assert!(judgement.starts_with("refused"), "{what}: {judgement}");
        assert!(judgement.contains(words), "{what}: {judgement}");
    }
}
