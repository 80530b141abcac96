//! The ledger, for requests: no request waits long for it, and none waits for it to be let in.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};
use tokio::sync::{Mutex, Semaphore, watch};
use tokio::time::{sleep, timeout, timeout_at};

use super::ServerConfig;
use crate::config::Dsn;
use crate::error::{Error, Result};
use crate::ledger::{self, Access, HASHED_TOKEN, Ledger, TokenRow};
use crate::model::name::Scope;
use crate::model::report::Report;

/// The most reads at a time.
const READS: usize = 4;
/// The most requests that wait for a read; one more is told at once.
const READERS: usize = 64;
/// The longest that a request waits for a read.
const READ_WAIT: Duration = Duration::from_secs(5);
/// The longest that the start waits for the tokens.
const START_WAIT: Duration = Duration::from_secs(5);
/// From one reading of the tokens to the next.
const REFRESH_EVERY: Duration = Duration::from_secs(5);
/// The shortest time between two readings that unknown tokens cause.
const EXTRA_EVERY: Duration = Duration::from_secs(1);
/// The longest that a request with an unknown token waits for one.
const EXTRA_WAIT: Duration = Duration::from_secs(2);
/// How many passes are looked at for the last ones that went well.
const PASSES: u32 = 200;
/// How many reports are looked at for one that is complete.
const REPORTS: usize = 20;

/// The ledger as the HTTP API sees it: read-only, with bounded waits.
///
/// Tokens are read every 5 s and kept in memory; while the ledger cannot be read, the last ones
/// known stay valid. A revoked token therefore works up to 5 s longer, or until the ledger can be
/// read again. A new one works within 2 s, and at once where no other unknown token is presented.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    dsn: Dsn,
    scope: Scope,
    reads: Arc<Semaphore>,
    readers: Semaphore,
    /// The reads that the database has left hanging.
    hanging: AtomicUsize,
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
    past: Arc<Past>,
}

