//! SIGHUP: flags, environment and file are read again, and what can change while uploads run changes.

use super::Config;
use super::args::Told;
use super::logging::Level;
use crate::rights::Tokens;

/// Options that take effect at once; besides, files of tokens are read again.
const AT_ONCE: [&str; 3] = ["log", "drain-delay", "shutdown-grace"];

/// What may change while the server runs.
#[derive(Debug)]
pub(super) struct Reload {
    pub(super) level: Level,
    /// Of those who upload.
    pub(super) senders: Option<Tokens>,
    /// Of whoever runs the server.
    pub(super) operators: Tokens,
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
        self.read_tokens();
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

    /// The files are read again even where the options are as before: their lines may have changed.
    fn read_tokens(&self) {
        let files = [
            ("token", self.senders.as_ref()),
            ("admin-token-file", Some(&self.operators)),
        ];
        for (option, tokens) in files {
            if let Some(Err(error)) = tokens.map(Tokens::reload) {
                tracing::error!(option, "the old tokens stay: {error}");
            }
        }
    }
}
