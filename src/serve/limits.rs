//! Limits of connections: how many are served at a time, which one makes room for another, and how
//! long a client may take no byte.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::time::{Instant, Sleep, sleep};

/// Room for so many connections; the listeners of a server share it.
pub struct ConnectionLimit {
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

impl ConnectionLimit {
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
    pub(super) fn take(self: &Arc<Self>) -> Option<Permit> {
        let mut state = self.state();
        if state.taken < self.most {
            state.taken += 1;
        } else {
            let (_, longest) = state.waiting.pop_first()?;
            longest.notify_one();
        }
        let cut = Arc::new(Notify::new());
        let number = state.wait(&cut);
        Some(Permit {
            limit: Arc::clone(self),
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
pub(super) struct Permit {
    limit: Arc<ConnectionLimit>,
    cut: Arc<Notify>,
    at: Mutex<At>,
}

impl Permit {
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
        let mut state = self.limit.state();
        let mut at = self.at.lock().unwrap_or_else(PoisonError::into_inner);
        *at = match *at {
            At::Waiting(number) if state.waiting.remove(&number).is_none() => At::Lost,
            At::Lost => At::Lost,
            At::Waiting(_) | At::Answering => to(&mut state, &self.cut),
        };
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.change(|state, _| {
            state.taken -= 1;
            At::Lost
        });
    }
}

/// A request is being answered.
pub(super) struct Answering(Arc<Permit>);

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.change(|state, cut| At::Waiting(state.wait(cut)));
    }
}

/// A stream that fails with `TimedOut` once the peer has taken no byte for a while, although
/// there are some for it.
pub(super) struct WriteTimeout<S> {
    stream: S,
    bound: Duration,
    timer: Pin<Box<Sleep>>,
    /// Whether a write waits and the timer runs.
    waiting: bool,
}

impl<S> WriteTimeout<S> {
    /// Bounds the wait of every write by `bound`.
    pub(super) fn new(stream: S, bound: Duration) -> Self {
        Self {
            stream,
            bound,
            timer: Box::pin(sleep(bound)),
            waiting: false,
        }
    }

    /// The stream itself.
    pub(super) fn into_inner(self) -> S {
        self.stream
    }

    fn judge<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.waiting = false;
            return written;
        }
        if !self.waiting {
            self.waiting = true;
            self.timer.as_mut().reset(Instant::now() + self.bound);
        }
        ready!(self.timer.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for WriteTimeout<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for WriteTimeout<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.judge(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.judge(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.judge(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;
    use tokio::io::AsyncWriteExt;
    use tokio::time::timeout;

    use super::*;

    fn take(limit: &Arc<ConnectionLimit>) -> Arc<Permit> {
        Arc::new(limit.take().unwrap())
    }

    async fn is_lost(permit: &Permit) -> bool {
        let soon = Duration::from_millis(1);
        timeout(soon, permit.lost()).await.is_ok()
    }

    #[tokio::test]
    async fn the_one_that_has_waited_longest_makes_room() {
        let limit = ConnectionLimit::new(3);
        let all = [take(&limit), take(&limit), take(&limit)];
        // The first was answered meanwhile: now the second has waited longest.
        drop(all[0].answering());
        let fourth = take(&limit);
        assert!(is_lost(&all[1]).await);
        for kept in [&all[0], &all[2], &fourth] {
            assert!(!is_lost(kept).await);
        }
        // What has lost its place takes none along when it goes.
        drop(all);
        let state = || {
            let state = limit.state();
            (state.taken, state.waiting.len())
        };
        assert_eq!(state(), (1, 1));
        drop(fourth);
        assert_eq!(state(), (0, 0));
    }

    #[tokio::test]
    async fn who_is_being_answered_keeps_the_place() {
        let limit = ConnectionLimit::new(2);
        let (one, two) = (take(&limit), take(&limit));
        let (answering, _too) = (one.answering(), two.answering());
        assert!(limit.take().is_none());
        drop(answering);
        let third = take(&limit);
        assert!(is_lost(&one).await && !is_lost(&two).await);
        // A request that came a moment too late changes nothing.
        drop(one.answering());
        let _third = third.answering();
        assert!(limit.take().is_none());
    }

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_all().build().unwrap().block_on(future)
    }

    #[test]
    fn a_reader_that_stops_reading_is_given_up() {
        block_on(async {
            let (_reader, writer) = tokio::io::duplex(8);
            let mut writer = WriteTimeout::new(writer, Duration::from_millis(20));
            let failed = writer.write_all(&[0; 64]).await.unwrap_err();
            assert_eq!(failed.kind(), io::ErrorKind::TimedOut);
        });
    }

    #[test]
    fn every_byte_taken_renews_the_patience() {
        block_on(async {
            let (mut reader, writer) = tokio::io::duplex(1);
            let mut writer = WriteTimeout::new(writer, Duration::from_secs(5));
            let reading = async move {
                let mut taken = Vec::new();
                tokio::io::AsyncReadExt::read_to_end(&mut reader, &mut taken)
                    .await
                    .map(|_| taken)
            };
            let writing = async move {
                writer.write_all(&[7; 64]).await?;
                writer.shutdown().await
            };
            let (taken, written) = tokio::join!(reading, writing);
            assert_eq!(taken.unwrap(), [7; 64]);
            written.unwrap();
        });
    }
}
