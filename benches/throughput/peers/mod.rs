//! Servers to compare with that this benchmark brings itself; each runs as a process of its own.

pub(crate) mod axum;
pub(crate) mod bare;
pub(crate) mod hyper;
