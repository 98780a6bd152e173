//! From what was told to what runs: the parts of the server that a [`Config`] describes.

use std::path::Path;

use anyhow::{Context as _, anyhow, bail};

use super::config::PageChoice;
use super::{Config, ConnectionOptions, DrainOptions, HeadLimits};
use crate::admission::AdmissionOptions;
use crate::ask::{self, AskOptions};
use crate::handlers::{Digest, Limit, Sniff};
use crate::net::Net;
use crate::progress::TrackerOptions;
use crate::protocol::multipart::PartLimits;
use crate::protocol::tus::TusOptions;
use crate::receive::{Limits, PaceOptions};
use crate::rights::{AppsWord, HostName, Rights, Rule, TicketOptions, Tickets, Tokens, Trust};
use crate::service::Dumbwaiter;
use crate::signed::Keys;
use crate::store::{DiskOptions, Store};
use crate::unfinished::ResumeOptions;
use crate::watch::WatchOptions;
use crate::{Site, SiteError, SiteLimits};

/// The environment variable that may hold the key in place of `--app-key-file`.
pub(super) const APP_KEY: &str = "DUMBWAITER_APP_KEY";

impl Config {
    /// The keys that the app shares, or one that nobody does.
    pub(super) fn keys(&self) -> anyhow::Result<Keys> {
        match (&self.app_key_file, std::env::var(APP_KEY)) {
            (Some(path), _) => {
                Keys::open(path).with_context(|| format!("--app-key-file {}", path.display()))
            }
            (None, Ok(key)) => Keys::parse(&key).context(APP_KEY),
            (None, Err(std::env::VarError::NotPresent)) => Ok(Keys::random()),
            (None, Err(unreadable)) => Err(unreadable).context(APP_KEY),
        }
    }

    /// How files rest on the disk.
    pub(super) fn disk(&self) -> DiskOptions {
        DiskOptions {
            durability: self.durability,
            sync_threads: self.sync_threads,
            reserve_ahead: self.reserve_ahead,
            ..DiskOptions::default()
        }
    }

    /// How connections are waited for and let go.
    pub(super) fn connections(&self) -> ConnectionOptions {
        ConnectionOptions {
            head_timeout: self.head_timeout,
            head: HeadLimits {
                bytes: bytes(self.max_head_size),
                fields: self.max_head_fields,
            },
            stall: self.stall_timeout,
            read_memory: self.read_memory,
            linger_bytes: self.linger_bytes,
            linger_time: self.linger_time,
        }
    }

    /// How it comes to its end.
    pub(super) fn drain(&self) -> DrainOptions {
        DrainOptions {
            delay: self.drain_delay,
            grace: self.shutdown_grace,
        }
    }

    /// The service on top of `store`, with `site` as its page if there is one.
    pub(super) fn dumbwaiter(&self, store: impl Store, site: Option<Site>) -> Dumbwaiter {
        let lift = Dumbwaiter::new(store)
            .name(self.name.clone())
            .on_conflict(self.on_conflict)
            .base(self.base.clone())
            .only_below_base(self.secret_link)
            .downloads(self.downloads)
            .limits(Limits {
                files: self.max_files,
                fields: self.max_fields,
                field_size: bytes(self.max_field_size),
                field_bytes: bytes(self.max_field_bytes),
            })
            .part_limits(PartLimits {
                head_bytes: bytes(self.max_part_head),
                head_fields: self.max_part_head_fields,
                boundary_bytes: self.max_boundary,
            })
            .tus(TusOptions {
                absolute_location: self.location,
                metadata_bytes: bytes(self.max_metadata),
                partials: self.max_partials,
            })
            .resume(self.resume())
            .admission(self.admission())
            .keep(self.keep)
            .pace(self.pace())
            .progress(self.progress())
            .watch(self.watch())
            .page(self.page == PageChoice::Ours);
        let lift = match site {
            Some(site) => lift.page_from(site),
            None => lift,
        };
        self.with_handlers(lift)
    }

    pub(super) fn resume(&self) -> ResumeOptions {
        ResumeOptions {
            expire_after: self.expire_after,
            checkpoint_bytes: self.checkpoint_bytes,
            checkpoint_time: self.checkpoint_time,
            patience: self.let_go_time,
            max_parked: self.max_parked,
        }
    }

    fn admission(&self) -> AdmissionOptions {
        AdmissionOptions {
            uploads: self.max_uploads,
            uploads_per_address: self.max_uploads_per_address,
            unfinished: self.max_unfinished,
            unfinished_in_all: self.max_unfinished_in_all,
            upload_bytes: self.max_upload_size,
            request_bytes: self.max_request_size,
            store_bytes: self.max_store_size,
            owner_bytes: self.max_owner_bytes,
            keep_free: self.keep_free,
            keep_free_inodes: self.keep_free_inodes,
        }
    }

