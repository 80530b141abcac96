use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;
use crate::text::LIMIT;

const LONG_ONE: &str = "c4nary+Art/p=ss&wo\"rd~1";
const SHORT: &str = "hunter2";

static MASKER: LazyLock<Masker> = LazyLock::new(masker);

fn masker() -> Masker {
    Masker::new([
        (Some("ci"), &Secret::new(LONG_ONE.into())),
        (Some("sysadm"), &Secret::new(SHORT.into())),
    ])
}

#[test]
fn every_encoding_of_a_secret_is_masked() {
    for said in [
        LONG_ONE,
        // Percent-encoded: whole, in lower case, only what must be, twice.
        "%63%34%6e%61ry%2BArt%2Fp%3Dss%26wo%22rd%7E1",
        "c4nary%2bArt%2fp%3dss%26wo%22rd~1",
        "c4nary+Art/p=ss&wo%22rd~1",
        "c4nary%252BArt%252Fp%253Dss%2526wo%2522rd~1",
        // JSON, as Go, PHP, Python and Rust write it.
        r#"c4nary+Art/p=ss\u0026wo\"rd~1"#,
        r"c4nary\u002bArt\/p\u003Dss\u0026wo\u0022rd~1",
        r#"c4nary+Art/p=ss&wo\\\"rd~1"#,
        r#"c4nary\u{2b}Art/p=ss&wo\"rd~1"#,
        // HTML.
        "c4nary&#43;Art/p=ss&amp;wo&#34;rd~1",
        "c4nary&#x2B;Art&#x2f;p&equals;ss&amp;wo&quot;rd&#126;1",
        // Base64 with and without padding, in both alphabets, and percent-encoded.
        "YzRuYXJ5K0FydC9wPXNzJndvInJkfjE=",
        "YzRuYXJ5K0FydC9wPXNzJndvInJkfjE",
        "YzRuYXJ5K0FydC9wPXNzJndvInJkfjE%3D",
        "Y2k6YzRuYXJ5K0FydC9wPXNzJndvInJkfjE=",
        "Y2k6YzRuYXJ5K0FydC9wPXNzJndvInJkfjE",
        // Base64 of more than the secret, at each distance from the beginning.
        "eGM0bmFyeStBcnQvcD1zcyZ3byJyZH4x",
        "eHhjNG5hcnkrQXJ0L3A9c3Mmd28icmR+MQ==",
        "eHhjNG5hcnkrQXJ0L3A9c3Mmd28icmR-MQ",
    ] {
        assert_eq!(masker().text(format!("a <{said}> b")), "a <***> b");
    }
    let hex = forms::hex(LONG_ONE);
    for said in [hex.to_uppercase(), hex, LONG_ONE.to_lowercase()] {
        assert_eq!(masker().text(format!("a{said}b")), "a***b");
    }
}

#[test]
fn a_secret_in_pieces_is_masked() {
    let wrapped = "YzRuYXJ5K0FydC\r\n9wPXNzJndvInJkfjE=";
    let hex = forms::hex(LONG_ONE);
    let pairs: Vec<&str> = (0..hex.len() / 2)
        .map(|at| &hex[at * 2..at * 2 + 2])
        .collect();
    for said in [
        wrapped.to_owned(),
        pairs.join(":"),
        pairs.join(" ").to_uppercase(),
        LONG_ONE.to_uppercase(),
        LONG_ONE.replace("Art", "A\nr\u{200b}t"),
        LONG_ONE.chars().flat_map(|c| [c, '\0']).collect(),
        LONG_ONE.replace('+', r"\053"),
    ] {
        let shown = MASKER.text(format!("a <{said}> b"));
        assert!(
            shown.starts_with("a <***") && shown.len() < 24,
            "{said:?}: {shown}"
        );
    }
    for said in [
        "password=<hunter2>",
        "password: [hunter2]",
        "password=“hunter2”",
    ] {
        assert!(!MASKER.text(said).contains("hunter2"), "{said}");
    }
}

#[test]
fn a_secret_beyond_ascii_is_masked() {
    let masker = Masker::new([(None, &Secret::new("pässwörd😀".into()))]);
    for said in [
        "pässwörd😀",
        "p%C3%A4ssw%c3%b6rd%F0%9F%98%80",
        r"p\u00e4ssw\u00F6rd\ud83d\ude00",
        "p&#228;ssw&#xF6;rd&#x1F600;",
    ] {
        assert_eq!(masker.text(said), "***");
    }
}

