//! The binary: `dumbwaiter --help` says what it takes.

use std::process::ExitCode;

/// A connection has a buffer for its answer, which an upload does not touch until its end. At a page's start, where this
/// allocator puts it, it takes no memory until then; small blocks around it would keep its pages there.
#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let error = match dumbwaiter::server::run() {
        Ok(code) => return code,
        Err(error) => error,
    };
    match error.downcast::<clap::Error>() {
        // Help and version are such errors too: clap knows where they go and with which exit code.
        Ok(words) => words.exit(),
        Err(error) => {
            eprintln!("dumbwaiter: {error:#}");
            ExitCode::FAILURE
        }
    }
}
