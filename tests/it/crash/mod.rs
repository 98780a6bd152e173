//! The end of the process and of the machine, at any moment: what was acknowledged is there, of every form all files are
//! visible or none, an unfinished upload goes on, and nothing is left over.
//!
//! | | how |
//! |---|---|
//! | [`clients`] | send forms, raw bodies, uploads by tus and in `support::pieces` by all other protocols, and keep a list of what they were [`told`] |
//! | [`kills`] | ends the server with `kill -9` while they are at it, starts it anew, and so on |
//! | [`power`] | writes down the server's system calls and starts it on the folder as it was between any two of them |
//! | [`forms`] | a form that is sent in several requests, and what must be so of it |
//! | [`check`] | what must be so whenever the server has started again |
//!
//! What a file holds follows from its name ([`content`]), so that any file shows by itself whether it is whole.
//!
//! `CRASH_KILLS` and `CRASH_CUTS` say how many kills and moments: a few unless said, more in `make crash`.

mod change;
mod check;
mod clients;
mod content;
mod forms;
mod kills;
mod power;
mod random;
mod script;
mod told;
mod world;

/// How often, unless the variable says.
fn how_often(variable: &str, unless_said: usize) -> usize {
    std::env::var(variable).map_or(unless_said, |text| text.parse().unwrap())
}
