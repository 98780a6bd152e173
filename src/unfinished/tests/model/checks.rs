//! What holds after every step, and at the end.

use super::super::rig::Rig;
use super::home::Home;
use super::known::{End, Known};
use super::steps::{At, Said};
use super::world::World;
use crate::progress::State;

impl World {
    /// What holds after every step.
    pub(super) async fn check(&mut self) {
        for known in &mut self.uploads {
            match (known.end, self.rig.unfinished.look(&known.id)) {
                (None, Some(status)) => {
                    known.tell(status.offset);
                    assert_eq!(status.length, known.length);
                    assert_eq!(status.remembered.awaits_word, known.awaits);
                    let at_rest = known.open.is_none();
                    assert!(!at_rest || status.offset == known.stands());
                }
                (Some(_), None) => {}
                (end, status) => panic!("{end:?}, and {status:?}"),
            }
            known.check_record(&self.rig);
        }
        let unfinished = self.uploads.iter().filter(|known| known.is_open());
        let bytes = unfinished.clone().map(|known| known.told).sum();
        assert_eq!(self.rig.unfinished.held(), (unfinished.count(), bytes));
    }

    /// Every upload is brought to its end, and nothing but the finished files is left.
    pub(super) async fn finish(mut self) {
        for upload in 0..self.uploads.len() {
            self.head(upload).await;
            let known = &self.uploads[upload];
            if known.is_open() {
                let left = known.length.map_or(3, |length| length - known.stands());
                let said = Said {
                    bytes: u8::try_from(left).unwrap(),
                    check: Some(true),
                    ends: Some(0),
                    last: known.awaits.then_some(true),
                };
                self.append(upload, At::End, &said).await;
            }
        }
        let store = &*self.rig.store;
        for known in &self.uploads {
            let file = store.read(&known.id, 0).await.unwrap();
            assert_eq!(file.is_some(), known.end == Some(End::Done));
            if let Some(mut file) = file {
                let bytes = file.read_at(0, 1 << 20).await.unwrap();
                assert_eq!(&bytes[..], known.sent);
            }
        }
        assert_eq!(store.list_unfinished(None, 1).await.unwrap(), []);
        assert_eq!(self.rig.unfinished.held(), (0, 0));
        if let Home::Disk(dir) = &self.home {
            let under_way = std::fs::read_dir(dir.path().join(".dumbwaiter/tmp")).unwrap();
            assert_eq!(under_way.count(), 0);
        }
    }
}

impl Known {
    /// The record is kept for five minutes, and not over a restart.
    fn check_record(&self, rig: &Rig) {
        let Some(progress) = rig.tracker.by_id(&self.id) else {
            return assert!(!self.is_open());
        };
        let (state, numbers) = (progress.state(), progress.numbers());
        match (self.end, &self.open) {
            (None, Some(_)) => assert_eq!(state, State::Uploading),
            (None, None) => assert!(matches!(
                state,
                State::Starting | State::Uploading | State::Interrupted
            )),
            (Some(End::Done), _) => assert_eq!(state, State::Done),
            (Some(End::Gone), _) => assert_eq!(state, State::Error),
        }
        if self.end != Some(End::Gone) {
            assert_eq!(numbers.received, self.stands());
        }
    }
}
