//! The status page in a real browser: `tests/page.sh`.
//!
//! `CAM_TEST_PICTURES=DIR` also writes pictures of it there.

mod browser;

use std::path::PathBuf;

use serde_json::{Value, json};
use simulator::Behaviour;

use super::server::Server;
use crate::support::Rig;
use browser::Browser;

/// What would run if it were taken for more than text.
const HOSTILE: &str = "<img src=x onerror=\"document.title='owned'\">";
/// The sizes of a telephone and of a large screen.
const SIZES: [(u32, u32); 2] = [(360, 740), (1600, 1000)];
const TAB: (&str, u32) = ("Tab", 9);
const ENTER: (&str, u32) = ("Enter", 13);

/// A ledger with an app of every kind, and a server over it.
fn site() -> (Rig, Server) {
    let (rig, _) = Rig::on_sqlite();
    rig.publish("good", "1.0");
    rig.publish("held", "1.0");
    assert_eq!(rig.run(&["run"]).code, Some(0));
    rig.publish("fails", "1.0");
    let message = format!("{HOSTILE}\u{202e}");
    rig.deploy.next_deploy(Behaviour::Fail(message));
    assert_eq!(rig.run(&["run"]).code, Some(1));
    let reason = format!("{HOSTILE} & more");
    assert_eq!(
        rig.run(&["hold", "held", "--reason", &reason]).code,
        Some(0)
    );
    rig.publish("held", "1.1");
    rig.artifactory.put_marker("later", "2.0");
    rig.publish("mystery", "1.0");
    rig.deploy.next_deploy(Behaviour::NoRow);
    let ran = rig.run(&["run", "--deploy-timeout", "1s"]);
    assert_eq!(ran.code, Some(4), "{ran:?}");
    // Whoever writes to the ledger may give an app any name.
    let name = HOSTILE.replace('\'', "''");
    rig.sql(&format!(
        "INSERT INTO artifactory_attempts (id, domain, environment, app, version, service_name,
         num_instances, state, counts, command, token, created_at, updated_at, message)
         VALUES ('55555555-5555-4555-8555-555555555555', 'example.com', 'development', '{name}',
         '1; rm -rf ~', 'x', 1, 'unknown', 0, 'takeover', 1, 0, 0, '{name}')"
    ));
    let server = Server::start(&rig, &["-g", "0", "--deploy-timeout", "1s"]);
    (rig, server)
}

fn url(server: &Server) -> String {
    format!("http://127.0.0.1:{}/", server.port)
}

/// Types a token into the page, by keyboard alone.
fn sign_in(browser: &mut Browser, token: &str) {
    browser.until("document.activeElement.id === 'token'");
    browser.ask("Input.insertText", json!({ "text": token }));
    browser.press(ENTER.0, ENTER.1);
}

fn has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
}

