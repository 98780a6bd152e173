//! The service nested in an app, with and without its prefix.

use axum::Router;
use dumbwaiter::Dumbwaiter;

use super::App;
use crate::support::{form, part};

#[test]
fn a_nested_service_that_was_not_told_its_prefix_takes_files_and_leaves_it_out_of_urls() {
    let body = form(&[part("f", Some("f"), b"x")]);
    for (base, prefix) in [("/up", "/up/files/"), ("", "/files/")] {
        let app = App::start_with(Router::new(), |lift| lift.base(base));
        for (target, asset) in [("/up", "/dumbwaiter.css"), ("/up/upload", "/dumbwaiter.js")] {
            let reply = app.post(target, "", &body);
            assert_eq!(reply.status, 201, "{reply:?}");
            let url = reply.json()["url"].as_str().unwrap().to_owned();
            assert!(url.starts_with(prefix), "{url}");
            let found = app.get(&url).status;
            assert_eq!(found == 200, base == "/up", "{url} {found}");
            assert_eq!(app.get(&format!("/up{asset}")).status, 200);
        }
    }
}

#[test]
fn a_forgotten_prefix_is_found_at_start_where_the_service_is_nested_at_its_base() {
    let nest = |base: &str| {
        let store = dumbwaiter::store::Memory::new();
        let lift = Dumbwaiter::new(store).base(base).into_service();
        let nest = || Router::<()>::new().nest_service(lift.base(), lift.clone());
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(nest)).is_ok()
    };
    assert!(nest("/up"));
    assert!(!nest(""));
}