/// What the ledger tells of the passes of the scope, of whatever host.
#[derive(Default)]
pub(super) struct Past {
    /// The id of the last one.
    newest: Option<String>,
    /// The report of the last one that saw the apps.
    pub(super) survey: Option<Report>,
    /// When one last ended with exit code 0, in milliseconds since 1970 UTC.
    pub(super) last_success: Option<i64>,
    /// When one last ended that saw all apps.
    pub(super) last_scan: Option<i64>,
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
            readers: Semaphore::new(READERS),
            hanging: AtomicUsize::new(0),
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
    /// keeps its place among the 4, so that no more than these ever hang; while all of them do, and
    /// where too many wait already, it fails at once.
    pub(super) async fn read<T, F>(&self, read: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut dyn Ledger, &Scope) -> Result<T> + Send + 'static,
    {
        if self.0.hanging.load(Ordering::Relaxed) >= READS {
            return Err(Error::unavailable("the ledger does not answer"));
        }
        let Ok(_waiting) = self.0.readers.try_acquire() else {
            return Err(Error::unavailable("too many requests wait for the ledger"));
        };
        let late = || {
            let seconds = READ_WAIT.as_secs();
            Error::unavailable(format!("the ledger did not answer within {seconds} s"))
        };
        let end = tokio::time::Instant::now() + READ_WAIT;
        let place = timeout_at(end, self.0.reads.clone().acquire_owned()).await;
        let place = place.map_err(|_| late())?;
        let inner = self.0.clone();
        let mut reading = tokio::task::spawn_blocking(move || {
            let _place = place;
            let mut ledger = ledger::open(&inner.dsn, Access::ReadOnly)?;
            read(ledger.as_mut(), &inner.scope)
        });
        match timeout_at(end, &mut reading).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(Error::unavailable("the ledger cannot be read")
                .because("reading it ended in an internal error")),
            Err(_) => {
                self.0.hanging.fetch_add(1, Ordering::Relaxed);
                let inner = self.0.clone();
                tokio::spawn(async move {
                    let _ = reading.await;
                    inner.hanging.fetch_sub(1, Ordering::Relaxed);
                });
                Err(late())
            }
        }
    }

    /// Whether the token was known when the ledger was last read.
    pub(super) fn knows(&self, token: &[u8]) -> bool {
        self.known().tokens.has(TokenDigest::of(token))
    }

    /// Whether the token is known. Where it is not, a reading that begins from now on decides, for
    /// which is waited at most 2 s; there is one a second.
    pub(super) async fn lets_in(&self, token: &[u8]) -> bool {
        if self.knows(token) {
            return true;
        }
        let came = Instant::now();
        let looking = async {
            let mut last = self.0.extra.lock().await;
            if last.is_some_and(|began| began >= came) {
                return;
            }
            let pause = last.map_or(Duration::ZERO, |began| {
                EXTRA_EVERY.saturating_sub(began.elapsed())
            });
            sleep(pause).await;
            *last = Some(Instant::now());
            self.refresh().await;
        };
        let _ = timeout(EXTRA_WAIT, looking).await;
        self.knows(token)
    }

    /// What the ledger told of the passes when it was last read.
    pub(super) fn past(&self) -> Arc<Past> {
        self.known().past
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
        let (inner, before) = (self.0.clone(), self.past());
        let reading = tokio::task::spawn_blocking(move || {
            let _place = place;
            let read = look(&inner.dsn, &inner.scope, before);
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
    fn learn(&self, read: Result<Look>) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        match read {
            Ok(look) => {
                known.tokens = Arc::new(look.tokens);
                known.past = look.past;
                known.state = LedgerState {
                    readable: true,
                    lease_held: Some(look.lease_held),
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

/// What one reading finds.
struct Look {
    tokens: Tokens,
    lease_held: bool,
    past: Arc<Past>,
}

fn look(dsn: &Dsn, scope: &Scope, before: Arc<Past>) -> Result<Look> {
    let mut ledger = ledger::open(dsn, Access::ReadOnly)?;
    Ok(Look {
        tokens: Tokens::of_rows(&ledger.tokens()?),
        lease_held: ledger.lease_info(scope)?.is_some_and(|lease| lease.held),
        past: past(ledger.as_mut(), scope, before)?,
    })
}

/// What the passes tell; reports are large, and read where there is a new one.
fn past(ledger: &mut dyn Ledger, scope: &Scope, before: Arc<Past>) -> Result<Arc<Past>> {
    let newest = ledger.passes(scope, 1)?.pop().map(|row| row.pass);
    if newest == before.newest {
        return Ok(before);
    }
    let passes = ledger.passes(scope, PASSES)?;
    let runs: Vec<_> = passes.iter().filter(|row| row.command == "run").collect();
    let success = runs.iter().find(|row| row.exit_code == 0);
    let mut last_scan = None;
    for row in runs.iter().take(REPORTS) {
        let report = ledger.pass_report(scope, &row.pass)?;
        if report.is_some_and(|text| is_complete(&text)) {
            last_scan = Some(row.finished_at);
            break;
        }
    }
    Ok(Arc::new(Past {
        newest,
        survey: ledger.last_run(scope)?,
        last_success: success.map(|row| row.finished_at),
        last_scan,
    }))
}

/// Whether a report is of a pass that saw all apps.
fn is_complete(report: &str) -> bool {
    #[derive(Deserialize)]
    struct Completeness {
        complete: bool,
    }
    serde_json::from_str(report).is_ok_and(|report: Completeness| report.complete)
}

/// The SHA-256 of a token; the only form in which tokens are kept in memory.
#[derive(Clone, Copy)]
struct TokenDigest([u8; 32]);

impl TokenDigest {
    /// Of the token itself.
    fn of(token: &[u8]) -> Self {
        Self(Sha256::digest(token).into())
    }

    /// Of a row of the ledger. `None`: a damaged row, which is nobody's token.
    fn of_row(row: &TokenRow) -> Option<Self> {
        let stored = row.stored.expose();
        match stored.strip_prefix(HASHED_TOKEN) {
            Some(hex) => unhex(hex).map(Self),
            None if stored.is_empty() => None,
            None => Some(Self::of(stored.as_bytes())),
        }
    }
}

/// The tokens that are let in.
#[derive(Default)]
struct Tokens(Vec<TokenDigest>);

impl Tokens {
    /// Those of the ledger: `sha256:` and 64 hex digits, or (rows of the original) the token
    /// itself.
    fn of_rows(rows: &[TokenRow]) -> Self {
        Self(rows.iter().filter_map(TokenDigest::of_row).collect())
    }

    /// Whether the token is one of them. Takes the same time whichever it is, and whether it is.
    fn has(&self, presented: TokenDigest) -> bool {
        let none = Choice::from(0);
        let found = self.0.iter().fold(none, |found, known| {
            found | known.0.as_slice().ct_eq(presented.0.as_slice())
        });
        found.into()
    }
}

/// The token of a request: one `Authorization` header, the scheme `Bearer` in any case, one
/// space, and the rest as it is.
pub(super) fn presented(headers: &HeaderMap) -> Option<&[u8]> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next()?.as_bytes();
    if values.next().is_some() {
        return None;
    }
    let (scheme, rest) = value.split_at_checked("Bearer".len())?;
    let token = rest.strip_prefix(b" ")?;
    (scheme.eq_ignore_ascii_case(b"Bearer") && !token.is_empty()).then_some(token)
}

/// 32 bytes that are written as 64 hex digits.
pub(super) fn unhex(hex: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if hex.len() != 64 || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    for (i, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(hex.get(2 * i..2 * i + 2)?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use axum::http::HeaderValue;
    use proptest::prelude::*;

    use super::super::OptionsView;
    use super::*;
    use crate::model::version::Order;
    use crate::secret::Secret;

    fn store(folder: &tempfile::TempDir) -> Store {
        Store::new(&ServerConfig {
            hook: None,
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
        // While all of them hang nobody waits.
        let at_once = Instant::now();
        assert!(store.read(|_, _| Ok(())).await.is_err());
        assert!(at_once.elapsed() < READ_WAIT / 2);
        assert!(store.lets_in(b"known").await);
        drop(stuck);
        while store.read(|_, _| Ok(7)).await != Ok(7) {
            tokio::task::yield_now().await;
        }
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

    fn tokens(stored: &[&str]) -> Tokens {
        let rows: Vec<TokenRow> = stored
            .iter()
            .zip(1..)
            .map(|(stored, id)| TokenRow {
                id,
                stored: Secret::new((*stored).to_string()),
                name: None,
                created_at: String::new(),
            })
            .collect();
        Tokens::of_rows(&rows)
    }

    fn token_of(values: &[&str]) -> Option<Vec<u8>> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        }
        presented(&headers).map(<[u8]>::to_vec)
    }

    /// SHA-256 of "S0M3B3EARERTOK3N", by sha256sum(1).
    const HASH: &str = "sha256:e0473c5ed50f979e8d36234d2108180ccbc3becda9b7d390138691e7430573ca";

    #[test]
    fn plain_and_hashed_rows_let_their_token_in_and_no_other() {
        for stored in [HASH, &HASH.replace("sha256:", "").to_uppercase()] {
            let row = format!("sha256:{}", stored.trim_start_matches("sha256:"));
            for known in [
                tokens(&["other", &row]),
                tokens(&["S0M3B3EARERTOK3N", "other"]),
            ] {
                assert!(known.has(TokenDigest::of(b"S0M3B3EARERTOK3N")));
                for wrong in [
                    "s0m3b3earertok3n",
                    "S0M3B3EARERTOK3N ",
                    "S0M3B3EARERTOK3",
                    "",
                    HASH,
                ] {
                    assert!(!known.has(TokenDigest::of(wrong.as_bytes())), "{wrong}");
                }
            }
        }
    }

    #[test]
    fn damaged_rows_let_nobody_in() {
        let known = tokens(&["", "sha256:", "sha256:abc", "sha256:zz"]);
        for wrong in ["", "sha256:", "sha256:abc", "abc", "zz"] {
            assert!(!known.has(TokenDigest::of(wrong.as_bytes())), "{wrong}");
        }
    }

    #[test]
    fn there_is_one_way_to_present_a_token() {
        for good in ["Bearer x", "bearer x", "BEARER x"] {
            assert_eq!(token_of(&[good]).unwrap(), b"x", "{good}");
        }
        assert_eq!(token_of(&["Bearer Bearer x"]).unwrap(), b"Bearer x");
        assert_eq!(token_of(&["Bearer  x"]).unwrap(), b" x");
        for bad in [
            "x",
            "Bearer",
            "Bearer ",
            "Bearerx",
            "Basic x",
            "Bearer\tx",
            " Bearer x",
            "",
        ] {
            assert_eq!(token_of(&[bad]), None, "{bad}");
        }
        assert_eq!(token_of(&["Bearer x", "Bearer x"]), None);
        assert_eq!(token_of(&[]), None);
    }

    proptest! {
        #[test]
        fn only_the_same_bytes_are_the_same_token(known in ".{1,20}", other in ".{0,20}") {
            prop_assume!(!known.starts_with(HASHED_TOKEN));
            let set = tokens(&[&known]);
            prop_assert!(set.has(TokenDigest::of(known.as_bytes())));
            prop_assert_eq!(set.has(TokenDigest::of(other.as_bytes())), known == other);
        }
    }
}
