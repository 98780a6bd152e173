//! The tests that use the crate from outside, in one binary.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops")]

mod layers;
mod support;
