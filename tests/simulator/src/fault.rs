//! Faults that a test asks a server for.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use crate::http::{Reply, Response, Sending, Stop};
use crate::lock;

/// What goes wrong with a request.
#[derive(Clone, Debug)]
pub enum Fault {
    /// This status, with the body that the server itself would send; nothing is done.
    Status(u16),
    /// This status, these headers and no others, and this body, as something before the server may
    /// answer; nothing is done.
    StatusWith(u16, Vec<(String, String)>, String),
    /// 200 with an HTML page, as of a captive portal, without the server's headers; nothing is done.
    Html200,
    /// The real reply, its body cut in half but declared at that length: valid HTTP, invalid JSON.
    CutJson,
    /// 200 with JSON of another shape; nothing is done.
    OtherShape,
    /// Closed without a byte; nothing is done.
    Drop,
    /// The real reply, one byte of the body every 100 ms.
    Drip,
    /// Silence for this long, then closed; nothing is done.
    Hang(Duration),
    /// The real reply, this much later.
    Delay(Duration),
    /// The real reply, once this is open.
    Gate(Gate),
    /// The request is acted upon, but the connection is closed without a byte.
    LoseReply,
    /// Closed without a byte; nothing is done. The twin of [`Fault::LoseReply`].
    LoseReplyNotRun,
    /// The request is acted upon; complete headers, then the body stops after three bytes.
    CutBody,
}

impl Fault {
    /// Whether the answer is that of something before the server.
    pub(crate) fn is_foreign(&self) -> bool {
        matches!(self, Self::StatusWith(..) | Self::Html200)
    }
}

/// Holds replies back until a test has done what must come before them.
#[derive(Clone, Debug, Default)]
pub struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    /// Longest wait, of which only a test that failed has need.
    const END: Duration = Duration::from_secs(90);

    /// Lets pass what waits, and what comes.
    pub fn open(&self) {
        let (open, changed) = &*self.0;
        *lock(open) = true;
        changed.notify_all();
    }

    fn wait(&self) {
        let (open, changed) = &*self.0;
        let _open = changed.wait_timeout_while(lock(open), Self::END, |open| !*open);
    }
}

/// The faults asked for, in order of asking.
#[derive(Default)]
pub(crate) struct Faults(Mutex<Vec<(String, Fault, Option<u32>)>>);

impl Faults {
    /// Adds a fault for requests whose path with query holds `part`; `times` `None` is for ever.
    pub(crate) fn add(&self, part: &str, fault: Fault, times: Option<u32>) {
        if times != Some(0) {
            lock(&self.0).push((part.to_owned(), fault, times));
        }
    }

    /// Forgets all faults.
    pub(crate) fn clear(&self) {
        lock(&self.0).clear();
    }

    /// Takes the fault that befalls a request for `path`, if any.
    pub(crate) fn take(&self, path: &str) -> Option<Fault> {
        let mut list = lock(&self.0);
        let index = list.iter().position(|(part, ..)| path.contains(part))?;
        let fault = list[index].1.clone();
        if let Some(left) = &mut list[index].2 {
            *left -= 1;
            if *left == 0 {
                list.remove(index);
            }
        }
        Some(fault)
    }
}

/// Answers a request under a fault. `act` gives the real reply, `refuse` the server's own error page.
pub(crate) fn apply(
    fault: Option<Fault>,
    stop: &Stop,
    refuse: impl FnOnce(u16) -> Response,
    act: impl FnOnce() -> Reply,
) -> Reply {
    let Some(fault) = fault else { return act() };
    match fault {
        Fault::Status(status) => refuse(status).into(),
        Fault::StatusWith(status, headers, body) => Response {
            status,
            headers,
            body: body.into_bytes(),
            sending: Sending::Whole,
        }
        .into(),
        Fault::Html200 => Response::new(
            200,
            "text/html;charset=UTF-8",
            "<html><body>Please sign in</body></html>\n",
        )
        .into(),
        Fault::OtherShape => {
            Response::new(200, "application/json", "{\"unexpected\":[1,2,3]}").into()
        }
        Fault::Drop | Fault::LoseReplyNotRun => Reply::Close,
        Fault::Hang(time) => {
            stop.wait(time);
            Reply::Close
        }
        Fault::Delay(time) => {
            stop.wait(time);
            act()
        }
        Fault::Gate(gate) => {
            gate.wait();
            act()
        }
        Fault::LoseReply => {
            act();
            Reply::Close
        }
        Fault::CutJson => act().map(|mut response| {
            response.body.truncate(response.body.len() / 2);
            response
        }),
        Fault::CutBody => act().map(|response| response.sent(Sending::Cut(3))),
        Fault::Drip => {
            act().map(|response| response.sent(Sending::Drip(Duration::from_millis(100))))
        }
    }
}
