//! The thread on which work of the store runs to its end when nobody waits for it any more.

use std::future::Future;
use std::io;

use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::threads::Outliving;

/// A thread that finishes what others have begun and dropped.
#[derive(Debug)]
pub(super) struct Finisher {
    handle: Handle,
    /// The thread ends when this is dropped.
    _stop: oneshot::Sender<()>,
}

impl Finisher {
    pub(super) fn start() -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        std::thread::Builder::new()
            .name("store-finish".into())
            .spawn(move || runtime.block_on(stopped))?;
        Ok(Self {
            handle,
            _stop: stop,
        })
    }

    /// Drives `work` in the caller's task for as long as that wants it, and else on the finisher's thread.
    pub(super) fn detached<W: Future<Output: Send> + Send + 'static>(
        &self,
        work: W,
    ) -> Outliving<W> {
        Outliving::new(work, self.handle.clone())
    }

    /// Runs `work` on the finisher's thread and blocks until it is done; `None` when it panicked.
    pub(super) fn block_on<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let (tell, told) = std::sync::mpsc::sync_channel(1);
        self.handle.spawn(async move {
            let _ = tell.send(work.await);
        });
        told.recv().ok()
    }
}
