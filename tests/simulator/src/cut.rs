//! A wire that can be cut: a TCP proxy between a client and a server on this machine.

use std::collections::HashMap;
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};

use crate::lock;

/// What is lost when a [`Cut`] cuts a connection at a given request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// The request: the server never gets it.
    Request,
    /// The reply: the server has acted on the request, and the client cannot know.
    Reply,
}

/// Forwards bytes between clients and a server, and cuts them off as told; both stop when it is
/// dropped.
pub struct Cut {
    port: u16,
    wire: Arc<Wire>,
    acceptor: Option<JoinHandle<()>>,
}

/// What the threads of a [`Cut`] share.
#[derive(Default)]
struct Wire {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    stopped: bool,
    refuses: bool,
    holds: bool,
    trap: Option<(Lost, Vec<u8>)>,
    sprung: usize,
    accepted: usize,
    /// Both ends of each connection that is open.
    open: HashMap<usize, [TcpStream; 2]>,
}

impl Cut {
    /// Listens on a free port of 127.0.0.1 and forwards to this one.
    pub fn before(server: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let wire = Arc::new(Wire::default());
        let shared = Arc::clone(&wire);
        let acceptor = thread::spawn(move || {
            for client in listener.incoming() {
                if lock(&shared.state).stopped {
                    break;
                }
                if let Ok(client) = client {
                    // Failure is what a client sees when the server is away.
                    let _ = shared.connect(client, server);
                }
            }
        });
        Self {
            port,
            wire,
            acceptor: Some(acceptor),
        }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Cuts every connection now.
    pub fn cut(&self) {
        lock(&self.wire.state).cut();
    }

    /// Whether new connections are closed as soon as they are made.
    pub fn refuse(&self, refuses: bool) {
        lock(&self.wire.state).refuses = refuses;
    }

    /// Whether nothing passes, in either direction, while connections can be made and stay open;
    /// what was held back passes afterwards.
    pub fn hold(&self, holds: bool) {
        lock(&self.wire.state).holds = holds;
        self.wire.changed.notify_all();
    }

    /// Cuts, once, the connection over which a client next sends these bytes. They are not found
    /// where TLS hides them.
    pub fn lose(&self, lost: Lost, at: &str) {
        assert!(!at.is_empty());
        lock(&self.wire.state).trap = Some((lost, at.as_bytes().to_vec()));
    }

    /// How many connections were cut by [`Cut::lose`].
    pub fn sprung(&self) -> usize {
        lock(&self.wire.state).sprung
    }

    /// How many connections were made so far.
    pub fn accepted(&self) -> usize {
        lock(&self.wire.state).accepted
    }
}

impl Drop for Cut {
    fn drop(&mut self) {
        {
            let mut state = lock(&self.wire.state);
            state.stopped = true;
            state.cut();
        }
        self.wire.changed.notify_all();
        // Wakes the acceptor.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

impl State {
    fn cut(&mut self) {
        for stream in self.open.drain().flat_map(|(_, ends)| ends) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Wire {
    fn connect(self: &Arc<Self>, client: TcpStream, server: u16) -> io::Result<()> {
        if lock(&self.state).refuses {
            return Ok(());
        }
        let server = TcpStream::connect((Ipv4Addr::LOCALHOST, server))?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let ends = [client.try_clone()?, server.try_clone()?];
        let (to_client, from_server) = (client.try_clone()?, server.try_clone()?);
        let number = {
            let mut state = lock(&self.state);
            state.accepted += 1;
            let number = state.accepted;
            state.open.insert(number, ends);
            number
        };
        let mute = Arc::new(AtomicBool::new(false));
        let (wire, is_mute) = (Arc::clone(self), Arc::clone(&mute));
        thread::spawn(move || {
            let _ = wire.requests(client, server, &mute);
            wire.close(number);
        });
        let wire = Arc::clone(self);
        thread::spawn(move || {
            let _ = wire.replies(from_server, to_client, &is_mute);
            wire.close(number);
        });
        Ok(())
    }

    fn close(&self, number: usize) {
        let ends = lock(&self.state).open.remove(&number);
        for stream in ends.into_iter().flatten() {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    fn requests(
        &self,
        mut from: TcpStream,
        mut to: TcpStream,
        mute: &AtomicBool,
    ) -> io::Result<()> {
        let mut seen = Vec::new();
        let mut buffer = [0; 16 << 10];
        loop {
            let count = from.read(&mut buffer)?;
            if count == 0 || self.wait() {
                return Ok(());
            }
            seen.extend_from_slice(&buffer[..count]);
            match self.spring(&seen) {
                Some(Lost::Request) => return Ok(()),
                Some(Lost::Reply) => mute.store(true, Ordering::SeqCst),
                None => {}
            }
            to.write_all(&buffer[..count])?;
            // Enough for bytes that are cut in two by the reads.
            seen.drain(..seen.len().saturating_sub(256));
        }
    }

    fn replies(&self, mut from: TcpStream, mut to: TcpStream, mute: &AtomicBool) -> io::Result<()> {
        let mut buffer = [0; 16 << 10];
        loop {
            let count = from.read(&mut buffer)?;
            if count == 0 || self.wait() || mute.load(Ordering::SeqCst) {
                return Ok(());
            }
            to.write_all(&buffer[..count])?;
        }
    }

    /// Takes the trap if its bytes are among these.
    fn spring(&self, seen: &[u8]) -> Option<Lost> {
        let mut state = lock(&self.state);
        let (lost, at) = state.trap.take()?;
        if seen.windows(at.len()).any(|window| window == at) {
            state.sprung += 1;
            return Some(lost);
        }
        state.trap = Some((lost, at));
        None
    }

    /// Waits while nothing may pass, and says whether it is over with the whole wire.
    fn wait(&self) -> bool {
        let state = lock(&self.state);
        self.changed
            .wait_while(state, |state| state.holds && !state.stopped)
            .map_or(true, |state| state.stopped)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader};
    use std::time::Duration;

    use super::*;

    /// Sends every line back.
    fn echo() -> u16 {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                thread::spawn(move || io::copy(&mut &stream, &mut &stream));
            }
        });
        port
    }

    fn open(cut: &Cut) -> TcpStream {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, cut.port())).unwrap();
        let timeout = Some(Duration::from_secs(30));
        stream.set_read_timeout(timeout).unwrap();
        stream
    }

    /// Sends a line and reads one; empty where the connection is gone.
    fn ask(stream: &TcpStream, line: &str) -> String {
        let mut answer = String::new();
        if (&mut &*stream).write_all(line.as_bytes()).is_ok() {
            let _ = BufReader::new(stream).read_line(&mut answer);
        }
        answer
    }

    #[test]
    fn all_passes_until_it_is_cut() {
        let cut = Cut::before(echo());
        let (one, other) = (open(&cut), open(&cut));
        assert_eq!(ask(&one, "1\n"), "1\n");
        assert_eq!(ask(&other, "2\n"), "2\n");
        assert_eq!(cut.accepted(), 2);
        cut.cut();
        assert_eq!(ask(&one, "1\n") + &ask(&other, "2\n"), "");
        assert_eq!(ask(&open(&cut), "3\n"), "3\n");
        cut.refuse(true);
        assert_eq!(ask(&open(&cut), "4\n"), "");
        cut.refuse(false);
        assert_eq!(ask(&open(&cut), "5\n"), "5\n");
    }

    #[test]
    fn what_is_held_back_passes_later() {
        let cut = Cut::before(echo());
        let stream = open(&cut);
        cut.hold(true);
        let brief = Some(Duration::from_millis(200));
        stream.set_read_timeout(brief).unwrap();
        assert_eq!(ask(&stream, "1\n"), "");
        cut.hold(false);
        stream
            .set_read_timeout(Some(Duration::from_secs(30)))
            .unwrap();
        assert_eq!(ask(&stream, "2\n"), "1\n");
    }

    #[test]
    fn bytes_are_found_across_two_writes() {
        let cut = Cut::before(echo());
        let stream = open(&cut);
        cut.lose(Lost::Request, "COMMIT");
        assert_eq!(ask(&stream, "a COM\n"), "a COM\n");
        cut.lose(Lost::Request, "COM\nMIT");
        assert_eq!(ask(&stream, "MIT\n"), "");
        assert_eq!(cut.sprung(), 1);
        assert_eq!(ask(&open(&cut), "COM\nMIT\n"), "COM\n");
    }
}
