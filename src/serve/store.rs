//! The ledger, for requests: no request waits long for it, and none waits for it to be let in.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use tokio::sync::{Mutex, Semaphore, watch};
use tokio::time::{sleep, timeout};

use super::ServerConfig;
use super::tokens::{TokenDigest, Tokens};
use crate::config::Dsn;
use crate::error::{Error, Result};
use crate::ledger::{self, Access, Ledger};
use crate::model::name::Scope;

/// The most reads at a time.
const READS: usize = 4;
/// The longest that a request waits for a read.
const READ_WAIT: Duration = Duration::from_secs(5);
/// The longest that the start waits for the tokens.
const START_WAIT: Duration = Duration::from_secs(5);
/// From one reading of the tokens to the next.
const REFRESH_EVERY: Duration = Duration::from_secs(5);
/// The shortest time between two readings that unknown tokens cause.
const EXTRA_EVERY: Duration = Duration::from_secs(1);
/// The longest that a request with an unknown token waits for one.
const EXTRA_WAIT: Duration = Duration::from_secs(1);

/// The ledger as the HTTP API sees it: read-only, with bounded waits.
///
/// Tokens are read every 5 s and kept in memory; while the ledger cannot be read, the last ones
/// known stay valid. A revoked token therefore works up to 5 s longer, or until the ledger can be
/// read again. A new one works at once, unless another unknown token was presented less than 1 s
/// before.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    dsn: Dsn,
    scope: Scope,
    reads: Arc<Semaphore>,
    refreshes: Arc<Semaphore>,
    known: RwLock<Known>,
    /// When an unknown token last caused a reading.
    extra: Mutex<Option<Instant>>,
}

/// What was last read of the ledger.
#[derive(Clone, Default)]
struct Known {
    tokens: Arc<Tokens>,
    state: LedgerState,
}

/// How the ledger was when it was last looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LedgerState {
    /// Whether it could be read.
    pub(super) readable: bool,
    /// Whether a pass held the lease; `None`: it was never read.
    pub(super) lease_held: Option<bool>,
}

impl Store {
    /// The ledger of a server; nothing is opened yet.
    pub fn new(config: &ServerConfig) -> Self {
        Self(Arc::new(Inner {
            dsn: config.dsn.clone(),
            scope: config.scope.clone(),
            reads: Arc::new(Semaphore::new(READS)),
            refreshes: Arc::new(Semaphore::new(1)),
            known: RwLock::default(),
            extra: Mutex::new(None),
        }))
    }

    /// Reads the tokens, waiting at most 5 s, and keeps reading them in the background until
    /// `shutdown` holds true.
    pub async fn start(&self, mut shutdown: watch::Receiver<bool>) {
        let _ = timeout(START_WAIT, self.refresh()).await;
        let store = self.clone();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = shutdown.wait_for(|stop| *stop) => return,
                    () = sleep(REFRESH_EVERY) => {}
                }
                tokio::select! {
                    _ = shutdown.wait_for(|stop| *stop) => return,
                    () = store.refresh() => {}
                }
            }
        });
    }

    /// Reads something of the ledger; fails after 5 s. A read that the database leaves hanging
    /// keeps its place among the 4, so that no more than these ever hang.
    pub(super) async fn read<T, F>(&self, read: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut dyn Ledger, &Scope) -> Result<T> + Send + 'static,
    {
        let reading = async {
            let place = self.0.reads.clone().acquire_owned().await;
            let inner = self.0.clone();
            let reading = tokio::task::spawn_blocking(move || {
                let _place = place;
                let mut ledger = ledger::open(&inner.dsn, Access::ReadOnly)?;
                read(ledger.as_mut(), &inner.scope)
            });
            reading.await
        };
        match timeout(READ_WAIT, reading).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(Error::unavailable("the ledger cannot be read")
                .because("reading it ended in an internal error")),
            Err(_) => Err(Error::unavailable(format!(
                "the ledger did not answer within {} s",
                READ_WAIT.as_secs()
            ))),
        }
    }

    /// Whether the token is known. The ledger is asked, for at most 1 s, only where it is not,
    /// and no more than once a second.
    pub(super) async fn lets_in(&self, token: &[u8]) -> bool {
        let digest = TokenDigest::of(token);
        if self.known().tokens.has(digest) {
            return true;
        }
        let looking = async {
            let mut last = self.0.extra.lock().await;
            let recent = last.is_some_and(|at| at.elapsed() < EXTRA_EVERY);
            if !recent {
                *last = Some(Instant::now());
                self.refresh().await;
            }
        };
        let _ = timeout(EXTRA_WAIT, looking).await;
        self.known().tokens.has(digest)
    }

    /// How the ledger was when it was last looked at, at most some seconds ago.
    pub(super) fn state(&self) -> LedgerState {
        self.known().state
    }

    fn known(&self) -> Known {
        let known = self.0.known.read().unwrap_or_else(PoisonError::into_inner);
        known.clone()
    }

    /// Reads the tokens and the lease. What is read is kept even where nobody waits any more.
    async fn refresh(&self) {
        let Ok(place) = self.0.refreshes.clone().acquire_owned().await else {
            return;
        };
        let inner = self.0.clone();
        let reading = tokio::task::spawn_blocking(move || {
            let _place = place;
            let read = look(&inner.dsn, &inner.scope);
            inner.learn(read);
        });
        // A panic in the driver of a database: the last tokens stay, as after any other failure.
        if reading.await.is_err() {
            let failed = Error::unavailable("reading the ledger ended in an internal error");
            self.0.learn(Err(failed));
        }
    }
}

