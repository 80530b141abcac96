//! Which connections are served, where there are more than there is room for.
//!
//! A connection that has shown a valid token, and a reply that is being written, never give way to a
//! connection that has shown none. Of those without a token one address has only so many, and the one
//! that came first gives way, whatever it did since: nobody prolongs its stay by asking for something.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::config::Network;

/// Room for so many connections; the listeners of a server share it.
pub struct Places {
    most: usize,
    /// The most of one address that has shown no token.
    most_of_peer: usize,
    /// The addresses that stand for many clients.
    proxies: Vec<Network>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The connections that are there.
    taken: usize,
    /// The next number; they rise with time.
    next: u64,
    /// Those without a token that wait for their client, the oldest first.
    waiting: BTreeMap<u64, Stranger>,
    /// Those without a token whose request is being answered.
    answered: BTreeMap<u64, Stranger>,
    /// Those that have shown a token.
    trusted: HashSet<u64>,
    /// How many of both there are of each address that is bounded.
    of_peer: HashMap<IpAddr, usize>,
}

/// A connection that has shown no token.
#[derive(Clone)]
struct Stranger {
    /// Its address, where that is bounded.
    peer: Option<IpAddr>,
    lost: Arc<Notify>,
}

impl Places {
    /// Room for `most` connections, of which each address that has shown no token, is not loopback
    /// and none of the proxies has `most_of_peer`.
    pub fn new(most: usize, most_of_peer: usize, proxies: Vec<Network>) -> Arc<Self> {
        Arc::new(Self {
            most,
            most_of_peer,
            proxies,
            state: Mutex::default(),
        })
    }

    /// How many connections there may be.
    pub(super) const fn most(&self) -> usize {
        self.most
    }

    /// A place for a new connection, for which another may have to give way. `None`: nobody may.
    pub(super) fn take(self: &Arc<Self>, peer: IpAddr) -> Option<Arc<Place>> {
        let peer = self.bounded(peer);
        let mut state = self.state();
        let count = peer.and_then(|peer| state.of_peer.get(&peer)).copied();
        if count.is_some_and(|count| count >= self.most_of_peer) {
            state.evict(|stranger| stranger.peer == peer)?;
        } else if state.taken >= self.most {
            state.evict(|_| true)?;
        }
        let lost = Arc::new(Notify::new());
        let number = state.next;
        let stranger = Stranger {
            peer,
            lost: lost.clone(),
        };
        state.next += 1;
        state.taken += 1;
        state.waiting.insert(number, stranger);
        if let Some(peer) = peer {
            *state.of_peer.entry(peer).or_default() += 1;
        }
        drop(state);
        Some(Arc::new(Place {
            all: Arc::clone(self),
            number,
            lost,
        }))
    }

    /// What an address is counted as: a network of IPv6 is one client's.
    fn bounded(&self, peer: IpAddr) -> Option<IpAddr> {
        let peer = peer.to_canonical();
        if peer.is_loopback() || self.proxies.iter().any(|proxy| proxy.contains(peer)) {
            return None;
        }
        Some(match peer {
            IpAddr::V4(_) => peer,
            IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
        })
    }

    /// A thread that panicked cannot have left the state half changed.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Takes the place of the oldest of those strangers; of one that is being answered only where
    /// no other is there: else they could fill all places with replies that they never read.
    fn evict(&mut self, is_meant: impl Fn(&Stranger) -> bool) -> Option<()> {
        let oldest = |all: &BTreeMap<u64, Stranger>| {
            let found = all.iter().find(|(_, stranger)| is_meant(stranger));
            found.map(|(number, _)| *number)
        };
        let number = oldest(&self.waiting).or_else(|| oldest(&self.answered))?;
        self.remove(number)?.lost.notify_one();
        self.taken -= 1;
        Some(())
    }

    /// The connection of this number is no stranger any more.
    fn remove(&mut self, number: u64) -> Option<Stranger> {
        let waiting = self.waiting.remove(&number);
        let stranger = waiting.or_else(|| self.answered.remove(&number))?;
        if let Some(peer) = stranger.peer
            && let Some(count) = self.of_peer.get_mut(&peer)
        {
            *count -= 1;
            if *count == 0 {
                self.of_peer.remove(&peer);
            }
        }
        Some(stranger)
    }
}

/// The place of one connection; free again when dropped.
pub(super) struct Place {
    all: Arc<Places>,
    number: u64,
    lost: Arc<Notify>,
}

impl Place {
    /// Waits until another connection has this place.
    pub(super) async fn lost(&self) {
        self.lost.notified().await;
    }

