//! The app behind: whether it can be the one, and whether it is there.

use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::Arc;

use anyhow::Context as _;

use super::Config;
use crate::app::{App, AppOptions, TunnelOptions};
use crate::hand_off::{FormOptions, Forms, Give, Reference, Working, WorkingOptions};
use crate::net::{Address, Net, Patience, Upstream};
use crate::service::Front;
use crate::signed::Keys;

/// What stands before the app, if there is one.
pub(super) async fn front(
    config: &Config,
    own: SocketAddr,
    net: &Net,
    keys: &Keys,
    working: &Working,
) -> anyhow::Result<Option<Front>> {
    let Some(upstream) = config.app.clone() else {
        return Ok(None);
    };
    let forms = config.forms(keys)?;
    let beside = [config.admin_listen, config.probe_listen];
    let own = std::iter::once(own).chain(beside.into_iter().flatten());
    refuse_own(&upstream, &own.collect::<Vec<_>>()).await?;
    let app = App::new(
        net,
        AppOptions {
            upstream,
            patience: config.patience(),
            tunnels: TunnelOptions {
                most: config.max_tunnels,
                idle: config.tunnel_idle_timeout,
            },
        },
    );
    tokio::spawn(look_for(app.clone()));
    Ok(Some(Front {
        forms: Forms::new(app.clone(), working.clone(), forms),
        app,
        upload_paths: Arc::from(&*config.upload_path),
        poll_paths: Arc::from(&*config.poll_path),
    }))
}

impl Config {
    /// What the app may have in hand.
    pub(super) fn working(&self) -> WorkingOptions {
        WorkingOptions {
            most: self.max_processing,
            time: self.processing_timeout,
        }
    }

    /// How forms are handed off.
    fn forms(&self, keys: &Keys) -> anyhow::Result<FormOptions> {
        Ok(FormOptions {
            reference: self.reference(keys)?,
            refuses: self.app_refuses.clone(),
            grace: self.app_grace,
            keep_query: self.replay_query,
            skeleton_bytes: usize::try_from(self.max_skeleton).unwrap_or(usize::MAX),
        })
    }

    /// By what stored files are referred to, where they are.
    fn reference(&self, keys: &Keys) -> anyhow::Result<Option<Reference>> {
        if self.give != Give::Reference {
            return Ok(None);
        }
        anyhow::ensure!(
            keys.are_shared(),
            "--give reference signs what it says of the files, and the app must know the key: choose --app-key-file \
             FILE or set DUMBWAITER_APP_KEY"
        );
        let works = self.app_timeout.saturating_add(self.processing_timeout);
        anyhow::ensure!(
            self.keep.is_none_or(|keep| keep > works),
            "--keep would clear files away that the app still works on: it must be longer than --app-timeout and \
             --processing-timeout together with --give reference"
        );
        let folder = std::path::absolute(&self.dir);
        let folder = folder.with_context(|| format!("--dir {}", self.dir.display()))?;
        Ok(Some(Reference {
            keys: keys.clone(),
            folder,
        }))
    }

    /// How long the app is waited for.
    fn patience(&self) -> Patience {
        Patience {
            connect: self.app_connect_timeout,
            head: self.app_timeout,
            silence: self.app_timeout,
            idle: self.app_idle_timeout,
            max_idle: self.max_app_idle,
            body: self.stall_timeout,
        }
    }
}

/// Refuses an app that is one of our own listeners: every request would come round for ever.
async fn refuse_own(upstream: &Upstream, own: &[SocketAddr]) -> anyhow::Result<()> {
    let Address::Tcp { host, port, .. } = upstream.address() else {
        return Ok(());
    };
    // What cannot be resolved now may be there later; a request that comes round gets 508.
    let Ok(found) = tokio::net::lookup_host((host, port)).await else {
        return Ok(());
    };
    for app in found {
        let same = own.iter().find(|own| is_reached_at(**own, app));
        if let Some(own) = same {
            anyhow::bail!("--app {upstream} leads back here, to {own}: it must name the app");
        }
    }
    Ok(())
}

/// Whether what goes to `address` comes to the listener at `own`.
fn is_reached_at(own: SocketAddr, address: SocketAddr) -> bool {
    let (ip, other) = (own.ip().to_canonical(), address.ip().to_canonical());
    // Connecting to the unspecified address reaches this machine.
    let here = ip.is_unspecified() && is_of_this_machine(other)
        || other.is_unspecified() && (ip.is_loopback() || ip.is_unspecified());
    own.port() == address.port() && (ip == other || here)
}

/// The system lets one listen on its own addresses alone.
fn is_of_this_machine(ip: IpAddr) -> bool {
    ip.is_loopback() || TcpListener::bind((ip, 0)).is_ok()
}

/// Says so in the log when the app is not there: it may come later.
async fn look_for(app: App) {
    if let Err(cause) = app.look().await {
        tracing::warn!(cause = cause.words(), "the app is not there yet");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_app_that_is_our_own_listener_is_known_however_it_is_named() {
        for (own, app, reached) in [
            ("127.0.0.1:7070", "127.0.0.1:7070", true),
            ("127.0.0.1:7070", "127.0.0.1:7071", false),
            ("127.0.0.1:7070", "127.0.0.2:7070", false),
            ("127.0.0.1:7070", "0.0.0.0:7070", true),
            ("127.0.0.1:7070", "[::ffff:127.0.0.1]:7070", true),
            ("0.0.0.0:7070", "127.0.0.1:7070", true),
            ("0.0.0.0:7070", "127.8.8.8:7070", true),
            ("[::]:7070", "127.0.0.1:7070", true),
            ("[::]:7070", "[::1]:7070", true),
            // Kept for examples: no machine has it.
            ("0.0.0.0:7070", "192.0.2.1:7070", false),
        ] {
            let (own, app) = (own.parse().unwrap(), app.parse().unwrap());
            assert_eq!(is_reached_at(own, app), reached, "{own} {app}");
        }
    }
}
