//! Ways in, one file each: what a request's bytes mean.

pub mod headers;
pub mod multipart;
