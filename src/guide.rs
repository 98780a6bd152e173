//! [handlers]: crate::handlers
//! [errors]: crate::Error
// The page's own links lead to pages beside it; here the first of a name counts.
#![doc = include_str!("../docs/library.md")]
