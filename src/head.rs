//! A request's head: in memory of its own, and with the method that is meant.
//!
//! A server slices the head's texts out of the buffer into which it reads, 8 KiB or much more. As long as one of them is
//! kept the buffer can take in no more bytes, and the next one has to be made for the body: a slow upload would hold
//! both, a fast one would go through fresh memory.

use bytes::BytesMut;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Uri};

use crate::error::Error;

/// The same head, holding on to nothing else.
pub(crate) fn of_its_own(mut head: Parts) -> Parts {
    move_values(&mut head.headers);
    if let Ok(own) = Uri::try_from(head.uri.to_string()) {
        head.uri = own;
    }
    head
}

/// The method that a POST stands for, where something on the way lets no other pass: `X-HTTP-Method-Override` (tus 1.0,
/// "X-HTTP-Method-Override"). `None` where it is the request's own.
///
/// # Errors
/// [`Error::BadRequest`] when it says none of those of which clients make a POST.
pub(crate) fn meant_method(head: &Parts) -> Result<Option<Method>, Error> {
    let mut fields = head.headers.get_all("x-http-method-override").iter();
    let Some(meant) = fields.next().filter(|_| head.method == Method::POST) else {
        return Ok(None);
    };
    let known = [
        Method::PATCH,
        Method::DELETE,
        Method::HEAD,
        Method::OPTIONS,
        Method::POST,
    ];
    let meant = known.into_iter().find(|method| meant == method.as_str());
    match (meant, fields.next()) {
        (Some(meant), None) => Ok(Some(meant)),
        _ => Err(Error::BadRequest {
            what: "its X-HTTP-Method-Override is none of PATCH, DELETE, HEAD, OPTIONS and POST",
        }),
    }
}

fn move_values(headers: &mut HeaderMap) {
    let mut text = BytesMut::with_capacity(headers.values().map(HeaderValue::len).sum());
    for value in headers.values() {
        text.extend_from_slice(value.as_bytes());
    }
    let mut text = text.freeze();
    for value in headers.values_mut() {
        let here = text.split_to(value.len());
        if let Ok(mut own) = HeaderValue::from_maybe_shared(here) {
            own.set_sensitive(value.is_sensitive());
            *value = own;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use http::Request;

    #[test]
    fn a_head_says_the_same_and_lets_go_of_the_buffer() {
        let buffer = Bytes::from(b"/upload?a=%20b boundary=x secret \xff".to_vec());
        let value = |from, to| HeaderValue::from_maybe_shared(buffer.slice(from..to)).unwrap();
        let mut secret = value(26, 32);
        secret.set_sensitive(true);
        let (head, ()) = Request::post(Uri::from_maybe_shared(buffer.slice(0..14)).unwrap())
            .header("content-type", value(15, 25))
            .header("x", secret)
            .header("x", value(33, 34))
            .header("empty", HeaderValue::from_static(""))
            .body(())
            .unwrap()
            .into_parts();
        let before = head.clone();
        let own = of_its_own(head);
        assert_eq!((&own.uri, &own.headers), (&before.uri, &before.headers));
        assert_eq!(own.uri, "/upload?a=%20b");
        let sensitive: Vec<_> = own
            .headers
            .get_all("x")
            .iter()
            .map(HeaderValue::is_sensitive)
            .collect();
        assert_eq!(sensitive, [true, false]);
        assert!(!buffer.is_unique());
        drop(before);
        assert!(buffer.is_unique());
    }

    #[test]
    fn a_post_may_stand_for_another_method_and_nothing_else_may() {
        let meant = |method: &str, fields: &[&str]| {
            let mut request = Request::builder().method(method);
            for field in fields {
                request = request.header("X-HTTP-Method-Override", *field);
            }
            let (head, ()) = request.body(()).unwrap().into_parts();
            meant_method(&head).map_err(|error| error.code())
        };
        assert_eq!(meant("POST", &[]), Ok(None));
        for method in ["PATCH", "DELETE", "HEAD", "OPTIONS", "POST"] {
            let known = Ok(Some(method.parse().unwrap()));
            assert_eq!(meant("POST", &[method]), known);
        }
        for fields in [
            &["GET"][..],
            &["PUT"],
            &["patch"],
            &[""],
            &["PATCH", "PATCH"],
        ] {
            assert_eq!(meant("POST", fields), Err("bad_request"), "{fields:?}");
        }
        assert_eq!(meant("GET", &["DELETE"]), Ok(None));
        assert_eq!(meant("PUT", &["nonsense"]), Ok(None));
    }

    #[test]
    fn every_form_of_target_stays_what_it_was() {
        for target in [
            "/",
            "*",
            "/a?b",
            "/?",
            "http://localhost:80/a?b=c",
            "http://localhost",
            "//double",
        ] {
            let (head, ()) = Request::get(target).body(()).unwrap().into_parts();
            let before = head.uri.clone();
            assert_eq!(of_its_own(head).uri, before, "{target}");
        }
    }
}
