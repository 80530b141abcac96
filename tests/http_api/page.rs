//! The status page, as a browser gets it; what it shows is looked at in one (`tests/page.sh`).

use crate::server::{Server, TOKEN};

#[test]
fn the_page_asks_for_no_token_and_lets_nothing_foreign_in() {
    let server = Server::start();
    let answer = server.ask("GET", "/", &[]);
    assert_eq!(answer.status(), 200);
    assert_eq!(
        answer.header("Content-Type"),
        Some("text/html; charset=utf-8")
    );
    assert!(answer.text().starts_with("<!doctype html>"));
    assert!(!answer.text().contains(TOKEN) && !answer.text().contains("example.com"));
    let policy = answer.header("Content-Security-Policy").unwrap();
    let rules: Vec<&str> = policy.split("; ").collect();
    for rule in [
        "default-src 'none'",
        "connect-src 'self'",
        "form-action 'none'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
    ] {
        assert!(rules.contains(&rule), "{rule}: {policy}");
    }
    for kind in ["script-src 'sha256-", "style-src 'sha256-"] {
        let rule = rules.iter().find(|rule| rule.starts_with(kind));
        assert_eq!(
            rule.map(|rule| rule.matches('\'').count()),
            Some(2),
            "{policy}"
        );
    }
    assert!(
        !policy.contains("unsafe") && !policy.contains('*'),
        "{policy}"
    );
    for (name, value) in [
        ("X-Content-Type-Options", "nosniff"),
        ("X-Frame-Options", "DENY"),
        ("Referrer-Policy", "no-referrer"),
        ("Cache-Control", "no-cache"),
        ("Cross-Origin-Opener-Policy", "same-origin"),
    ] {
        assert_eq!(answer.header(name), Some(value));
    }
}