#[test]
#[ignore = "needs chromium: tests/page.sh"]
fn the_page_shows_what_the_ledger_holds_and_nothing_runs() {
    let (rig, server) = site();
    let mut browser = Browser::start();
    browser.open(&url(&server));
    assert_eq!(
        browser.value("document.getElementById('data').hidden"),
        true
    );
    sign_in(&mut browser, server.token());
    browser.until("!document.getElementById('data').hidden");
    assert_eq!(browser.text("scope"), "example.com / development");
    has(
        &browser.text("failing"),
        &["fails", "1.0", HOSTILE, "\\u{202e}", "history fails -v"],
    );
    let unknown = browser.text("unknown");
    has(
        &unknown,
        &[
            "mystery",
            "settle mystery --as deployed",
            "settle mystery --as not-deployed",
        ],
    );
    let quoted = HOSTILE.replace('\'', "'\\''");
    has(
        &unknown,
        &[
            HOSTILE,
            "1; rm -rf ~",
            &format!("settle '{quoted}' --as deployed"),
        ],
    );
    has(
        &browser.text("held"),
        &["held", HOSTILE, "& more", "release held"],
    );
    let due = browser.text("due");
    has(&due, &["later", "2.0", "payload"]);
    assert!(!due.contains("good") && !due.contains("fails"), "{due}");
    has(
        &browser.text("now"),
        &["No pass runs: one starts when it is asked for."],
    );
    let news = browser.text("news");
    assert_eq!(news, "1 failing, 2 not known, 1 due, 1 held or left alone");
    // All apps are those of the ledger.
    let rows = "[...document.querySelectorAll('#apps tr')]";
    let shown = browser.value(&format!(
        "{rows}.map(r => [0, 1].map(i => r.cells[i].textContent).concat(r.querySelector('.word').textContent))"
    ));
    let document = rig.json(&["status"], 0);
    let apps = document["apps"].as_array().unwrap();
    let cells = |app: &Value| {
        let deployed = app["deployed"].as_str().unwrap_or("–");
        json!([app["app"], deployed, app["latest"]["state"]])
    };
    assert_eq!(shown, apps.iter().map(cells).collect::<Value>());
    assert_eq!(apps.len(), 5);
    let passes = browser
        .value("[...document.querySelectorAll('#passes tr')].map(r => r.cells[1].textContent)");
    assert_eq!(
        passes,
        json!(["outcome not known", "an app failed", "success"])
    );
    assert_eq!(
        browser.value("document.querySelectorAll('#strip li').length"),
        3
    );
    // Nothing of it was taken for more than text, and nobody else was asked.
    assert_eq!(
        browser.value("document.title"),
        "coreos-artifactory-monitor"
    );
    let elements = "document.images.length + document.scripts.length + document.links.length";
    assert_eq!(browser.value(elements), 1);
    assert_eq!(browser.complaints(), [""; 0]);
    let home = url(&server);
    for asked in browser.asked() {
        assert!(
            asked.starts_with(&home) || asked.starts_with("data:"),
            "{asked}"
        );
    }
    let kept =
        "[location.href, document.cookie, localStorage.length, Object.keys(sessionStorage).join()]";
    assert_eq!(browser.value(kept), json!([home, "", 0, "token"]));
    // The browser itself keeps text from becoming more.
    let writing =
        "(() => { try { document.body.innerHTML = '<p>'; } catch (e) { return e.name; } })()";
    assert_eq!(browser.value(writing), "TypeError");
}

#[test]
#[ignore = "needs chromium: tests/page.sh"]
fn the_page_keeps_up_and_says_how_old_it_is() {
    let (rig, server) = site();
    let mut browser = Browser::start();
    browser.open(&url(&server));
    sign_in(&mut browser, "wr0ng");
    browser.until("document.getElementById('trouble').textContent === 'This token is not known.'");
    assert_eq!(browser.value("sessionStorage.length"), 0);
    sign_in(&mut browser, server.token());
    browser.until("document.querySelectorAll('#strip li').length === 3");
    assert_eq!(browser.text("trouble"), "");
    // A pass that ends is seen without a word from whoever looks.
    assert_eq!(server.pass(), "unknown");
    browser.until("document.querySelectorAll('#strip li').length === 4");
    has(&browser.text("age"), &["Data of ", " ago"]);
    // What an operator does is seen, too.
    assert_eq!(rig.run(&["release", "held"]).code, Some(0));
    browser.value("document.getElementById('refresh').click()");
    browser.until("!document.getElementById('held').textContent.includes('release held')");
    // A tab that is loaded again still has its token.
    browser.open(&url(&server));
    browser.until("document.querySelectorAll('#strip li').length === 4");
    // The names of apps can be looked through.
    browser.value("document.getElementById('filter').focus()");
    browser.ask("Input.insertText", json!({ "text": "MYST" }));
    browser.until("document.querySelectorAll('#apps tr').length === 1");
    assert_eq!(browser.text("apps-said"), "1 of 5.");
    // A server that is gone leaves what was known, and says so.
    drop(server);
    browser.value("document.getElementById('refresh').click()");
    browser.until("document.getElementById('trouble').textContent.includes('does not answer')");
    assert_eq!(browser.text("apps-said"), "1 of 5.");
    browser.value("document.getElementById('leave').click()");
    assert_eq!(
        browser.value("document.getElementById('apps').textContent"),
        ""
    );
    assert_eq!(browser.value("sessionStorage.length"), 0);
}

