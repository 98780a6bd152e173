//! A server, its uploads, and what the model knows of them.

use super::super::rig::Rig;
use super::home::Home;
use super::known::Known;
use super::steps::Step;
use crate::error::Error;

pub(super) struct World {
    pub(super) home: Home,
    pub(super) max_parked: usize,
    pub(super) rig: Rig,
    pub(super) uploads: Vec<Known>,
    /// How often bytes were sent: no two times the same.
    pub(super) sends: u8,
}

impl World {
    pub(super) fn start(home: Home, max_parked: usize) -> Self {
        Self {
            rig: home.serve(max_parked),
            home,
            max_parked,
            uploads: Vec::new(),
            sends: 0,
        }
    }

    pub(super) async fn take(&mut self, step: &Step) {
        match *step {
            Step::Create(length, awaits) => self.create(length.map(u64::from), awaits).await,
            Step::Begin(upload, at, bytes) => self.begin(upload, at, bytes).await,
            Step::Send(upload, bytes) => self.send(upload, bytes).await,
            Step::End(upload) => self.end(upload).await,
            Step::Cut(upload) => self.cut(upload).await,
            Step::Append(upload, at, ref said) => self.append(upload, at, said).await,
            Step::Head(upload) => self.head(upload).await,
            Step::Terminate(upload) => self.terminate(upload, Error::Cancelled).await,
            Step::Expire(upload) => {
                // Nobody's time is over while a request brings more.
                if self
                    .uploads
                    .get(upload)
                    .is_some_and(|known| known.open.is_none())
                {
                    self.terminate(upload, Error::Expired).await;
                }
            }
            Step::Stop => self.stop().await,
            Step::Crash => self.crash().await,
        }
    }
}
