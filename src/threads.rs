//! The data plane: threads of our own for whatever touches a file.
//!
//! A write to a file blocks, now and then for long. On a thread that also accepts connections and answers polls it would
//! hold all of them up, and handing every chunk to a pool costs more than the write. So bodies live on data
//! threads and write in place; each runs a small single-threaded runtime, and whoever writes yields after every write, so
//! that one fast client does not hold the others.

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

mod outlive;

pub(crate) use outlive::Outliving;

thread_local! {
    static ON_DATA_THREAD: Cell<bool> = const { Cell::new(false) };
}

/// Whether the caller runs on a data thread, where blocking is allowed.
#[must_use]
pub fn on_data_thread() -> bool {
    ON_DATA_THREAD.get()
}

/// A fixed set of data threads; they end when the last clone of this is dropped.
#[derive(Clone, Debug)]
pub struct DataThreads {
    threads: Arc<[Thread]>,
}

#[derive(Debug)]
struct Thread {
    runtime: Handle,
    /// Tasks that live on this thread.
    tasks: Arc<AtomicUsize>,
    /// Dropped with the set: that ends the thread.
    _alive: oneshot::Sender<()>,
}

impl DataThreads {
    /// Starts `count` threads, at least one.
    ///
    /// # Errors
    /// When the system gives no thread or no event queue.
    pub fn start(count: usize) -> io::Result<Self> {
        let threads = (0..count.max(1))
            .map(Thread::start)
            .collect::<io::Result<Vec<_>>>()?;
        Ok(Self {
            threads: threads.into(),
        })
    }

    /// Runs `work` where blocking is allowed: in place on a data thread, else on the one with the fewest tasks.
    ///
    /// Dropping the returned future stops `work` at its next `.await`. The future has room for `work` twice: large work
    /// comes in a box.
    pub async fn run<F>(&self, work: F) -> F::Output
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        if on_data_thread() {
            return work.await;
        }
        let mut task = AbortOnDrop(self.spawn(work));
        match (&mut task.0).await {
            Ok(output) => output,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }

    /// Starts `work` on the data thread with the fewest tasks and lets it run to its end.
    #[doc(hidden)]
    pub fn spawn<F>(&self, work: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let thread = self
            .threads
            .iter()
            .min_by_key(|thread| thread.tasks.load(Ordering::Relaxed));
        let thread = thread.expect("there is at least one data thread");
        let counted = Counted::one(&thread.tasks);
        // Else the task would have room for it twice, before its first step and after.
        let work = Box::pin(work);
        thread.runtime.spawn(async move {
            let _counted = counted;
            work.await
        })
    }
}

impl Thread {
    fn start(number: usize) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (alive, ended) = oneshot::channel();
        std::thread::Builder::new()
            .name(format!("data-{number}"))
            .spawn(move || {
                ON_DATA_THREAD.set(true);
                // The sender never sends: the wait ends when the set of threads is dropped.
                let _ = runtime.block_on(ended);
            })?;
        Ok(Self {
            runtime: handle,
            tasks: Arc::default(),
            _alive: alive,
        })
    }
}

struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn one(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

struct AbortOnDrop<T>(JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_runs_on_a_data_thread_and_nested_work_in_place() {
        let threads = DataThreads::start(2).unwrap();
        assert!(!on_data_thread());
        let inner = threads.clone();
        let nested = threads.run(async move {
            let outer = std::thread::current().id();
            on_data_thread()
                && inner
                    .run(async move { std::thread::current().id() == outer })
                    .await
        });
        assert!(nested.await);
    }

    #[tokio::test]
    async fn dropping_the_caller_drops_the_work() {
        struct Tells(Option<oneshot::Sender<()>>);
        impl Drop for Tells {
            fn drop(&mut self) {
                let _ = self.0.take().expect("dropped once").send(());
            }
        }
        let threads = DataThreads::start(1).unwrap();
        let (tell, told) = oneshot::channel();
        let guard = Tells(Some(tell));
        let work = threads.run(async move {
            let _guard = guard;
            std::future::pending::<()>().await;
        });
        assert!(
            tokio::time::timeout(std::time::Duration::from_millis(20), work)
                .await
                .is_err()
        );
        told.await.unwrap();
    }
}
