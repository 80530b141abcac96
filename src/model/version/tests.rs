use std::cmp::Ordering;

use proptest::prelude::*;

use super::*;

mod real_lists;

/// How a pre-release is shown.
const EARLY: [&str; 7] = [
    "pre-release",
    "snapshot",
    "alpha",
    "beta",
    "milestone",
    "preview",
    "candidate",
];

fn compare(order: Order, a: &str, b: &str) -> Ordering {
    let key = |v: &str| order.key(v).unwrap_or_else(|| panic!("{v} has no key"));
    key(a).cmp(&key(b))
}

fn assert_ascending(order: Order, chain: &[&str]) {
    for (i, a) in chain.iter().enumerate() {
        for (j, b) in chain.iter().enumerate() {
            assert_eq!(compare(order, a, b), i.cmp(&j), "{a} {b}");
        }
    }
}

#[test]
fn natural_chains() {
    for chain in [
        &["1.0.1-9", "1.0.1-22", "1.0.1-100"][..],
        &["1.0.1-rc1", "1.0.1", "1.0.1-22", "1.0.2"],
        &["1.0-22", "1.0.1"],
        &["1.0.9", "1.0.10"],
        &["v1.2", "v1.10"],
        &["1.2", "v1.10", "V1.11", "2"],
        &["1.0.2", "1.0.2a", "1.0.2b", "1.0.2-1", "1.0.2-2", "1.0.3"],
        &[
            "1.0-dev",
            "1.0-alpha",
            "1.0-beta",
            "1.0-milestone",
            "1.0-pre",
            "1.0-rc",
            "1.0",
            "1.0-final",
            "1.0-hotfix",
            "1.0-1",
        ],
        &[
            "1.0a1", "1.0a2", "1.0b1", "1.0m1", "1.0rc1", "1.0", "1.0a", "1.0b", "1.0m",
        ],
        &["1.0-rc", "1.0-rc.1", "1.0-rc2", "1.0-rc10"],
        &["1.0-rc1-dev", "1.0-rc1", "1.0-rc1-x", "1.0-rc1-1"],
        &["1.0-SNAPSHOT", "1.0+dev5", "1.0", "1.0+x", "1.0+1", "1.0+2"],
        &["1.0-22+1", "1.0-22+2", "1.0-23"],
        &["master", "1"],
        &["99999999999999999999999", "100000000000000000000000"],
        &["20250101", "20250102-1", "20250102-2"],
    ] {
        assert_ascending(Order::Natural, chain);
    }
}

#[test]
fn natural_versions_that_are_equal() {
    for (a, b) in [
        ("1.0", "1.0.0"),
        ("1", "1.0.0.0"),
        ("1.0", "v1.0"),
        ("1.0", "V01.00"),
        ("1.0-0", "1.0"),
        ("1.0+0", "1.0"),
        ("1.0-rc", "1.0-RC.0"),
        ("1.0-rc1", "1.0.cr_1"),
        ("1.0-SNAPSHOT", "1.0-nightly"),
        ("1.0-pre3", "1.0-preview3"),
        ("1.0a2", "1.0-alpha-2"),
        ("1.0-x", "1.0.X"),
        ("1..2", "1-2"),
        ("", "0"),
        ("1.0-0-rc", "1.0-0-rc-0-0"),
    ] {
        assert_eq!(compare(Order::Natural, a, b), Ordering::Equal, "{a} {b}");
        assert_eq!(Order::Natural.key(a), Order::Natural.key(b), "{a} {b}");
    }
}

#[test]
fn a_zero_in_the_middle_is_not_dropped() {
    assert_eq!(compare(Order::Natural, "1-0-1", "1-1"), Ordering::Less);
    assert_eq!(compare(Order::Natural, "1-0-rc", "1"), Ordering::Less);
    assert_eq!(compare(Order::Natural, "1-0-rc", "1-rc"), Ordering::Greater);
    assert_eq!(compare(Order::Natural, "1.0.1", "1.1"), Ordering::Less);
}

