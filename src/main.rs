//! The binary: `dumbwaiter --help` says what it takes.

use std::process::ExitCode;

fn main() -> ExitCode {
    let Err(error) = dumbwaiter::server::run() else {
        return ExitCode::SUCCESS;
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
