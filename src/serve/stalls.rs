//! Connections whose reader has stopped reading.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// A stream that fails with `TimedOut` once the peer has taken no byte for a while, although
/// there are some for it.
pub(super) struct Stalls<S> {
    stream: S,
    bound: Duration,
    timer: Pin<Box<Sleep>>,
    /// Whether a write waits and the timer runs.
    waiting: bool,
}

impl<S> Stalls<S> {
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

impl<S: AsyncRead + Unpin> AsyncRead for Stalls<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Stalls<S> {
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
    use tokio::io::AsyncWriteExt;

    use super::*;

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_all().build().unwrap().block_on(future)
    }

    #[test]
    fn a_reader_that_stops_reading_is_given_up() {
        block_on(async {
            let (_reader, writer) = tokio::io::duplex(8);
            let mut writer = Stalls::new(writer, Duration::from_millis(20));
            let failed = writer.write_all(&[0; 64]).await.unwrap_err();
            assert_eq!(failed.kind(), io::ErrorKind::TimedOut);
        });
    }

    #[test]
    fn every_byte_taken_renews_the_patience() {
        block_on(async {
            let (mut reader, writer) = tokio::io::duplex(1);
            let mut writer = Stalls::new(writer, Duration::from_secs(5));
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