#[test]
fn only_a_v_before_a_digit_is_dropped() {
    assert_ne!(compare(Order::Natural, "vv1", "1"), Ordering::Equal);
    assert_ne!(compare(Order::Natural, "version1", "1"), Ordering::Equal);
    assert_ne!(compare(Order::Natural, "v", ""), Ordering::Equal);
}

#[test]
fn letters_and_words_in_their_place() {
    for (version, shown) in [
        ("1.0a1", "[1] [pre-release alpha 1]"),
        ("1.0-a.1", "[1] [pre-release alpha 1]"),
        ("1.0c1", "[1] [pre-release candidate 1]"),
        ("1.0-EAP3", "[1] [pre-release milestone 3]"),
        ("1.0-ea", "[1] [pre-release milestone]"),
        ("1.0-5-M2", "[1] [pre-release 5 milestone 2]"),
        ("1.0-rc1dev5", "[1] [pre-release candidate 1 snapshot 5]"),
        ("1.0-a1b2c3d", "[1] [word:a 1 word:b 2 word:c 3 word:d]"),
        ("1.0-g9c1", "[1] [word:g 9 word:c 1]"),
        ("1.0-a123456", "[1] [word:a 123456]"),
        ("1.0-ea12345", "[1] [word:ea 12345]"),
        ("1.0a20230101", "[1] [pre-release alpha 20230101]"),
        ("1.0.2a", "[1 0 2] [word:a]"),
        ("1.0-a-x", "[1] [word:a word:x]"),
        ("1.0-5rc1", "[1] [5 candidate 1]"),
        ("1.0-prefix1", "[1] [word:prefix 1]"),
        ("1.0-1+b2", "[1] [1] + [word:b 2]"),
        ("go1.21rc2", "[] [word:go 1 21 pre-release candidate 2]"),
        ("Hoxton.M1", "[] [word:hoxton pre-release milestone 1]"),
        ("b5", "[] [word:b 5]"),
        ("x-ab5", "[] [word:x word:ab 5]"),
        ("x-b1234567", "[] [word:x word:b 1234567]"),
        ("Hoxton.RC1", "[] [word:hoxton pre-release candidate 1]"),
        (
            "1.0-20230101.123456-1",
            "[1] [pre-release snapshot 20230101 123456 1]",
        ),
        ("1.0-20230101.123456", "[1] [20230101 123456]"),
        ("1.0-20231301.123456-1", "[1] [20231301 123456 1]"),
        ("1.0-20230101.126056-1", "[1] [20230101 126056 1]"),
        (
            "1.2.4-0.20190101000000-abcdefabcdef",
            "[1 2 4] [pre-release snapshot 0 20190101000000 word:abcdefabcdef]",
        ),
        (
            "1.2.4-20190101000000-abcdefabcdef",
            "[1 2 4] [20190101000000 word:abcdefabcdef]",
        ),
    ] {
        let key = Order::Natural.key(version).unwrap();
        assert_eq!(key.to_string(), shown, "{version}");
    }
}

#[test]
fn words_that_say_nothing() {
    for (version, word) in [
        ("1.0-rc1", None),
        ("1.0-final", None),
        ("1.0.2a", None),
        ("1.0a1", None),
        ("1.0-5-g1a2b3c4", None),
        ("release-2.0.0", None),
        ("9.4.0.v20161208", None),
        ("1.2.4-0.20190101000000-abcdefabcdef", None),
        ("1.0+anything", None),
        ("1.0-quux", Some("quux")),
        ("1.0-rc1-quux", Some("quux")),
        ("1.0-1a2b3c4", Some("1a2b3c4")),
        ("1.0-5x2", Some("x")),
        ("Finchley.SR1", Some("Finchley")),
        ("app-1.0", Some("app")),
    ] {
        let unknown = Order::Natural.unknown_word(version);
        assert_eq!(unknown.as_deref(), word, "{version}");
        assert_eq!(Order::Semver.unknown_word(version), None);
    }
}

