//! The life of a form that is received for the app behind: taken in, given to the app, answered as the app answers.

use std::ops::RangeInclusive;
use std::time::Duration;

use http::Response;

use crate::outbound::ResponseBody;
use crate::protocol::multipart::PartLimits;
use crate::protocol::{Asked, Inbound};
use crate::receive::Body;

/// How a form is given to the app.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) enum Give {
    /// As it came, byte for byte.
    #[default]
    Replay,
    /// With fields that name the stored files in place of the files, and one signed statement over all of them.
    Reference,
}

/// How forms are handed off.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct FormOptions {
    /// In which of the two ways.
    pub(crate) give: Give,
    /// The statuses by which the app refuses an upload; default 400–499.
    pub(crate) refuses: Vec<RangeInclusive<u16>>,
    /// How long the files of a refused upload stay; default 10 s.
    pub(crate) grace: Duration,
    /// Whether a replayed form keeps the progress id in its query; default no.
    pub(crate) keep_query: bool,
    /// The most bytes of a form that are no file's, with [`Give::Replay`]; default 1 MiB.
    pub(crate) skeleton_bytes: usize,
}

/// Hands forms to the app behind.
#[derive(Clone, Debug)]
pub(crate) struct Forms {
    options: FormOptions,
}

impl Forms {
    /// Takes a form in, gives it to the app, and answers as the app does. Whether the sender may upload has been asked.
    pub(crate) async fn post(
        &self,
        inbound: &Inbound,
        limits: PartLimits,
        asked: &Asked,
        body: Body,
    ) -> Response<ResponseBody> {
        let _ = (&self.options, inbound, limits, asked, body);
        unreachable!("not built yet")
    }
}
