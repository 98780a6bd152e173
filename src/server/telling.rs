//! Whom to tell of uploads, as the configuration says.

use anyhow::Context as _;

use super::Config;
use crate::hand_off::{TellOptions, Working};
use crate::net::Net;
use crate::service::Telling;
use crate::signed::Keys;

impl Config {
    /// Who tells the app of uploads, if anybody is to.
    pub(super) fn telling(
        &self,
        keys: &Keys,
        net: &Net,
        working: &Working,
    ) -> anyhow::Result<Option<Telling>> {
        let Some(url) = self.hand_off.clone() else {
            return Ok(None);
        };
        anyhow::ensure!(
            keys.are_shared(),
            "--hand-off signs what it tells, and the app must know the key: choose --app-key-file FILE or set \
             DUMBWAITER_APP_KEY"
        );
        let dir = std::path::absolute(&self.dir);
        let dir = dir.with_context(|| format!("--dir {}", self.dir.display()))?;
        Ok(Some(Telling {
            options: TellOptions {
                url,
                keys: keys.clone(),
                timeout: self.hand_off_timeout,
                give_up: self.hand_off_for,
                retry: self.hand_off_retry,
                retry_most: self.hand_off_retry_most,
                at_once: self.max_hand_offs,
                answer_bytes: usize::try_from(self.max_hand_off_answer).unwrap_or(usize::MAX),
                refuses: self.app_refuses.clone(),
                grace: self.app_grace,
                processing: self.processing_timeout,
                folder: dir.canonicalize().unwrap_or(dir),
                base: self.base.clone(),
                downloads: self.downloads,
            },
            net: net.clone(),
            working: working.clone(),
        }))
    }
}
