//! The listeners beside the public one: which there are, where they are, and who may make changes there.

use std::fmt::Write;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;

use super::admin::{self, Admin, Offer};
use super::{Config, listen};
use crate::rights::Tokens;

/// The tokens that the admin listener takes, and the one to print if it was made up.
pub(super) fn tokens(config: &Config) -> anyhow::Result<(Tokens, Option<String>)> {
    Ok(match &config.admin_token_file {
        Some(file) => {
            let tokens = Tokens::open(file)
                .with_context(|| format!("--admin-token-file {}", file.display()))?;
            (tokens, None)
        }
        None => {
            let (tokens, token) = Tokens::random();
            (tokens, Some(token))
        }
    })
}

/// Where the listeners beside the public one are.
#[derive(Debug)]
pub(super) struct Beside {
    admin: Option<SocketAddr>,
    probes: Option<SocketAddr>,
}

impl Beside {
    /// Opens those that `config` wants, and serves them from now on.
    pub(super) async fn listen(config: &Config, admin: &Arc<Admin>) -> anyhow::Result<Self> {
        let mut beside = Self {
            admin: None,
            probes: None,
        };
        if let Some(address) = config.admin_listen {
            let listener = listen(address, "admin-listen").await?;
            let local = listener.local_addr()?;
            let loopback = local.ip().to_canonical().is_loopback();
            beside.admin = Some(local);
            tokio::spawn(admin::serve(
                Arc::clone(admin),
                listener,
                Offer::All { loopback },
            ));
        }
        if let Some(address) = config.probe_listen {
            let listener = listen(address, "probe-listen").await?;
            beside.probes = Some(listener.local_addr()?);
            tokio::spawn(admin::serve(Arc::clone(admin), listener, Offer::Probes));
        }
        Ok(beside)
    }

    /// What the greeting says of them; `token` is told if it was made up.
    pub(super) fn words(&self, token: Option<&str>) -> String {
        let mut words = String::new();
        if let Some(admin) = self.admin {
            let _ = writeln!(words, "All uploads:  curl http://{admin}/uploads");
            if let Some(token) = token {
                let _ = writeln!(words, "Changes there need the token {token}");
            }
        }
        if let Some(probes) = self.probes {
            let _ = writeln!(words, "Probes and metrics:  curl http://{probes}/metrics");
        }
        words
    }
}
