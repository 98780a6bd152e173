//! Every bound there is, each with its default: what the builder takes to set them.
//!
//! | options | given to | what they bound |
//! |---|---|---|
//! | [`AdmissionOptions`] | [`Dumbwaiter::admission`](crate::Dumbwaiter::admission) | uploads at once, sizes, what the store and each owner hold, what stays free of the disk |
//! | [`Limits`] | [`Dumbwaiter::limits`](crate::Dumbwaiter::limits) | a form's files and fields |
//! | [`PartLimits`] | [`Dumbwaiter::part_limits`](crate::Dumbwaiter::part_limits) | the heads of a form's parts |
//! | [`TusOptions`] | [`Dumbwaiter::tus`](crate::Dumbwaiter::tus) | what a client of tus says of an upload |
//! | [`PaceOptions`] | [`Dumbwaiter::pace`](crate::Dumbwaiter::pace) | how slowly a body may come, and how long in all |
//! | [`ResumeOptions`] | [`Dumbwaiter::resume`](crate::Dumbwaiter::resume) | how long unfinished uploads are kept, and how often their bytes are made durable |
//! | [`TrackerOptions`](crate::progress::TrackerOptions) | [`Dumbwaiter::progress`](crate::Dumbwaiter::progress) | records kept, and for how long |
//! | [`WatchOptions`](crate::watch::WatchOptions) | [`Dumbwaiter::watch`](crate::Dumbwaiter::watch) | streams, and uploads in one |
//!
//! What goes beyond one is refused with a code of its own, before the body is read where the head is enough to decide, and
//! nothing of it is left. One file's size and type are matters for handlers: [`Limit`](crate::handlers::Limit),
//! [`Sniff`](crate::handlers::Sniff). Bounds of connections (heads, silence, how many) are those of whose connections they
//! are: the host's, or `server::ConnectionOptions`.
//!
//! ```
//! use dumbwaiter::limits::{AdmissionOptions, PaceOptions};
//! use dumbwaiter::{Dumbwaiter, store::Memory};
//!
//! let lift = Dumbwaiter::new(Memory::new())
//!     .admission(AdmissionOptions {
//!         upload_bytes: Some(100 << 20),
//!         ..AdmissionOptions::default()
//!     })
//!     .pace(PaceOptions {
//!         least_rate: None,
//!         ..PaceOptions::default()
//!     });
//! # drop(lift);
//! ```

pub use crate::admission::AdmissionOptions;
pub use crate::protocol::multipart::PartLimits;
pub use crate::protocol::tus::TusOptions;
pub use crate::receive::{Limits, PaceOptions};
pub use crate::unfinished::ResumeOptions;
