//! Room for connections: how many are served at a time, and which one makes room for another.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// Room for so many connections; the listeners of a server share it.
pub struct Places {
    most: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The connections that are there.
    taken: usize,
    /// The next number; they rise with time.
    next: u64,
    /// Those that wait for their client, by the number that they got when they began to.
    waiting: BTreeMap<u64, Arc<Notify>>,
}

impl Places {
    /// Room for `most` connections.
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self {
            most,
            state: Mutex::default(),
        })
    }

    /// How many connections there may be.
    pub(super) const fn most(&self) -> usize {
        self.most
    }

    /// A place for a new connection. Where there is none left, the connection that has waited
    /// longest for its client loses its own: so clients that are slow, idle or hostile keep nobody
    /// out. `None`: all are being answered.
    pub(super) fn take(self: &Arc<Self>) -> Option<Place> {
        let mut state = self.state();
        if state.taken < self.most {
            state.taken += 1;
        } else {
            let (_, longest) = state.waiting.pop_first()?;
            longest.notify_one();
        }
        let cut = Arc::new(Notify::new());
        let number = state.wait(&cut);
        Some(Place {
            places: Arc::clone(self),
            cut,
            at: Mutex::new(At::Waiting(number)),
        })
    }

    /// A thread that panicked cannot have left the state half changed.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn wait(&mut self, cut: &Arc<Notify>) -> u64 {
        let number = self.next;
        self.next += 1;
        self.waiting.insert(number, Arc::clone(cut));
        number
    }
}

/// What a connection is doing.
#[derive(Clone, Copy)]
enum At {
    /// It waits for its client, under this number.
    Waiting(u64),
    /// It is being answered.
    Answering,
    /// Its place is another's.
    Lost,
}

/// The place of one connection; free again when dropped.
pub(super) struct Place {
    places: Arc<Places>,
    cut: Arc<Notify>,
    at: Mutex<At>,
}

impl Place {
    /// Waits until another connection has this place.
    pub(super) async fn lost(&self) {
        self.cut.notified().await;
    }

    /// The connection is being answered: until the value is dropped it keeps its place.
    pub(super) fn answering(self: &Arc<Self>) -> Answering {
        self.change(|_, _| At::Answering);
        Answering(Arc::clone(self))
    }

    fn change(&self, to: impl FnOnce(&mut State, &Arc<Notify>) -> At) {
        let mut state = self.places.state();
        let mut at = self.at.lock().unwrap_or_else(PoisonError::into_inner);
        *at = match *at {
            At::Waiting(number) if state.waiting.remove(&number).is_none() => At::Lost,
            At::Lost => At::Lost,
            At::Waiting(_) | At::Answering => to(&mut state, &self.cut),
        };
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.change(|state, _| {
            state.taken -= 1;
            At::Lost
        });
    }
}

/// A request is being answered.
pub(super) struct Answering(Arc<Place>);

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.change(|state, cut| At::Waiting(state.wait(cut)));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    fn take(places: &Arc<Places>) -> Arc<Place> {
        Arc::new(places.take().unwrap())
    }

    async fn is_lost(place: &Place) -> bool {
        let soon = Duration::from_millis(1);
        timeout(soon, place.lost()).await.is_ok()
    }

    #[tokio::test]
    async fn the_one_that_has_waited_longest_makes_room() {
        let places = Places::new(3);
        let all = [take(&places), take(&places), take(&places)];
        // The first was answered meanwhile: now the second has waited longest.
        drop(all[0].answering());
        let fourth = take(&places);
        assert!(is_lost(&all[1]).await);
        for kept in [&all[0], &all[2], &fourth] {
            assert!(!is_lost(kept).await);
        }
        // What has lost its place takes none along when it goes.
        drop(all);
        let state = || {
            let state = places.state();
            (state.taken, state.waiting.len())
        };
        assert_eq!(state(), (1, 1));
        drop(fourth);
        assert_eq!(state(), (0, 0));
    }

    #[tokio::test]
    async fn who_is_being_answered_keeps_the_place() {
        let places = Places::new(2);
        let (one, two) = (take(&places), take(&places));
        let (answering, _too) = (one.answering(), two.answering());
        assert!(places.take().is_none());
        drop(answering);
        let third = take(&places);
        assert!(is_lost(&one).await && !is_lost(&two).await);
        // A request that came a moment too late changes nothing.
        drop(one.answering());
        let _third = third.answering();
        assert!(places.take().is_none());
    }
}