    /// The connection has shown a valid token.
    pub(super) fn is_trusted(&self) {
        let mut state = self.all.state();
        if state.remove(self.number).is_some() {
            state.trusted.insert(self.number);
        }
    }

    /// A request of the connection is being answered until the value is dropped.
    pub(super) fn answering(self: &Arc<Self>) -> Answering {
        let mut state = self.all.state();
        if let Some(stranger) = state.waiting.remove(&self.number) {
            state.answered.insert(self.number, stranger);
        }
        drop(state);
        Answering(Arc::clone(self))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.all.state();
        // What has lost its place takes none along when it goes.
        if state.remove(self.number).is_some() || state.trusted.remove(&self.number) {
            state.taken -= 1;
        }
    }
}

/// A request is being answered.
pub(super) struct Answering(Arc<Place>);

impl Drop for Answering {
    fn drop(&mut self) {
        let mut state = self.0.all.state();
        if let Some(stranger) = state.answered.remove(&self.0.number) {
            state.waiting.insert(self.0.number, stranger);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    const HERE: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

    fn take(places: &Arc<Places>, peer: IpAddr) -> Arc<Place> {
        places.take(peer).unwrap()
    }

    async fn is_lost(place: &Place) -> bool {
        let soon = Duration::from_millis(1);
        timeout(soon, place.lost()).await.is_ok()
    }

    fn count(places: &Places) -> (usize, usize) {
        let state = places.state();
        (state.taken, state.of_peer.len())
    }

    #[tokio::test]
    async fn the_oldest_stranger_gives_way_whatever_it_did_since() {
        let places = Places::new(3, 9, Vec::new());
        let all = [HERE, HERE, HERE].map(|peer| take(&places, peer));
        drop(all[0].answering());
        let fourth = take(&places, HERE);
        assert!(is_lost(&all[0]).await);
        for kept in [&all[1], &all[2], &fourth] {
            assert!(!is_lost(kept).await);
        }
        assert_eq!(count(&places), (3, 0));
        drop(all);
        assert_eq!(count(&places), (1, 0));
        drop(fourth);
        assert_eq!(count(&places), (0, 0));
    }

    #[tokio::test]
    async fn who_has_shown_a_token_never_gives_way() {
        let places = Places::new(2, 9, Vec::new());
        let (known, stranger) = (take(&places, HERE), take(&places, HERE));
        known.is_trusted();
        known.is_trusted();
        let third = take(&places, HERE);
        assert!(is_lost(&stranger).await && !is_lost(&known).await);
        third.is_trusted();
        assert!(places.take(HERE).is_none());
        // A token that comes a moment too late is of no use.
        stranger.is_trusted();
        drop(stranger.answering());
        assert_eq!(count(&places), (2, 0));
        drop(known);
        assert!(places.take(HERE).is_some());
    }

    #[tokio::test]
    async fn a_reply_that_is_being_written_keeps_its_place_while_another_waits() {
        let places = Places::new(2, 9, Vec::new());
        let (one, two) = (take(&places, HERE), take(&places, HERE));
        let answering = one.answering();
        let third = take(&places, HERE);
        assert!(is_lost(&two).await && !is_lost(&one).await);
        // Replies that nobody reads don't fill the server.
        let _too = third.answering();
        let _fourth = take(&places, HERE);
        assert!(is_lost(&one).await && !is_lost(&third).await);
        drop(answering);
        assert_eq!(count(&places).0, 2);
    }

    #[tokio::test]
    async fn an_address_has_so_many_until_it_shows_a_token() {
        let proxies = vec!["192.0.2.1".parse().unwrap(), "10.0.0.0/8".parse().unwrap()];
        let places = Places::new(100, 2, proxies);
        let at = |text: &str| -> IpAddr { text.parse().unwrap() };
        for (one, other) in [
            ("198.51.100.7", "198.51.100.7"),
            ("198.51.100.8", "::ffff:198.51.100.8"),
            ("2001:db8::1", "2001:db8::ffff:1"),
        ] {
            let first = take(&places, at(one));
            let second = take(&places, at(other));
            let elsewhere = take(&places, at("2001:db8:0:1::1"));
            let third = take(&places, at(one));
            assert!(is_lost(&first).await, "{one}");
            second.is_trusted();
            let _fourth = take(&places, at(other));
            assert!(!is_lost(&third).await && !is_lost(&elsewhere).await);
        }
        for many in ["127.0.0.1", "127.0.0.9", "::1", "192.0.2.1", "10.1.2.3"] {
            let all = [many, many, many, many].map(|peer| take(&places, at(peer)));
            assert!(!is_lost(&all[0]).await, "{many}");
        }
        assert_eq!(count(&places), (0, 0));
    }
}