#[test]
fn semver_precedence() {
    assert_ascending(
        Order::Semver,
        &[
            "0.9.9",
            "1.0.0-1",
            "1.0.0-2",
            "1.0.0-11",
            "1.0.0--",
            "1.0.0-alpha",
            "1.0.0-alpha.1",
            "1.0.0-alpha.beta",
            "1.0.0-beta",
            "1.0.0-beta.2",
            "1.0.0-beta.11",
            "1.0.0-rc.1",
            "1.0.0",
            "1.0.1",
            "1.9.0",
            "1.10.0",
            "99999999999999999999999.0.0",
        ],
    );
    assert_eq!(
        compare(Order::Semver, "1.0.0+a.001", "1.0.0+b"),
        Ordering::Equal
    );
    assert_eq!(
        compare(Order::Semver, "1.0.0-x-y+b-c", "1.0.0-x-y"),
        Ordering::Equal
    );
    assert_eq!(
        compare(Order::Semver, "1.0.0-RC", "1.0.0-rc"),
        Ordering::Less
    );
}

#[test]
fn what_is_not_semver_has_no_key() {
    for bad in [
        "",
        "1",
        "1.0",
        "v1.0.0",
        "1.0.0.0",
        "01.0.0",
        "1.00.0",
        "1.0.0-",
        "1.0.0-01",
        "1.0.0-a..b",
        "1.0.0+",
        "1.0.0+a..b",
        "1.0.0+a+b",
        "1.0.0-a_b",
        "1.0.0 ",
        "1.0.x",
        "1..0",
        "1.0.0-é",
        "-1.0.0",
        "+1.0.0",
    ] {
        assert_eq!(Order::Semver.key(bad), None, "{bad}");
    }
    for good in [
        "0.0.0",
        "1.0.0-0",
        "1.0.0-0a",
        "1.0.0+001",
        "1.0.0-a.b.c+d.e",
    ] {
        assert!(Order::Semver.key(good).is_some(), "{good}");
    }
}

#[test]
fn orders_have_names() {
    for order in [Order::Natural, Order::Semver] {
        assert_eq!(Order::parse(order.as_str()), Some(order));
    }
    assert_eq!(Order::parse("Natural"), None);
    assert_eq!(Order::default(), Order::Natural);
}

/// Short texts made of the pieces that the natural order treats specially, so that ties and near
/// ties are common.
fn version_like() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "0", "1", "2", "10", "00", "01", "a", "b", "m", "v", "x", "rc", "RC", "dev", "beta", "pre",
        "alpha", "c", "ea", "next", ".", "-", "_", "+", ".", "-",
    ]);
    prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

fn any_version() -> impl Strategy<Value = String> {
    prop_oneof![4 => version_like(), 1 => any::<String>(), 1 => "[0-9a-z.+-]{0,12}"]
}

fn semver_like() -> impl Strategy<Value = String> {
    "[012]\\.[01]\\.[01](-(0|1|10|a|b|-){1,2}(\\.(0|1|2|a)){0,2})?(\\+[ab]{1,2})?"
}

