//! A running server, and a client of it.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use crate::support::{Rig, kill, until};

/// What a server may take to end.
pub const END: Duration = Duration::from_secs(20);

/// `serve` of a rig, on a free port of `127.0.0.1`; killed when dropped.
pub struct Server {
    child: Child,
    pub port: u16,
    token: String,
    log: Arc<Mutex<Vec<String>>>,
    reader: Option<JoinHandle<()>>,
}

impl Server {
    /// Starts it with these options, and waits until it listens.
    pub fn start(rig: &Rig, options: &[&str]) -> Self {
        let line = [&["serve", "-H", "127.0.0.1", "-p", "0"], options].concat();
        Self::of(rig, &mut rig.std_command(&line))
    }

    /// The same without polling: passes run when they are asked for.
    pub fn idle(rig: &Rig) -> Self {
        Self::start(rig, &["-g", "0"])
    }

    /// Starts this command, which is a `serve` of the rig.
    pub fn of(rig: &Rig, command: &mut Command) -> Self {
        let token = rig.run(&["token", "add", "test"]).stdout.trim().to_owned();
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let log = Arc::new(Mutex::new(Vec::new()));
        let lines = BufReader::new(child.stderr.take().expect("it is piped")).lines();
        let into = Arc::clone(&log);
        let reader = std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                into.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(line);
            }
        });
        let mut server = Self {
            child,
            port: 0,
            token,
            log,
            reader: Some(reader),
        };
        let said = "listening on http://127.0.0.1:";
        until("the port", || !server.lines_with(said).is_empty());
        let line = server.lines_with(said).remove(0);
        let port = line.split(said).nth(1).expect("a port");
        server.port = port.trim().parse().expect("a port");
        server
    }

    /// Starts one whose log is read up to the port, and then by nobody.
    pub fn unheard(rig: &Rig, options: &[&str]) -> Self {
        let line = [&["serve", "-H", "127.0.0.1", "-p", "0"], options].concat();
        let token = rig.run(&["token", "add", "test"]).stdout.trim().to_owned();
        let mut command = rig.std_command(&line);
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let lines = BufReader::new(child.stderr.take().expect("it is piped")).lines();
        let said = "listening on http://127.0.0.1:";
        let mut ports = lines.map_while(Result::ok);
        let port = ports.find_map(|line| line.split(said).nth(1)?.trim().parse().ok());
        drop(ports);
        Self {
            child,
            port: port.expect("a port"),
            token,
            log: Arc::default(),
            reader: None,
        }
    }

    /// What it has logged so far.
    pub fn log(&self) -> Vec<String> {
        self.log
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The lines that hold a text.
    pub fn lines_with(&self, text: &str) -> Vec<String> {
        self.log()
            .into_iter()
            .filter(|line| line.contains(text))
            .collect()
    }

    /// Waits for a line that holds a text.
    pub fn until_logged(&self, text: &str) {
        until(&format!("{text:?} in {:#?}", self.log()), || {
            !self.lines_with(text).is_empty()
        });
    }

    /// The ids of the passes that have started, in order.
    pub fn started(&self) -> Vec<String> {
        let lines = self.lines_with(" starts");
        lines.iter().filter_map(|line| id(line)).collect()
    }

    /// The ids of the passes that have ended with a result.
    pub fn ended(&self, result: &str) -> Vec<String> {
        let lines = self.lines_with(&format!(" ended: {result},"));
        lines.iter().filter_map(|line| id(line)).collect()
    }

    /// Sends a request with a good token, and gives status and body.
    pub fn request(&self, method: &str, path: &str) -> io::Result<(u16, String)> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n\
             Content-Type: application/json\r\nAuthorization: Bearer {}\r\n\
             Content-Length: 0\r\nConnection: close\r\n\r\n",
            self.token
        )?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        let (head, body) = text
            .split_once("\r\n\r\n")
            .ok_or(io::ErrorKind::InvalidData)?;
        let status = head.split(' ').nth(1).and_then(|word| word.parse().ok());
        Ok((status.ok_or(io::ErrorKind::InvalidData)?, body.to_owned()))
    }

    /// Asks for a pass: its id and `started` or `queued`.
    pub fn force(&self) -> (String, String) {
        let (status, body) = self.request("GET", "/v1.0/force").expect("an answer");
        assert_eq!(status, 200, "{body}");
        let body: Value = serde_json::from_str(&body).expect("JSON");
        let word = |key: &str| body[key].as_str().expect(key).to_owned();
        (word("passID"), word("state"))
    }

    /// Asks for a pass, waits for its end, and gives the word for its result.
    pub fn pass(&self) -> String {
        let (pass, _) = self.force();
        let said = format!("pass {pass} ended: ");
        until("the end of the pass", || !self.lines_with(&said).is_empty());
        let line = self.lines_with(&said).remove(0);
        let rest = line.split(&said).nth(1).unwrap_or_default();
        rest.split(',').next().unwrap_or_default().to_owned()
    }

    /// Its token.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its children, dead ones that it has not reaped among them.
    pub fn children(&self) -> Vec<u32> {
        let tasks = format!("/proc/{}/task", self.pid());
        let tasks = fs::read_dir(tasks).into_iter().flatten().flatten();
        let of_task = |task: fs::DirEntry| fs::read_to_string(task.path().join("children")).ok();
        let text: String = tasks.filter_map(of_task).collect();
        text.split_whitespace()
            .filter_map(|pid| pid.parse().ok())
            .collect()
    }

    /// Waits for a pass and gives its process.
    pub fn child(&self) -> u32 {
        until("a pass", || !self.children().is_empty());
        self.children()[0]
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal);
    }

    /// Waits for its end, which comes within the time that is promised, and for that of its log.
    pub fn wait(&mut self) -> ExitStatus {
        let end = Instant::now() + END;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child of ours") {
                let is_read = || self.reader.as_ref().is_none_or(JoinHandle::is_finished);
                until("the end of its log", is_read);
                return status;
            }
            assert!(Instant::now() < end, "it does not end: {:#?}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether a process is there and alive.
pub fn is_alive(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit(") ").next().unwrap_or_default();
    !stat.is_empty() && !state.starts_with('Z')
}

/// The id of the pass that a line of the log is about.
fn id(line: &str) -> Option<String> {
    let rest = line.split("pass ").nth(1)?;
    rest.split(' ').next().map(str::to_owned)
}
