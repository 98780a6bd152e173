//! The table under a scheduler that decides at every step who goes next, and that fails when nobody can. What is tried is the very file that serves; only the locks and atomics it is made of
//! are the scheduler's.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::Poll;

use shuttle::future::{block_on, spawn, yield_now};
use shuttle::sync::mpsc::{Sender, channel};

use crate::error::Error;
use crate::upload::UploadId;
use sync::Arc;
use table::{Asking, Lock, Table};

#[allow(
    clippy::duplicate_mod,
    reason = "the same source, made of the scheduler's locks"
)]
#[path = "table.rs"]
mod table;

mod sync {
    pub(super) use shuttle::sync::atomic::{AtomicBool, Ordering};
    pub(super) use shuttle::sync::{Arc, Mutex, MutexGuard, PoisonError};
}

/// What a request does once it has asked.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// It waits as long as it takes.
    Waits,
    /// Its patience comes to an end.
    Forces,
    /// Its client goes away while it waits.
    Vanishes,
}

const WAYS: [Way; 3] = [Way::Waits, Way::Forces, Way::Vanishes];

fn id() -> UploadId {
    UploadId::from_bytes([1; 16])
}

/// How many have the upload, and how many of them got it because nobody else had. Counting is no step of the
/// scheduler's.
#[derive(Default)]
struct Having {
    all: AtomicUsize,
    alone: AtomicUsize,
}

async fn request(table: Arc<Table>, way: Way, having: Arc<Having>, came: Sender<()>) {
    let mut asking = table.ask(id());
    came.send(()).unwrap();
    let got = match way {
        Way::Waits => Some(asking.await),
        Way::Forces => match once(&mut asking).await {
            Some(got) => Some(got),
            None => {
                yield_now().await;
                Some(asking.force())
            }
        },
        Way::Vanishes => once(&mut asking).await,
    };
    match got {
        Some(Ok(lock)) => have(lock, &having).await,
        Some(Err(error)) => assert!(matches!(error, Error::Superseded)),
        None => {}
    }
}

/// What asking gives at its first look.
async fn once(asking: &mut Asking) -> Option<Result<Lock, Error>> {
    let mut asking = pin!(asking);
    poll_fn(|cx| match asking.as_mut().poll(cx) {
        Poll::Ready(got) => Poll::Ready(Some(got)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

/// Has the upload until it is asked to let go.
async fn have(lock: Lock, having: &Having) {
    let alone = usize::from(!lock.is_forced());
    having.all.fetch_add(1, Relaxed);
    assert!(having.alone.fetch_add(alone, Relaxed) + alone <= 1);
    lock.asked().await;
    assert!(lock.is_asked());
    having.alone.fetch_sub(alone, Relaxed);
    having.all.fetch_sub(1, Relaxed);
}

/// Requests that go each their way, then one more that comes after all of them: it gets the upload, alone, and nothing
/// stays behind.
fn the_last_one_gets_it(ways: &[Way]) {
    let table = Arc::<Table>::default();
    let having = Arc::<Having>::default();
    let (came, all_came) = channel();
    let requests: Vec<_> = ways
        .iter()
        .map(|&way| {
            spawn(request(
                Arc::clone(&table),
                way,
                Arc::clone(&having),
                came.clone(),
            ))
        })
        .collect();
    ways.iter().for_each(|_| all_came.recv().unwrap());
    let lock = block_on(table.ask(id())).unwrap();
    assert_eq!(having.all.load(Relaxed), 0);
    assert!(!lock.is_forced() && !lock.is_asked());
    drop(lock);
    requests.into_iter().for_each(|r| block_on(r).unwrap());
    assert_eq!(table.len(), 0);
}

/// Every list of one to three ways.
fn lists_of_ways() -> Vec<Vec<Way>> {
    let longer = |lists: &[Vec<Way>]| -> Vec<Vec<Way>> {
        let with_one_more = |list: &Vec<Way>| WAYS.map(|way| [list.as_slice(), &[way]].concat());
        lists.iter().flat_map(with_one_more).collect()
    };
    let ones = longer(&[Vec::new()]);
    let twos = longer(&ones);
    let threes = longer(&twos);
    [ones, twos, threes].concat()
}

#[test]
fn whatever_the_order_the_last_one_gets_it_alone() {
    for ways in lists_of_ways() {
        let again = ways.clone();
        shuttle::check_random(move || the_last_one_gets_it(&ways), 80);
        shuttle::check_pct(move || the_last_one_gets_it(&again), 80, 3);
    }
}

/// Two wait for one that lets go only when either has heard that it is too late for it.
fn the_older_of_two_hears_it_at_once() {
    let table = Arc::<Table>::default();
    let lock = block_on(table.ask(id())).unwrap();
    let (too_late, heard) = channel();
    let waiters: Vec<_> = (0..2)
        .map(|_| {
            let (table, too_late) = (Arc::clone(&table), too_late.clone());
            spawn(async move {
                let got = table.ask(id()).await;
                if got.is_err() {
                    too_late.send(()).unwrap();
                }
                got.is_ok()
            })
        })
        .collect();
    heard.recv().unwrap();
    assert!(lock.is_asked());
    drop(lock);
    let got = waiters.into_iter().map(|w| block_on(w).unwrap());
    assert_eq!(got.filter(|&got| got).count(), 1);
    assert_eq!(table.len(), 0);
}

#[test]
fn whatever_the_order_the_older_of_two_hears_it_at_once() {
    shuttle::check_random(the_older_of_two_hears_it_at_once, 500);
    shuttle::check_pct(the_older_of_two_hears_it_at_once, 500, 3);
}
