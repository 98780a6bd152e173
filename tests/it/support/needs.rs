//! Programs that some tests work with, and what happens where one is missing.

use std::env;

/// Set to `1` by `make test`: then whatever a test needs must be there.
const ALL: &str = "DUMBWAITER_TEST_ALL";

/// Whether `program` is there for a test that works with it: a name to be found in `PATH`, or in the folders where
/// Debian keeps servers.
///
/// Without it the test is to pass and do nothing; a line on standard error says what was left out.
///
/// # Panics
/// When the program is missing and `DUMBWAITER_TEST_ALL=1` says that everything must be tested.
pub(crate) fn needs(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut folders = env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    let found = folders.any(|folder| folder.join(program).is_file());
    found || left_out(program)
}

fn left_out(program: &str) -> bool {
    assert!(
        !all_must_run(),
        "{program} is not here, and {ALL}=1 says that every test must run"
    );
    eprintln!("left out: this test needs {program}");
    false
}

fn all_must_run() -> bool {
    env::var_os(ALL).is_some_and(|all| all == "1")
}

#[test]
fn a_missing_program_is_told_or_fails_where_everything_must_run() {
    assert!(needs("sh"));
    let missing = std::panic::catch_unwind(|| needs("a-program-that-nobody-has"));
    match all_must_run() {
        true => assert!(missing.is_err()),
        false => assert!(!missing.unwrap()),
    }
}
