//! SIGHUP: flags, environment and file are read again, and what can change while uploads run changes.

use std::sync::Arc;

use super::Config;
use super::admin::Admin;
use super::args::Told;
use super::logging::Level;

/// Options that take effect at once.
const AT_ONCE: [&str; 4] = ["log", "admin-token-file", "drain-delay", "shutdown-grace"];

/// What may change while the server runs.
#[derive(Debug)]
pub(super) struct Reload {
    pub(super) level: Level,
    pub(super) admin: Arc<Admin>,
}

impl Reload {
    /// Reads the configuration again. `now` is what is in force; what comes back is in force from then on. One that
    /// cannot be used changes nothing, and the log says why.
    pub(super) fn again(&self, now: Told) -> Told {
        match Told::read(std::env::args_os(), std::env::vars_os()) {
            Ok(new) => self.take(now, &new),
            Err(error) => {
                tracing::error!("nothing is changed: {error:#}");
                now
            }
        }
    }

    fn take(&self, mut now: Told, new: &Told) -> Told {
        let changed = now.differences(new);
        let (taken, left): (Vec<_>, Vec<_>) =
            changed.into_iter().partition(|key| AT_ONCE.contains(key));
        self.level.set(new.config.log);
        now.config = Config {
            log: new.config.log,
            drain_delay: new.config.drain_delay,
            shutdown_grace: new.config.shutdown_grace,
            ..now.config
        };
        self.read_tokens(&now.config);
        if !left.is_empty() {
            tracing::warn!(
                options = left.join(" "),
                "changed, but not before a restart"
            );
        }
        tracing::info!(
            options = taken.join(" "),
            "the configuration was read again"
        );
        now.adopt(new, &taken);
        now
    }

    /// The file is read again even where the option is as before: its lines may have changed.
    fn read_tokens(&self, config: &Config) {
        let Some(file) = &config.admin_token_file else {
            return;
        };
        if let Err(error) = self.admin.tokens.read_again(file) {
            tracing::error!("the old ones stay: {error:#}");
        }
    }
}
