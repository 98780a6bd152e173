//! OPTIONS: what can be done here. It tells what the store, the handlers and the bounds allow.

use http::HeaderMap;

use super::{Tus, told};
use crate::receive::ALGORITHMS;
use crate::unfinished::Offers;

/// Says in an answer to OPTIONS what is there of tus.
pub(crate) fn offer(headers: &mut HeaderMap, tus: &Tus) {
    told::speak(headers);
    told::versions(headers);
    told::set(headers, "tus-extension", extensions(&tus.offers));
    told::set(headers, "tus-checksum-algorithm", ALGORITHMS);
    if let Some(most) = tus.max_size {
        told::set(headers, "tus-max-size", most);
    }
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