#[test]
fn a_short_secret_is_masked_where_a_password_stands() {
    for (said, shown) in [
        ("Bearer hunter2", "Bearer ***"),
        ("'bearer hunter2'", "'bearer ***'"),
        ("Bearer%20hunter2", "Bearer%20***"),
        ("Basic c3lzYWRtOmh1bnRlcjI=", "Basic ***"),
        ("got c3lzYWRtOmh1bnRlcjI= for it", "got *** for it"),
        ("Basic aHVudGVyMg==", "Basic ***=="),
        ("password=hunter2&x", "password=***&x"),
        (r#"{"password": "hunter2"}"#, r#"{"password": "***"}"#),
        ("api_key: hunter2", "api_key: ***"),
        ("X-JFrog-Art-Api: hunter2", "X-JFrog-Art-Api: ***"),
        ("password%3Dhunter2", "password%3D***"),
        ("https://x:hunter2@host/", "https://x:***@host/"),
        ("https://hunter2@host/", "https://***@host/"),
        ("x:hunter2@tcp(h)/db", "x:***@tcp(h)/db"),
        ("sysadm:hunter2", "***"),
        // Usual words stay.
        ("hunter2 is an app", "hunter2 is an app"),
        ("Bearer hunter22", "Bearer hunter22"),
        ("Bearerhunter2", "Bearerhunter2"),
        ("the password hunter2", "the password hunter2"),
        ("hunter2", "hunter2"),
    ] {
        assert_eq!(masker().text(said), shown);
    }
}

#[test]
fn no_cut_leaves_the_beginning_of_a_secret() {
    let known = masker();
    let is_clean = |text: &str| {
        let shown = known.text(text);
        assert!(!shown.contains("c4n"), "{shown}");
    };
    // Across our own limits.
    for before in LIMIT - 30..=LIMIT {
        is_clean(&format!("{}{LONG_ONE}", "x".repeat(before)));
    }
    let one = Secret::new("c4nary".repeat(100));
    let of_it = Masker::new([(None, &one)]);
    for before in 0..40 {
        let said = format!(
            "{} {}",
            "x".repeat(before),
            format!("{one} ", one = one.expose()).repeat(20)
        );
        let shown = of_it.text(said);
        assert!(!shown.contains("c4"), "{shown}");
        assert!(shown.chars().count() < LIMIT, "{shown}");
    }
    // Where the peer broke off.
    for end in HEAD..LONG_ONE.len() {
        is_clean(&format!("Bearer {}", &LONG_ONE[..end]));
    }
    is_clean("Bearer c4nary%2");
    is_clean(r"Bearer c4nary\u00");
    is_clean("Bearer c4nary&#4");
    assert_eq!(masker().text("Basic Y2k6YzRuYXJ5K0Fy"), "Basic ***");
}

#[test]
fn other_text_is_made_printable_and_left_alone() {
    let masker = masker();
    assert_eq!(
        masker.text("  50% of a+b &amp; \\u0041\n"),
        "50% of a+b &amp; \\u0041"
    );
    assert_eq!(masker.text(b"\x1b[31m \xff"), "\\u{1b}[31m \u{fffd}");
    assert_eq!(Masker::default().text("x"), "x");
    let empty = Masker::new([(Some("u"), &Secret::new(String::new()))]);
    assert_eq!(empty.text("Bearer , u: x"), "Bearer , u: x");
    let debugged = format!("{masker:?}");
    assert!(!debugged.contains("c4nary") && !debugged.contains(SHORT));
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(said in prop::collection::vec(any::<u8>(), 0..200)) {
        MASKER.text(said);
    }

    #[test]
    fn a_secret_between_escapes_never_shows(
        before in r"[%&\\u{};#x0-9a-f+ ]{0,12}",
        after in r"[%&\\u{};#x0-9a-f+ ]{0,12}",
    ) {
        let shown = MASKER.text(format!("{before}{LONG_ONE}{after}"));
        prop_assert!(!shown.contains("c4nary"), "{}", shown);
    }
}
