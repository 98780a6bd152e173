//! Which connections are open and what for, and how all of them come to their end.
//!
//! ```text
//! enter ─► busy ──────────────────────────► dropped
//!            ├─► streaming (never waited for long: its client comes back by itself)
//!            └─► lingering (answered; its client is given the time to read that)
//! ```

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;

use super::public::Public;

/// How a server comes to its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DrainOptions {
    /// How long new connections are still taken, so that whoever sends them here can learn of the end; none unless said.
    pub delay: Duration,
    /// How long running uploads may go on; 30 seconds unless said. Those that are left end in
    /// [`Error::ShuttingDown`](crate::Error::ShuttingDown), which their clients are told.
    pub grace: Duration,
}

impl Default for DrainOptions {
    fn default() -> Self {
        Self {
            delay: Duration::ZERO,
            grace: Duration::from_secs(30),
        }
    }
}

/// How long clients have to read their last answers, once nobody has anything more to send.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// How long streams have to tell how their uploads ended.
const LAST_EVENTS: Duration = Duration::from_secs(1);

/// Lets what runs come to its end, within the bounds of `options`.
pub(super) async fn stop(options: DrainOptions, public: Public) {
    // Whoever sends connections here has that long to see `/readyz`.
    let _ = timeout(options.delay, public.accept()).await;
    let (connections, operator) = public.close();
    let open = &connections.open;
    open.stop();
    let finished = async {
        open.until(|open| open.busy() == 0).await;
        // A commit goes on when its client has gone.
        while operator.running() > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    if timeout(options.grace, finished).await.is_err() {
        let running = operator.running();
        tracing::warn!(running, "the grace is over");
        operator.end_all();
        let _ = timeout(LAST_WORDS, open.until(|open| open.busy() == 0)).await;
    }
    let _ = timeout(LAST_EVENTS, open.until(|open| open.count() == 0)).await;
    let _ = timeout(LAST_WORDS, open.until(|open| open.lingering() == 0)).await;
    tracing::info!("stopped");
}

/// All connections of the public listener. Clones share the counts.
#[derive(Clone, Default, Debug)]
pub(super) struct Open {
    inner: Arc<Inner>,
}

#[derive(Default, Debug)]
struct Inner {
    busy: AtomicUsize,
    streaming: AtomicUsize,
    lingering: AtomicUsize,
    stopping: AtomicBool,
    /// Rung for every connection when the server stops.
    stop: Notify,
    /// Rung whenever one leaves or does something else.
    changed: Notify,
}

impl Open {
    /// Counts a connection, busy for now.
    pub(super) fn enter(&self) -> Seat {
        self.inner.busy.fetch_add(1, Ordering::Relaxed);
        Seat {
            open: self.clone(),
            kind: Kind::Busy,
        }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.busy() + self.rest()
    }

    /// How many wait for a request, bring one or are being answered.
    pub(super) fn busy(&self) -> usize {
        self.inner.busy.load(Ordering::Acquire)
    }

    fn rest(&self) -> usize {
        self.lingering() + self.inner.streaming.load(Ordering::Acquire)
    }

    /// How many are only there for their clients to read an answer.
    pub(super) fn lingering(&self) -> usize {
        self.inner.lingering.load(Ordering::Acquire)
    }

    /// Tells every connection that it answers no further request.
    pub(super) fn stop(&self) {
        self.inner.stopping.store(true, Ordering::Release);
        self.inner.stop.notify_waiters();
    }

    /// Whether connections are to end: one load.
    pub(super) fn is_stopping(&self) -> bool {
        self.inner.stopping.load(Ordering::Acquire)
    }

    /// Wakes the task that polls it when the server stops. Polling it once is enough: a task keeps its waker, and what
    /// it then asks is [`Open::is_stopping`].
    pub(super) fn stopped(&self) -> impl Future<Output = ()> + '_ {
        self.inner.stop.notified()
    }

    /// Waits until the server stops.
    pub(super) async fn until_stopped(&self) {
        let stopped = self.inner.stop.notified();
        tokio::pin!(stopped);
        stopped.as_mut().enable();
        if !self.is_stopping() {
            stopped.await;
        }
    }

    /// Waits until `fits` says so of the connections that are left.
    pub(super) async fn until(&self, fits: impl Fn(&Self) -> bool) {
        loop {
            let changed = self.inner.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if fits(self) {
                return;
            }
            changed.await;
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Busy,
    Streaming,
    Lingering,
}

/// One connection's place among the open ones; dropping it is leaving.
#[derive(Debug)]
pub(super) struct Seat {
    open: Open,
    kind: Kind,
}

impl Seat {
    /// It is asked something.
    pub(super) fn is_busy(&mut self) {
        self.become_kind(Kind::Busy);
    }

    /// It answers with a stream of events from now on.
    pub(super) fn streams(&mut self) {
        self.become_kind(Kind::Streaming);
    }

    /// It has answered and waits for its client to go.
    pub(super) fn lingers(&mut self) {
        self.become_kind(Kind::Lingering);
    }

    fn become_kind(&mut self, kind: Kind) {
        if self.kind == kind {
            return;
        }
        // The new count first, so that nobody sees the connection nowhere.
        self.counter(kind).fetch_add(1, Ordering::AcqRel);
        self.counter(self.kind).fetch_sub(1, Ordering::AcqRel);
        self.kind = kind;
        self.open.inner.changed.notify_waiters();
    }

    fn counter(&self, kind: Kind) -> &AtomicUsize {
        let inner = &self.open.inner;
        match kind {
            Kind::Busy => &inner.busy,
            Kind::Streaming => &inner.streaming,
            Kind::Lingering => &inner.lingering,
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.counter(self.kind).fetch_sub(1, Ordering::AcqRel);
        self.open.inner.changed.notify_waiters();
    }
}