fn check_order(order: Order, a: &str, b: &str, c: &str) -> Result<(), TestCaseError> {
    let (Some(ka), Some(kb), Some(kc)) = (order.key(a), order.key(b), order.key(c)) else {
        prop_assert!(order == Order::Semver);
        return Ok(());
    };
    prop_assert_eq!(ka.cmp(&kb), kb.cmp(&ka).reverse());
    prop_assert_eq!(ka.cmp(&kb).is_eq(), ka == kb);
    prop_assert_eq!(ka.cmp(&order.key(a).unwrap()), Ordering::Equal);
    if ka <= kb && kb <= kc {
        prop_assert!(ka <= kc);
        prop_assert_eq!(ka == kc, ka == kb && kb == kc);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn natural_is_a_total_preorder(a in any_version(), b in any_version(), c in any_version()) {
        check_order(Order::Natural, &a, &b, &c)?;
    }

    #[test]
    fn semver_is_a_total_preorder(a in semver_like(), b in semver_like(), c in semver_like()) {
        check_order(Order::Semver, &a, &b, &c)?;
    }

    #[test]
    fn letter_case_does_not_count(v in version_like()) {
        let key = Order::Natural.key(&v);
        prop_assert_eq!(&key, &Order::Natural.key(&v.to_ascii_uppercase()));
        prop_assert_eq!(&key, &Order::Natural.key(&v.to_ascii_lowercase()));
    }

    #[test]
    fn a_trailing_zero_run_does_not_count(v in version_like()) {
        // A number makes a pre-release of a letter.
        let last = v.rsplit(['.', '-', '_', '+']).find(|token| !token.is_empty());
        if last.is_some_and(|token| ["a", "b", "c", "m"].iter().any(|letter| token.ends_with(letter))) {
            return Ok(());
        }
        prop_assert_eq!(Order::Natural.key(&v), Order::Natural.key(&format!("{v}-0")));
        prop_assert_eq!(Order::Natural.key(&v), Order::Natural.key(&format!("{v}..00")));
    }

    #[test]
    fn a_trailing_pre_release_word_is_earlier_and_a_trailing_number_later(v in version_like()) {
        // Behind a word that is itself all that differs from a release, the rule is the same.
        let pre = format!("{v}-rc");
        let fix = format!("{v}-x-1");
        prop_assert_eq!(compare(Order::Natural, &pre, &v), Ordering::Less);
        prop_assert_eq!(compare(Order::Natural, &fix, &v), Ordering::Greater);
    }

    #[test]
    fn leading_numbers_compare_as_numbers(a in any::<[u32; 3]>(), b in any::<[u32; 3]>()) {
        let text = |n: [u32; 3]| format!("{}.{}.{}", n[0], n[1], n[2]);
        for order in [Order::Natural, Order::Semver] {
            prop_assert_eq!(compare(order, &text(a), &text(b)), a.cmp(&b));
        }
    }

    #[test]
    fn build_numbers_compare_as_numbers(a in any::<u64>(), b in any::<u64>()) {
        prop_assert_eq!(
            compare(Order::Natural, &format!("1.0.1-{a}"), &format!("1.0.1-{b}")),
            a.cmp(&b)
        );
    }

    #[test]
    fn a_hash_is_no_pre_release(
        hash in "[0-9a-f]{7,40}",
        before in prop::sample::select(vec!["1.0-5-g", "v1.0-5-g", "1.0-g", "1.0+g", "1.0_5_g", "app-1.0-5-g", "1.0-", "1.0-5-"]),
        after in prop::sample::select(vec!["", "-dirty", "-1", "+1"]),
    ) {
        let version = format!("{before}{hash}{after}");
        for hash in [version.clone(), version.to_uppercase()] {
            let key = Order::Natural.key(&hash).unwrap();
            let release = Order::Natural.key(&before.replace(['g', '+'], "").replace("-5-", "").replace("_5_", "")).unwrap();
            prop_assert!(key >= release, "{key}");
            let shown = key.to_string();
            prop_assert!(EARLY.iter().all(|word| !shown.contains(word)), "{shown}");
        }
    }

    #[test]
    fn a_pre_release_word_anywhere_is_below_every_release_of_its_numbers(
        numbers in "[1-9](\\.[0-9]){0,3}",
        before in "([-_][0-9a-f]{1,8}){0,2}[-_]",
        word in prop::sample::select(vec![
            "dev", "develop", "SNAPSHOT", "nightly", "canary.5", "edge", "unstable.7", "next.1", "insiders",
            "pr12", "PullRequest0002.5", "alpha", "beta2", "milestone", "ea", "EAP3", "pre", "preview.1",
            "prerelease.1", "rc", "cr1", "a.1", "b2", "m3", "c1",
        ]),
        after in "([-._][0-9]{1,3})?",
        release in "(-[0-9]{1,3}|-hotfix|a)?",
    ) {
        let early = format!("{numbers}{before}{word}{after}");
        let release = format!("{numbers}{release}");
        prop_assert_eq!(compare(Order::Natural, &early, &release), Ordering::Less, "{} {}", early, release);
    }

    #[test]
    fn no_text_stops_it(v in any::<String>()) {
        let _ = Order::Natural.unknown_word(&v);
        prop_assert!(Order::Natural.key(&v).is_some());
        let _ = Order::Semver.key(&v);
    }
}
