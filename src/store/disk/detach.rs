//! Work that runs to its end, whoever stops waiting for it.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::runtime::Handle;
use tokio::sync::oneshot;

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
    pub(super) fn detached<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Detached<T> {
        Detached {
            work: Some(Box::pin(work)),
            handle: self.handle.clone(),
        }
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

/// See [`Finisher::detached`].
pub(super) struct Detached<T: Send + 'static> {
    work: Option<Pin<Box<dyn Future<Output = T> + Send>>>,
    handle: Handle,
}

impl<T: Send + 'static> Future for Detached<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        // Taken out, so that work which panics is not begun again by the drop.
        let mut work = self
            .work
            .take()
            .expect("no future is polled when it is done");
        let done = work.as_mut().poll(context);
        if done.is_pending() {
            self.work = Some(work);
        }
        done
    }
}

impl<T: Send + 'static> Drop for Detached<T> {
    fn drop(&mut self) {
        if let Some(work) = self.work.take() {
            self.handle.spawn(work);
        }
    }
}
