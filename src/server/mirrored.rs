//! The caches that get a copy of the progress, as the configuration says.

use anyhow::{Context as _, ensure};

use super::Config;
use super::metrics::Metrics;
use crate::mirror::{self, Copies, KeyFacts, MirrorLedger, MirrorOptions, Secret};
use crate::net::Net;
use crate::progress::Tracker;

/// Has them follow the uploads, if there are any.
pub(super) fn start(
    config: &Config,
    net: &Net,
    tracker: &Tracker,
    metrics: Metrics,
) -> anyhow::Result<Option<Copies>> {
    if config.progress_cache.is_empty() {
        return Ok(None);
    }
    let options = options(config)?;
    Ok(Some(mirror::start(net, options, tracker, metrics)))
}

fn options(config: &Config) -> anyhow::Result<MirrorOptions> {
    const MOST_CACHES: usize = 64;
    ensure!(
        config.progress_cache.len() <= MOST_CACHES,
        "--progress-cache names more than {MOST_CACHES} caches"
    );
    // memcached takes a longer time for a date.
    const MOST_DAYS: u64 = 30;
    ensure!(
        config.progress_cache_time.as_secs() <= MOST_DAYS * 24 * 60 * 60,
        "--progress-cache-time is longer than the {MOST_DAYS} days for which caches keep a value"
    );
    Ok(MirrorOptions {
        caches: config.progress_cache.clone(),
        password: password(config)?,
        key: config.progress_cache_key.clone(),
        facts: KeyFacts {
            prefix: config.progress_cache_prefix.clone().unwrap_or_default(),
            version: config.progress_cache_version,
        },
        app: config.app.clone(),
        ttl: config.progress_cache_time,
        interval: config.progress_cache_interval,
        timeout: config.progress_cache_timeout,
        most: config.max_progress_cache,
    })
}

/// The first line of the file that holds it.
fn password(config: &Config) -> anyhow::Result<Option<Secret>> {
    let Some(path) = &config.progress_cache_password_file else {
        return Ok(None);
    };
    let named = || format!("--progress-cache-password-file {}", path.display());
    let text = std::fs::read_to_string(path).with_context(named)?;
    let word = text.lines().next().map(str::trim_end).unwrap_or_default();
    ensure!(!word.is_empty(), "{} holds no password", named());
    Ok(Some(Secret(word.to_owned())))
}

impl MirrorLedger for Metrics {
    fn written(&self, values: u64) {
        self.cached(true, values);
    }

    fn failed(&self, values: u64) {
        self.cached(false, values);
    }

    fn left_out(&self, why: &'static str) {
        self.uncached(why);
    }
}
