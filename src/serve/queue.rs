//! Which pass runs and which follows: at most one each.

use super::passes::{Forced, ForcedState};

/// The pass that runs and the one that follows, by id. A value without clock or I/O.
#[derive(Debug, Default)]
pub(super) struct Queue {
    running: Option<Running>,
    queued: Option<String>,
}

/// A pass that was promised: it stands here from the promise on, before its process does.
#[derive(Debug)]
struct Running {
    pass: String,
    /// Whether its process was asked for.
    begun: bool,
}

impl Queue {
    /// Asks for a pass: one that starts now, or the one that follows what runs, which is the same
    /// for all who ask meanwhile. `new_id` names a pass where one is made.
    pub(super) fn force(&mut self, new_id: impl FnOnce() -> String) -> Forced {
        if self.running.is_none() {
            let pass = new_id();
            self.promise(pass.clone());
            return Forced {
                pass,
                state: ForcedState::Started,
            };
        }
        Forced {
            pass: self.queued.get_or_insert_with(new_id).clone(),
            state: ForcedState::Queued,
        }
    }

    /// Asks for a pass because it is time: one that runs is as good.
    pub(super) fn poll(&mut self, new_id: impl FnOnce() -> String) {
        if self.running.is_none() {
            self.promise(new_id());
        }
    }

    /// Takes the pass whose process is to be started now, once.
    pub(super) fn begin(&mut self) -> Option<String> {
        let next = self.running.as_mut().filter(|running| !running.begun)?;
        next.begun = true;
        Some(next.pass.clone())
    }

    /// Notes that the pass is over: what was queued is next.
    pub(super) fn ended(&mut self) {
        self.running = None;
        if let Some(pass) = self.queued.take() {
            self.promise(pass);
        }
    }

    /// The pass that runs.
    pub(super) fn running(&self) -> Option<&str> {
        self.running.as_ref().map(|running| running.pass.as_str())
    }

    /// The pass that follows.
    pub(super) fn queued(&self) -> Option<&str> {
        self.queued.as_deref()
    }

    fn promise(&mut self, pass: String) {
        self.running = Some(Running { pass, begun: false });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_runs_one_follows_and_all_who_ask_are_told_which() {
        let mut queue = Queue::default();
        assert_eq!(queue.begin(), None);
        let first = queue.force(|| "a".into());
        assert_eq!(
            (first.pass.as_str(), first.state),
            ("a", ForcedState::Started)
        );
        let second = queue.force(|| "b".into());
        assert_eq!(
            (second.pass.as_str(), second.state),
            ("b", ForcedState::Queued)
        );
        assert_eq!(queue.begin().as_deref(), Some("a"));
        assert_eq!(queue.begin(), None);
        assert_eq!(queue.force(|| "c".into()).pass, "b");
        queue.poll(|| "d".into());
        assert_eq!((queue.running(), queue.queued()), (Some("a"), Some("b")));
        queue.ended();
        assert_eq!((queue.running(), queue.queued()), (Some("b"), None));
        assert_eq!(queue.begin().as_deref(), Some("b"));
        queue.ended();
        assert_eq!(queue.begin(), None);
        assert_eq!(queue.running(), None);
        queue.poll(|| "e".into());
        assert_eq!(queue.begin().as_deref(), Some("e"));
    }

    proptest! {
        /// Whatever happens in whatever order: processes one at a time, each promised id is begun
        /// exactly once, in the order of the promises.
        #[test]
        fn every_promise_is_kept_once(events in proptest::collection::vec(0..4u8, 0..200)) {
            let mut queue = Queue::default();
            let (mut promised, mut begun) = (Vec::new(), Vec::new());
            let (mut id, mut process) = (0, false);
            let mut drain = 0;
            let mut events = events.into_iter();
            loop {
                let event = match events.next() {
                    Some(event) => event,
                    None if drain < 8 => { drain += 1; 2 + drain % 2 }
                    None => break,
                };
                let mut new_id = || { id += 1; id.to_string() };
                match event {
                    0 => {
                        let idle = queue.running().is_none();
                        let forced = queue.force(&mut new_id);
                        prop_assert_eq!(forced.state == ForcedState::Started, idle);
                        if promised.last() != Some(&forced.pass) {
                            promised.push(forced.pass);
                        }
                    }
                    1 => {
                        queue.poll(&mut new_id);
                        let running = queue.running().unwrap().to_owned();
                        if !promised.contains(&running) {
                            promised.push(running);
                        }
                    }
                    2 => if let Some(pass) = queue.begin() {
                        prop_assert!(!process);
                        process = true;
                        begun.push(pass);
                    },
                    _ => if std::mem::take(&mut process) {
                        queue.ended();
                    },
                }
            }
            prop_assert_eq!(begun, promised);
            prop_assert_eq!(queue.running(), None);
        }
    }
}
