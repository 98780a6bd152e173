//! Work that runs to its end, whoever stops waiting for it.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::runtime::Handle;

/// Driven in the caller's task for as long as that wants it, and else in a task of its own.
pub(crate) struct Outliving<W>
where
    W: Future<Output: Send> + Send + 'static,
{
    work: Option<Pin<Box<W>>>,
    runtime: Handle,
}

impl<W: Future<Output: Send> + Send + 'static> Outliving<W> {
    /// `work` that `runtime` finishes where the caller does not.
    pub(crate) fn new(work: W, runtime: Handle) -> Self {
        Self {
            work: Some(Box::pin(work)),
            runtime,
        }
    }
}

impl<W: Future<Output: Send> + Send + 'static> Future for Outliving<W> {
    type Output = W::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<W::Output> {
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

impl<W: Future<Output: Send> + Send + 'static> Drop for Outliving<W> {
    fn drop(&mut self) {
        if let Some(work) = self.work.take() {
            self.runtime.spawn(work);
        }
    }
}
