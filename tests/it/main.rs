//! Every test that needs sockets, processes or a disk, in one binary: linking stays short.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops")]

mod admin;
mod adopt;
mod api;
mod checkpoints;
mod commands;
mod config;
mod crash;
mod curl;
mod digests;
mod docs;
mod dropzone;
mod examples;
mod faults;
mod filepond;
mod form;
mod get;
mod hostile;
mod ietf;
mod interrupted;
mod kept;
mod layers;
mod limits;
mod log;
mod metrics;
mod nginx;
mod operations;
mod order;
mod page;
mod pieces;
mod proxy;
mod put;
mod receive;
mod replay;
mod rights;
mod send;
mod serve;
mod server;
mod signals;
mod soak;
mod store;
mod strict;
mod support;
mod tus;
mod watch;
