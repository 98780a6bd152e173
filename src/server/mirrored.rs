//! The caches that get a copy of the progress, as the configuration says.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use anyhow::{Context as _, ensure};

use super::Config;
use super::metrics::Metrics;
use crate::mirror::{self, KeyFacts, MirrorLedger, MirrorOptions, Secret};
use crate::net::{Address, Net, Upstream};
use crate::progress::Tracker;

/// Has them follow the uploads that begin from now on, if there are any.
pub(super) async fn start(
    config: &Config,
    net: &Net,
    tracker: &Tracker,
    metrics: Metrics,
) -> anyhow::Result<()> {
    if config.progress_cache.is_empty() {
        return Ok(());
    }
    let options = options(config).await?;
    mirror::start(net, options, tracker, metrics);
    Ok(())
}

async fn options(config: &Config) -> anyhow::Result<MirrorOptions> {
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
    let addr = match &config.app {
        Some(app) => Some(our_address(app).await),
        None => None,
    };
    Ok(MirrorOptions {
        caches: config.progress_cache.clone(),
        password: password(config)?,
        key: config.progress_cache_key.clone(),
        facts: KeyFacts {
            prefix: config.progress_cache_prefix.clone().unwrap_or_default(),
            version: config.progress_cache_version,
            addr,
        },
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

/// What the app sees as the address of whoever asks it: that of our end of the connection. A socket of the file system has
/// none; Django's `REMOTE_ADDR` is empty there.
async fn our_address(app: &Upstream) -> String {
    let Address::Tcp { host, port, .. } = app.address() else {
        return String::new();
    };
    let found = tokio::net::lookup_host((host, port)).await;
    let first = found.ok().and_then(|mut found| found.next());
    let near = first.and_then(|app| near(app).ok());
    near.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)).to_string()
}

/// Which of our addresses leads there. Connecting such a socket sends nothing.
fn near(app: SocketAddr) -> std::io::Result<IpAddr> {
    let any: IpAddr = match app {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect(app)?;
    Ok(socket.local_addr()?.ip().to_canonical())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn our_address_is_the_one_that_the_app_sees() {
        for (app, address) in [
            ("http://127.0.0.1:8000", "127.0.0.1"),
            ("http://localhost:8000", "127.0.0.1"),
            ("http://127.9.9.9", "127.0.0.1"),
            ("unix:/run/app.sock", ""),
        ] {
            let seen = our_address(&app.parse().unwrap()).await;
            let loopback = address == "127.0.0.1" && seen == "::1" && app.contains("localhost");
            assert!(seen == address || loopback, "{app}: {seen}");
        }
    }
}
