//! Chromium without a screen, spoken to by its own protocol over two pipes.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::until;

/// The longest wait for an answer of the browser.
const PATIENCE: Duration = Duration::from_secs(90);
/// What it may take to end.
const END: Duration = Duration::from_secs(10);
/// It sees nothing of the network but what it is sent to.
const FLAGS: [&str; 10] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-pipe",
];

/// A browser with one tab; ended when dropped.
pub struct Browser {
    child: Child,
    requests: File,
    messages: Receiver<Value>,
    session: Option<String>,
    last: u64,
    /// What happened meanwhile.
    events: Vec<Value>,
    _folder: TempDir,
}

impl Browser {
    /// Starts one with a profile of its own.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        let (into, from) = (path("into"), path("from"));
        for pipe in [&into, &from] {
            let made = Command::new("mkfifo").arg(pipe).status();
            assert!(made.expect("mkfifo").success());
        }
        let profile = format!("--user-data-dir={}", path("profile").display());
        let child = Command::new("sh")
            .args([
                "-c",
                r#"in=$1 out=$2; shift 2; exec chromium "$@" 3<"$in" 4>"$out""#,
                "sh",
            ])
            .args([&into, &from])
            .args(FLAGS)
            .args([&profile, "about:blank"])
            .env("HOME", folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a shell");
        // In the order in which the shell opens them.
        let requests = OpenOptions::new().write(true).open(&into).expect("a pipe");
        let answers = BufReader::new(File::open(&from).expect("a pipe"));
        let (send, messages) = channel();
        std::thread::spawn(move || {
            for message in answers.split(0).map_while(Result::ok) {
                let message = serde_json::from_slice(&message).expect("JSON");
                if send.send(message).is_err() {
                    return;
                }
            }
        });
        let mut browser = Self {
            child,
            requests,
            messages,
            session: None,
            last: 0,
            events: Vec::new(),
            _folder: folder,
        };
        let tab = browser.ask("Target.createTarget", json!({ "url": "about:blank" }));
        let attach = json!({ "targetId": tab["targetId"], "flatten": true });
        let attached = browser.ask("Target.attachToTarget", attach);
        browser.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.ask(&format!("{domain}.enable"), json!({}));
        }
        browser
    }

    /// Sends a command and gives what it answers.
    pub fn ask(&mut self, method: &str, params: Value) -> Value {
        let answer = self.answer(method, params);
        answer.unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    fn answer(&mut self, method: &str, params: Value) -> Result<Value, Value> {
        self.last += 1;
        let mut request = json!({ "id": self.last, "method": method });
        request["params"] = params;
        if let Some(session) = &self.session {
            request["sessionId"] = session.as_str().into();
        }
        let mut bytes = request.to_string().into_bytes();
        bytes.push(0);
        self.requests.write_all(&bytes).expect("the browser reads");
        loop {
            let message = self.messages.recv_timeout(PATIENCE);
            let mut message = message.unwrap_or_else(|e| panic!("{e}: {method}"));
            if message["id"] != self.last {
                self.events.push(message);
                continue;
            }
            return match message["error"].take() {
                Value::Null => Ok(message["result"].take()),
                error => Err(error),
            };
        }
    }

    /// What an expression of the page comes to.
    pub fn value(&mut self, expression: &str) -> Value {
        let params =
            json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let mut answer = self.ask("Runtime.evaluate", params);
        assert!(
            answer["exceptionDetails"].is_null(),
            "{expression}: {answer}"
        );
        answer["result"]["value"].take()
    }

    /// The text of an element, as it is seen.
    pub fn text(&mut self, id: &str) -> String {
        let text = self.value(&format!("document.getElementById('{id}').innerText"));
        text.as_str().expect("text").to_owned()
    }

    /// Waits until an expression of the page is true; while it is being loaded, none is.
    pub fn until(&mut self, expression: &str) {
        let this = std::cell::RefCell::new(self);
        let asked = json!({ "expression": format!("Boolean({expression})") });
        until(expression, || {
            let answer = this.borrow_mut().answer("Runtime.evaluate", asked.clone());
            answer.is_ok_and(|answer| answer["result"]["value"] == true)
        });
    }

    /// Goes to an address.
    pub fn open(&mut self, url: &str) {
        self.value("window.isLeft = true");
        self.ask("Page.navigate", json!({ "url": url }));
        self.until("!window.isLeft && document.readyState === 'complete'");
    }

    /// Presses a key that writes nothing.
    pub fn press(&mut self, key: &str, code: u32) {
        let text = if key == "Enter" { "\r" } else { "" };
        for kind in ["keyDown", "keyUp"] {
            let params = json!({
                "type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code, "text": text,
            });
            self.ask("Input.dispatchKeyEvent", params);
        }
    }

    /// Makes the window this wide and tall, in pixels of the page.
    pub fn resize(&mut self, width: u32, height: u32) {
        let params = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500,
        });
        self.ask("Emulation.setDeviceMetricsOverride", params);
        self.until(&format!("innerWidth === {width}"));
    }

    /// Prefers this scheme of colours: `light` or `dark`.
    pub fn prefer(&mut self, scheme: &str) {
        let feature = json!({ "name": "prefers-color-scheme", "value": scheme });
        self.ask(
            "Emulation.setEmulatedMedia",
            json!({ "features": [feature] }),
        );
        self.until(&format!(
            "matchMedia('(prefers-color-scheme: {scheme})').matches"
        ));
    }

    /// Writes a picture of the whole page.
    pub fn picture(&mut self, file: &Path) {
        let params = json!({ "format": "png", "captureBeyondViewport": true });
        let answer = self.ask("Page.captureScreenshot", params);
        let data = STANDARD.decode(answer["data"].as_str().expect("a picture"));
        std::fs::write(file, data.expect("base64")).expect("it can be written");
    }

    /// What the console says that is wrong, since the last time that it was asked for.
    pub fn complaints(&mut self) -> Vec<String> {
        // Events come before the answer to what is asked after them.
        self.value("0");
        let is_wrong = |event: &Value| match event["method"].as_str() {
            Some("Runtime.exceptionThrown" | "Runtime.consoleAPICalled") => true,
            Some("Log.entryAdded") => {
                let level = &event["params"]["entry"]["level"];
                level == "warning" || level == "error"
            }
            _ => false,
        };
        let wrong = self.events.iter().filter(|event| is_wrong(event));
        let wrong = wrong.map(Value::to_string).collect();
        self.events
            .retain(|event| event["method"] == "Network.requestWillBeSent");
        wrong
    }

    /// The addresses that the page has asked so far.
    pub fn asked(&self) -> Vec<String> {
        let requests = self.events.iter();
        let requests = requests.filter(|event| event["method"] == "Network.requestWillBeSent");
        let url = |event: &Value| {
            event["params"]["request"]["url"]
                .as_str()
                .map(str::to_owned)
        };
        requests.filter_map(url).collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // One that ends by itself takes its children along, and leaves its folder alone then.
        let _ = self
            .requests
            .write_all(b"{\"id\":0,\"method\":\"Browser.close\"}\0");
        let end = Instant::now() + END;
        while Instant::now() < end && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
