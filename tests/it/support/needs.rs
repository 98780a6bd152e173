//! Programs that some tests work with, and what happens where one is missing.

use std::env;
use std::io::Write;

/// Set to `1` by `make test`: then whatever a test needs must be there.
const ALL: &str = "TEST_ALL";

/// Whether `program` is there for a test that works with it: a name to be found in `PATH`, or in the folders where
/// Debian keeps servers.
///
/// Without it the test is to pass and do nothing; a line on standard error says what was left out.
///
/// # Panics
/// When the program is missing and `TEST_ALL=1` says that everything must be tested.
pub(crate) fn needs(program: &str) -> bool {
    let here = is_here(program);
    if !here {
        leave_out(program);
    }
    here
}

/// Whether a test that takes a minute is to run: where everything must be tested, and else it says that it was left out.
pub(crate) fn has_time() -> bool {
    let has = all_must_run();
    if !has {
        leave_out("a minute and TEST_ALL=1");
    }
    has
}

/// Says that the test at hand is left out, since it needs `what`.
///
/// # Panics
/// When `TEST_ALL=1` says that everything must be tested.
pub(crate) fn leave_out(what: &str) {
    assert!(
        !all_must_run(),
        "{what} is not here, and {ALL}=1 says that every test must run"
    );
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    // Not `eprintln!`, which the harness keeps to itself as long as the test passes.
    let _ = writeln!(std::io::stderr(), "left out: {test} needs {what}");
}

fn is_here(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut folders = env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    folders.any(|folder| folder.join(program).is_file())
}

fn all_must_run() -> bool {
    env::var_os(ALL).is_some_and(|all| all == "1")
}

#[test]
fn a_missing_program_is_found_missing_and_fails_where_everything_must_run() {
    assert!(is_here("sh"));
    assert!(!is_here("a-program-that-nobody-has"));
    if all_must_run() {
        assert!(std::panic::catch_unwind(|| leave_out("a program")).is_err());
    }
}
