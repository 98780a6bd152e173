//! Numbers for Prometheus: counted as uploads end, written when somebody asks.
//!
//! The registry is handed in, nothing is global. What is a count of the moment (running uploads, watchers, room on the
//! disk) is looked up at each scrape. `docs/operations.md` has the table of names.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64};
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use crate::error::Error;
use crate::progress::{End, Interruption, Ledger};
use crate::store::SyncLedger;
use crate::upload::Protocol;

type Labels<const N: usize> = [(&'static str, &'static str); N];
type Histograms = Family<Labels<1>, Histogram, fn() -> Histogram>;

/// The metrics themselves. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct Metrics {
    ended: Family<Labels<2>, Counter>,
    interrupted: Family<Labels<2>, Counter>,
    received: Family<Labels<1>, Counter>,
    durations: Histograms,
    sizes: Histograms,
    syncs: Histogram,
    refusals: Family<Labels<1>, Counter>,
    cached: Family<Labels<1>, Counter>,
    uncached: Family<Labels<1>, Counter>,
    moment: Moment,
}

/// What is true at the moment of a scrape.
#[derive(Clone, Default, Debug)]
pub(super) struct Moment {
    pub(super) running: Gauge<i64, AtomicI64>,
    pub(super) unfinished: Gauge<i64, AtomicI64>,
    pub(super) unfinished_bytes: Gauge<u64, GaugeU64>,
    pub(super) watchers: Gauge<i64, AtomicI64>,
    pub(super) connections: Gauge<i64, AtomicI64>,
    pub(super) free_bytes: Gauge<u64, GaugeU64>,
    pub(super) free_inodes: Gauge<u64, GaugeU64>,
}

type GaugeU64 = AtomicU64;

impl Metrics {
    /// Makes the metrics known to `registry`, whose prefix says whose they are.
    pub(super) fn new(registry: &mut Registry) -> Self {
        let metrics = Self {
            ended: Family::default(),
            interrupted: Family::default(),
            received: Family::default(),
            durations: Family::new_with_constructor(durations),
            sizes: Family::new_with_constructor(sizes),
            syncs: Histogram::new(exponential_buckets(0.0001, 4.0, 9)),
            refusals: Family::default(),
            cached: Family::default(),
            uncached: Family::default(),
            moment: Moment::default(),
        };
        metrics.register_counts(registry);
        metrics.register_spans(registry);
        metrics.moment.register(registry);
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The version that runs", build);
        metrics
    }

    fn register_counts(&self, registry: &mut Registry) {
        let help = "Uploads that have ended, by the way in and how: done or the error's code";
        registry.register("uploads", help, self.ended.clone());
        let help = "Times that an upload which can resume was interrupted, by the way in and why";
        registry.register("interruptions", help, self.interrupted.clone());
        let help = "Body bytes taken off the wire, of running uploads too";
        registry.register_with_unit("received", help, Unit::Bytes, self.received.clone());
        let help = "Requests answered with an error, by its code";
        registry.register("refusals", help, self.refusals.clone());
        let help = "Values for the progress cache, by whether they were written: yes, no";
        registry.register("progress_cache_values", help, self.cached.clone());
        let help = "Uploads left out of the progress cache, by why: foreign, full, key";
        registry.register("progress_cache_left_out", help, self.uncached.clone());
        // From the start: a count that appears with its first event hides that event from whoever looks at changes.
        for written in [true, false] {
            self.cached(written, 0);
        }
        for why in ["foreign", "full", "key"] {
            let _ = self.uncached.get_or_create(&[("why", why)]);
        }
    }

    /// So many values went to a progress cache, or did not.
    pub(super) fn cached(&self, written: bool, values: u64) {
        let written = if written { "yes" } else { "no" };
        let labels = [("written", written)];
        self.cached.get_or_create(&labels).inc_by(values);
    }

    /// An upload is in no progress cache.
    pub(super) fn uncached(&self, why: &'static str) {
        self.uncached.get_or_create(&[("why", why)]).inc();
    }

    fn register_spans(&self, registry: &mut Registry) {
        let help = "How long uploads took, from the head to the end";
        registry.register_with_unit(
            "upload_duration",
            help,
            Unit::Seconds,
            self.durations.clone(),
        );
        let help = "Body bytes of uploads that have ended";
        registry.register_with_unit("upload_size", help, Unit::Bytes, self.sizes.clone());
        let help = "How long one sync of a file, a folder or the records took";
        registry.register_with_unit("sync_duration", help, Unit::Seconds, self.syncs.clone());
    }

    /// A request has been answered with this error. Whoever has gone gets no answer: that upload's end counts alone.
    pub(super) fn refused(&self, code: &'static str) {
        if code == Error::ClientGone.code() {
            return;
        }
        self.refusals.get_or_create(&[("code", code)]).inc();
    }

    /// What is looked up at each scrape.
    pub(super) fn moment(&self) -> &Moment {
        &self.moment
    }
}

impl Moment {
    fn register(&self, registry: &mut Registry) {
        registry.register("uploads_running", "Uploads that run", self.running.clone());
        let help = "Uploads that can be resumed and are not finished, running ones too";
        registry.register("uploads_unfinished", help, self.unfinished.clone());
        let help = "What is kept of them";
        let bytes = self.unfinished_bytes.clone();
        registry.register_with_unit("unfinished", help, Unit::Bytes, bytes);
        let help = "Streams of progress that are open";
        registry.register("watchers", help, self.watchers.clone());
        let help = "Connections that are open";
        registry.register("connections", help, self.connections.clone());
        let help = "Room for files on the disk that holds them";
        registry.register_with_unit("disk_free", help, Unit::Bytes, self.free_bytes.clone());
        let help = "How many more files that disk can hold";
        registry.register("disk_free_inodes", help, self.free_inodes.clone());
    }
}

fn durations() -> Histogram {
    Histogram::new(exponential_buckets(0.01, 4.0, 10))
}

fn sizes() -> Histogram {
    Histogram::new(exponential_buckets(1024.0, 8.0, 9))
}

impl Ledger for Metrics {
    fn received(&self, protocol: Protocol, bytes: u64) {
        let labels = [("protocol", protocol.as_str())];
        self.received.get_or_create(&labels).inc_by(bytes);
    }

    fn ended(&self, end: &End<'_>) {
        let protocol = ("protocol", end.protocol.as_str());
        self.ended
            .get_or_create(&[protocol, ("end", end.code())])
            .inc();
        let took = end.lasted.as_secs_f64();
        self.durations.get_or_create(&[protocol]).observe(took);
        self.sizes
            .get_or_create(&[protocol])
            .observe(end.received as f64);
    }

    fn interrupted(&self, interruption: &Interruption<'_>) {
        let protocol = ("protocol", interruption.protocol.as_str());
        self.interrupted
            .get_or_create(&[protocol, ("why", interruption.why.code())])
            .inc();
    }
}

impl SyncLedger for Metrics {
    fn synced(&self, took: Duration) {
        self.syncs.observe(took.as_secs_f64());
    }
}

/// The text that Prometheus reads.
pub(super) fn text(registry: &Arc<Registry>) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, registry)?;
    Ok(text)
}

/// The media type of [`text`].
pub(super) const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
