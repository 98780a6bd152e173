use std::sync::Arc;

use http::Request;
use proptest::prelude::*;

use super::*;
use crate::admission::{Admission, AdmissionOptions};
use crate::handlers::Chain;
use crate::progress::{Tracker, TrackerOptions};
use crate::protocol::headers::Boundary;
use crate::protocol::multipart::{Form, PartLimits};
use crate::receive::{self, Limits, PaceOptions, Receiver};
use crate::store::{Disk, Memory, Store};
use crate::threads::DataThreads;
use crate::upload::{Owner, Protocol, Upload};

#[test]
fn the_progress_id_moves_from_the_query_to_a_header_and_the_rest_stays_as_it_was() {
    for (asked, target_, id) in [
        ("/upload", "/upload", None),
        ("/upload?", "/upload?", None),
        ("/upload?X-Progress-ID=abc", "/upload", Some("abc")),
        (
            "/up?a=1&X-Progress-ID=0.7&b=%20",
            "/up?a=1&b=%20",
            Some("0.7"),
        ),
        ("/up?X%2DProgress-ID=a%2Bb&a", "/up?a", Some("a%2Bb")),
        ("/up?X-Progress-ID=a&X-Progress-ID=b", "/up", Some("a")),
        ("/up?&a&&X-Progress-ID", "/up?&a&", Some("")),
        ("/up?x-progress-id=a", "/up?x-progress-id=a", None),
    ] {
        let mut fields = HeaderMap::new();
        let uri: Uri = asked.parse().unwrap();
        assert_eq!(target(&uri, false, &mut fields), target_, "{asked}");
        let given = fields.get("x-progress-id").map(|id| id.to_str().unwrap());
        assert_eq!(given, id, "{asked}");
        let mut fields = HeaderMap::new();
        assert_eq!(target(&uri, true, &mut fields), asked);
        assert!(fields.is_empty(), "{asked} was to stay");
    }
}