#[test]
#[ignore = "needs chromium: tests/page.sh"]
fn the_page_fits_every_screen_and_stands_still() {
    let (_rig, server) = site();
    let mut browser = Browser::start();
    let watch = json!({ "source": WATCH });
    browser.ask("Page.addScriptToEvaluateOnNewDocument", watch);
    browser.open(&url(&server));
    sign_in(&mut browser, server.token());
    browser.until("!document.getElementById('data').hidden");
    for (width, height) in SIZES {
        browser.resize(width, height);
        browser.open(&url(&server));
        browser.until("!document.getElementById('data').hidden");
        for _ in 0..2 {
            let before = browser.value("last.read");
            browser.value("document.getElementById('refresh').click()");
            browser.until(&format!("last.read > {before}"));
        }
        // As many frames as what has moved needs to be noticed.
        browser.value("new Promise(r => requestAnimationFrame(() => requestAnimationFrame(r)))");
        assert_eq!(browser.value("moved"), json!([]), "{width}");
        let overhang = "document.documentElement.scrollWidth - innerWidth";
        browser.value("document.querySelector('details').open = true");
        assert!(browser.value(overhang).as_i64().unwrap() <= 0, "{width}");
        for scheme in ["light", "dark"] {
            browser.prefer(scheme);
            let faint = browser.value(FAINT);
            assert_eq!(faint, json!([]), "{scheme}");
            if let Some(folder) = std::env::var_os("CAM_TEST_PICTURES") {
                let name = format!("page-{width}-{scheme}.png");
                browser.picture(&PathBuf::from(folder).join(name));
            }
        }
    }
    assert_eq!(browser.complaints(), [""; 0]);
}

/// Notes what moves: how much, and the elements.
const WATCH: &str = r"
window.moved = [];
new PerformanceObserver(list => {
  for (const { value, sources } of list.getEntries()) {
    if (value > 0) moved.push([value, sources.map(({ node }) => node?.id ?? node?.nodeName)]);
  }
}).observe({ type: 'layout-shift', buffered: true });";

/// The texts whose contrast to what is behind them is below 4.5 (WCAG 2.2, 1.4.3).
const FAINT: &str = r"(() => {
  const parts = color => color.match(/[\d.]+/g).map(Number);
  const light = color => parts(color).slice(0, 3).map(c => c / 255)
    .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = e => { for (; e; e = e.parentElement) {
    const color = getComputedStyle(e).backgroundColor;
    if (parts(color)[3] !== 0) return color;
  } return 'rgb(255, 255, 255)'; };
  const texts = [...document.querySelectorAll('main *, header *')].filter(e => e.checkVisibility()
    && [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()));
  return texts.filter(e => {
    const [a, b] = [light(getComputedStyle(e).color), light(behind(e))].sort((a, b) => b - a);
    return (a + 0.05) / (b + 0.05) < 4.5;
  }).map(e => e.outerHTML);
})()";

#[test]
#[ignore = "needs chromium: tests/page.sh"]
fn the_page_is_used_by_keyboard_and_heard() {
    let (_rig, server) = site();
    let mut browser = Browser::start();
    browser.open(&url(&server));
    sign_in(&mut browser, server.token());
    browser.until("!document.getElementById('data').hidden");
    let mut stops = Vec::new();
    for _ in 0..4 {
        browser.press(TAB.0, TAB.1);
        let stop = browser.value("document.activeElement.id || document.activeElement.localName");
        stops.push(stop);
        let ring = browser.value("getComputedStyle(document.activeElement).outlineStyle");
        assert_ne!(ring, "none");
    }
    assert_eq!(
        json!(stops),
        json!(["refresh", "leave", "summary", "filter"])
    );
    let tree = browser.ask("Accessibility.getFullAXTree", json!({}));
    let nodes: Vec<(&str, &str)> = tree["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|node| node["ignored"] == false)
        .map(|node| {
            let word = |key: &str| node[key]["value"].as_str().unwrap_or_default();
            (word("role"), word("name"))
        })
        .collect();
    for one in [
        ("banner", ""),
        ("main", ""),
        ("region", "Now"),
        ("region", "Failing"),
        ("region", "Not known"),
        ("region", "Due"),
        ("region", "Held or left alone"),
        ("region", "Last passes"),
        ("region", "All apps"),
        ("searchbox", "Only names with"),
        ("button", "Refresh"),
        ("button", "Forget the token"),
        ("columnheader", "Deployed"),
    ] {
        assert!(nodes.contains(&one), "{one:?}: {nodes:?}");
    }
    assert!(nodes.iter().any(|(role, _)| *role == "status"));
    let nameless = nodes.iter().filter(|(role, name)| {
        ["region", "button", "searchbox", "textbox", "heading"].contains(role) && name.is_empty()
    });
    assert_eq!(nameless.count(), 0, "{nodes:?}");
    // The stops are where the page is at rest: a refresh takes none of them away.
    let before = browser.value("last.read");
    browser.value("refresh()");
    browser.until(&format!("last.read > {before}"));
    assert_eq!(browser.value("document.activeElement.id"), "filter");
    assert_eq!(browser.complaints(), [""; 0]);
}