impl Inner {
    fn learn(&self, read: Result<(Tokens, bool)>) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        match read {
            Ok((tokens, lease_held)) => {
                known.tokens = Arc::new(tokens);
                known.state = LedgerState {
                    readable: true,
                    lease_held: Some(lease_held),
                };
            }
            Err(error) => {
                let news = known.state.readable || known.state.lease_held.is_none();
                known.state.readable = false;
                drop(known);
                if news {
                    let error = error.one_line();
                    tracing::warn!(target: "serve", error, "the tokens cannot be read");
                }
            }
        }
    }
}

fn look(dsn: &Dsn, scope: &Scope) -> Result<(Tokens, bool)> {
    let mut ledger = ledger::open(dsn, Access::ReadOnly)?;
    let tokens = Tokens::of_rows(&ledger.tokens()?);
    let held = ledger.lease_info(scope)?.is_some_and(|lease| lease.held);
    Ok((tokens, held))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::super::OptionsView;
    use super::*;
    use crate::model::version::Order;

    fn store(folder: &tempfile::TempDir) -> Store {
        Store::new(&ServerConfig {
            name: String::new(),
            options: OptionsView::default(),
            dsn: Dsn::Sqlite(folder.path().join("ledger.db")),
            scope: Scope {
                domain: "example.com".into(),
                environment: "qa".into(),
            },
            order: Order::Natural,
            masker: crate::mask::Masker::default(),
        })
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn reads_that_hang_are_few_and_known_tokens_stay_valid() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder);
        let mut ledger = ledger::open(&store.0.dsn, Access::Write).unwrap();
        ledger.add_token("x", "known").unwrap();
        store.refresh().await;
        assert!(store.lets_in(b"known").await);

        let mut stuck = Vec::new();
        let mut hanging = Vec::new();
        for _ in 0..READS {
            let (release, released) = channel::<()>();
            stuck.push(release);
            let store = store.clone();
            hanging.push(tokio::spawn(async move {
                let read = store.read(move |_, _| {
                    let _ = released.recv();
                    Ok(())
                });
                read.await
            }));
        }
        for read in hanging {
            let error = read.await.unwrap().unwrap_err();
            assert_eq!(error.kind, crate::error::Kind::Unavailable);
        }
        assert!(store.read(|_, _| Ok(())).await.is_err());
        assert!(store.lets_in(b"known").await);
        drop(stuck);
        assert_eq!(store.read(|_, _| Ok(7)).await, Ok(7));
    }

    #[tokio::test]
    async fn a_ledger_that_fails_or_panics_takes_no_token_away() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder);
        assert_eq!(store.state(), LedgerState::default());
        let mut ledger = ledger::open(&store.0.dsn, Access::Write).unwrap();
        ledger.add_token("x", "known").unwrap();
        assert!(store.lets_in(b"known").await);
        assert!(store.state().readable);
        store.0.learn(Err(Error::unavailable("gone")));
        assert!(!store.state().readable);
        assert!(store.lets_in(b"known").await && !store.lets_in(b"other").await);
        let panicked = store.read(|_, _| -> Result<()> { panic!("of a driver") });
        assert!(panicked.await.is_err());
    }
}
