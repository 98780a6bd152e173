//! Who tells an app of uploads, about to begin.

use std::sync::Arc;

use crate::hand_off::{TellOptions, Teller, Tools, Working};
use crate::net::Net;
use crate::progress::Tracker;
use crate::store::Store;
use crate::threads::DataThreads;

/// What it takes, besides what the service has.
#[derive(Debug)]
pub(crate) struct Telling {
    /// Whom, and how patiently.
    pub(crate) options: TellOptions,
    /// What goes out with it.
    pub(crate) net: Net,
    /// The uploads that the app has in hand.
    pub(crate) working: Working,
}

impl Telling {
    pub(super) fn start(
        self,
        store: Arc<dyn Store>,
        tracker: Tracker,
        data: DataThreads,
    ) -> Teller {
        let tools = Tools {
            net: &self.net,
            working: self.working,
            store,
            tracker,
            data,
        };
        Teller::start(self.options, tools)
    }
}
