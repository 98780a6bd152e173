//! Names: whatever template is accepted and whatever the client says, the path stays inside the folder.
//!
//! `cargo fuzz run -s none template -- -max_total_time=20`
//!
//! An input is a template, a line feed, and what the client says.

#![no_main]

use std::time::SystemTime;

use dumbwaiter::UploadId;
use dumbwaiter::name::{SafePath, Template, Values};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &str| {
    let (template, said) = input.split_once('\n').unwrap_or(("{filename|id}", input));
    let Ok(template) = Template::parse(template) else {
        return;
    };
    let id = UploadId::from_bytes([7; 16]);
    let form = [("x".to_owned(), said.to_owned())];
    let values = Values {
        filename: Some(said),
        field: Some(said),
        form: &form,
        ..Values::new(&id, SystemTime::UNIX_EPOCH)
    };
    let Ok(path) = template.render(&values) else {
        return;
    };
    for path in [path.with_suffix("-1"), path] {
        assert!(SafePath::from_stored(path.as_str()).is_some(), "{path}");
        assert!(!path.as_str().contains(['\\', '\u{202e}', ':']), "{path}");
    }
});
