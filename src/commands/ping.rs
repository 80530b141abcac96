//! Tells a check that watches the passes when one begins and how it ends.
//!
//! A check of healthchecks (`docs/http_api.md` there) takes `/start` and the exit code behind its URL,
//! and an alarm is its business: a pass that never ends, or that nobody starts, is one that is not
//! heard of. So nothing here changes what becomes of a pass.

use std::time::Duration;

use reqwest::blocking::Client;
use reqwest::redirect::Policy;
use uuid::Uuid;

use crate::config::{Config, Ping};
use crate::error::Error;
use crate::exit::Exit;
use crate::http;
use crate::output::Output;

/// The longest that each of both may take.
const WAIT: Duration = Duration::from_millis(2500);

/// The check of a pass that has begun.
pub struct Check<'a> {
    ping: &'a Ping,
    config: &'a Config,
    output: &'a Output,
    client: Client,
    /// By it the check knows which end belongs to which beginning.
    run: Uuid,
}

impl<'a> Check<'a> {
    /// Tells that a pass begins, where that is asked for.
    pub fn begin(config: &'a Config, output: &'a Output) -> Option<Self> {
        let ping = config.ping.as_ref()?;
        let client = match http::client(&config.http, Policy::none(), WAIT) {
            Ok(client) => client,
            Err(error) => {
                tell(output, &error.one_line());
                return None;
            }
        };
        let check = Self {
            ping,
            config,
            output,
            client,
            run: Uuid::new_v4(),
        };
        check.send("start");
        Some(check)
    }

    /// Tells how it ended.
    pub fn end(self, exit: Exit) {
        self.send(&exit.code().to_string());
        // Its thread may wait for a name server, and would keep the process from ending.
        std::mem::forget(self.client);
    }

    fn send(&self, what: &str) {
        let mut url = self.ping.url.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().push(what);
        }
        url.query_pairs_mut()
            .append_pair("rid", &self.run.to_string());
        let http = &self.config.http;
        match self.client.get(url).send() {
            Ok(answer) if answer.status().is_success() => {}
            Ok(answer) => tell(self.output, &format!("it answered {}", answer.status())),
            Err(error) => tell(self.output, &http::describe(&error, http)),
        }
    }
}

fn tell(output: &Output, why: &str) {
    let error = Error::unavailable("the check of --ping-url was not told").because(why);
    output.warning(&error.one_line());
}
