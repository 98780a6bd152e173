//! The binary: `dumbwaiter --help` says what it takes.

use std::process::ExitCode;

fn main() -> ExitCode {
    match dumbwaiter::server::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("dumbwaiter: {error:#}");
            ExitCode::FAILURE
        }
    }
}
