//! OPTIONS: one answer for all who ask what can be done here. It tells what the store, the handlers and the bounds allow.

use bytes::Bytes;
use http::Response;

use super::{Inbound, Tus, told};
use crate::protocol::answer;
use crate::receive::ALGORITHMS;
use crate::unfinished::Offers;

/// The answer at a path that takes the methods `allow`.
pub(crate) fn options(
    inbound: &Inbound,
    tus: Option<&Tus>,
    allow: &'static str,
) -> Response<Bytes> {
    let mut answer = answer::options(allow, inbound.admission.options());
    if let Some(tus) = tus {
        let headers = answer.headers_mut();
        told::speak(headers);
        told::versions(headers);
        told::set(headers, "tus-extension", extensions(&tus.offers));
        told::set(headers, "tus-checksum-algorithm", ALGORITHMS);
        if let Some(most) = tus.max_size {
            told::set(headers, "tus-max-size", most);
        }
    }
    answer
}

/// What is there besides the core protocol.
fn extensions(offers: &Offers) -> String {
    let expiration = offers.expire_after.map(|_| "expiration");
    let always = [
        "creation",
        "creation-with-upload",
        "creation-defer-length",
        "checksum",
        "checksum-trailer",
        "termination",
        "concatenation",
        "concatenation-unfinished",
    ];
    let all: Vec<_> = always.into_iter().chain(expiration).collect();
    all.join(",")
}