    /// What is to stand at `/`, if that is a folder, which is read now.
    pub(super) fn page(&self) -> anyhow::Result<Option<Site>> {
        let PageChoice::Folder(folder) = &self.page else {
            return Ok(None);
        };
        if lies_in(&self.dir, folder) {
            bail!(
                "--dir {} lies in --page {}: what anybody sends would be part of the page",
                self.dir.display(),
                folder.display()
            );
        }
        let limits = SiteLimits {
            files: self.max_page_files,
            bytes: self.max_page_size,
        };
        let site = Site::open_with(folder, limits).map_err(|error| match error {
            SiteError::TooMany { .. } => anyhow!("{error}; --max-page-files allows more"),
            SiteError::TooLarge { .. } => anyhow!("{error}; --max-page-size allows more"),
            other => other.into(),
        });
        let site = site.with_context(|| format!("--page {}", folder.display()))?;
        Ok(Some(site))
    }

    /// The tokens that let upload, if they are asked for.
    pub(super) fn tokens(&self) -> anyhow::Result<Option<Tokens>> {
        let open = |path: &std::path::PathBuf| {
            Tokens::open(path).with_context(|| format!("--token {}", path.display()))
        };
        self.token.as_ref().map(open).transpose()
    }

    /// Who may do what, and whose word counts.
    ///
    /// # Errors
    /// Where tickets are to be taken and the app has no key to sign them with.
    pub(super) fn rights(
        &self,
        tokens: Option<Tokens>,
        net: &Net,
        keys: &Keys,
    ) -> anyhow::Result<Rights> {
        let networks = Some(self.allow_from.clone()).filter(|networks| !networks.is_empty());
        let rules = [
            tokens.map(Rule::Tokens),
            networks.map(Rule::Addresses),
            self.asks(net).map(Rule::App),
            self.tickets(keys)?.map(Rule::Tickets),
        ];
        let loopback = self.listen.ip().to_canonical().is_loopback();
        Ok(Rights {
            rules: rules.into_iter().flatten().collect(),
            trust: Trust {
                proxies: self.trusted_proxy.clone(),
                forwarding: self.forwarding,
            },
            hosts: Some([vec![HostName::Own], self.host.clone()].concat()),
            origins: self.allow_origin.clone(),
            local_origins: loopback && self.allow_origin.is_empty(),
        })
    }

    /// The app that says who may, if one is to be asked.
    fn asks(&self, net: &Net) -> Option<AppsWord> {
        let options = AskOptions {
            url: self.ask.clone()?,
            timeout: self.ask_timeout,
            lets_in_unasked: self.ask_failure,
            keep: self.ask_keep,
            most_kept: self.max_asked,
            at_once: self.max_asking,
        };
        Some(AppsWord::new(ask::App::new(net, options)))
    }

    /// The tickets that let in, if any do.
    fn tickets(&self, keys: &Keys) -> anyhow::Result<Option<Tickets>> {
        if !self.tickets {
            return Ok(None);
        }
        anyhow::ensure!(
            keys.are_shared(),
            "--tickets needs the key with which the app signs: --app-key-file FILE, or {APP_KEY}"
        );
        let options = TicketOptions {
            most_time: self.max_ticket_time,
            most_used: self.max_tickets,
        };
        Ok(Some(Tickets::new(keys.clone(), options)))
    }

    fn pace(&self) -> PaceOptions {
        PaceOptions {
            stall: self.stall_timeout,
            least_rate: self.min_rate,
            window: self.min_rate_window,
            total: self.max_upload_time,
        }
    }

    fn progress(&self) -> TrackerOptions {
        TrackerOptions {
            keep: self.keep_records,
            keep_polled: self.keep_polled,
            max_records: self.max_records,
            max_field_bytes: bytes(self.max_record_fields),
            ..TrackerOptions::default()
        }
    }

    fn watch(&self) -> WatchOptions {
        WatchOptions {
            progress_format: self.progress_format,
            poll_unknown: self.poll_unknown,
            wait: self.watch_wait,
            time: self.watch_time,
            comment: self.watch_comment,
            max_watchers: self.max_watchers,
            max_ids: self.max_watched,
            max_awaited: self.max_awaited,
        }
    }

    /// What refuses comes before what computes.
    fn with_handlers(&self, mut lift: Dumbwaiter) -> Dumbwaiter {
        if let Some(most) = self.max_file_size {
            lift = lift.handler(move || Limit::bytes(most));
        }
        if !self.allow_type.is_empty() {
            let sniff = Sniff::allow(self.allow_type.clone());
            lift = lift.handler(move || sniff.clone());
        }
        match self.digest {
            Some(algorithm) => lift.handler(move || Digest::new(algorithm)),
            None => lift,
        }
    }
}

/// A size in memory; what no memory could hold counts as the most that one could.
fn bytes(size: u64) -> usize {
    usize::try_from(size).unwrap_or(usize::MAX)
}

/// Whether `inner`, which need not be there yet, is `outer` or below it. What cannot be looked at is not.
fn lies_in(inner: &Path, outer: &Path) -> bool {
    let (Ok(inner), Ok(outer)) = (std::path::absolute(inner), outer.canonicalize()) else {
        return false;
    };
    let there = inner.ancestors().find_map(|path| path.canonicalize().ok());
    there.is_some_and(|there| there.starts_with(outer))
}
