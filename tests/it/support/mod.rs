//! What several tests share.

pub mod needs;
