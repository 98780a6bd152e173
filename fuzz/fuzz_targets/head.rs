//! Requests' heads: what our rule lets through, hyper's parser reads in the same way, and there is one way only.
//!
//! `cargo fuzz run -s none head -- -dict=fuzz/head.dict -max_total_time=20`

#![no_main]

use dumbwaiter::server::HeadLimits;
use dumbwaiter::server::strict::{Framing, Head};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let limits = HeadLimits::default();
    let whole = Head::default().read(input, limits);
    // The verdict is the same however the head is cut: in two, where the first byte says, and byte by byte.
    let cut = input
        .first()
        .map_or(0, |&first| usize::from(first) % input.len());
    let ends = [cut, input.len()];
    assert_eq!(verdict(&in_pieces(input, &ends)), verdict(&whole));
    if input.len() < 200 {
        let ends: Vec<_> = (1..=input.len()).collect();
        assert_eq!(verdict(&in_pieces(input, &ends)), verdict(&whole));
    }
    if let Ok(Some((length, framing))) = whole {
        check(&input[..length], framing);
    }
});

type Read = Result<Option<(usize, Framing)>, dumbwaiter::Error>;

/// A head that is refused may be refused for another reason when less of it has come, never taken.
fn verdict(read: &Read) -> Option<Option<(usize, Framing)>> {
    read.as_ref().ok().copied()
}

fn in_pieces(input: &[u8], ends: &[usize]) -> Read {
    let mut head = Head::default();
    for &end in ends {
        match head.read(&input[..end], HeadLimits::default()) {
            Ok(None) => {}
            done => return done,
        }
    }
    Ok(None)
}

/// What hyper's parser sees in a head that we take.
fn check(head: &[u8], framing: Framing) {
    let mut fields = [httparse::EMPTY_HEADER; HeadLimits::MAX_FIELDS];
    let mut request = httparse::Request::new(&mut fields);
    let read = request.parse(head).expect("what we take, hyper takes");
    assert_eq!(
        read,
        httparse::Status::Complete(head.len()),
        "and it ends where we say"
    );
    let target = request.path.expect("it is complete");
    target.parse::<http::Uri>().expect("hyper reads the target");
    let named = |name: &str| {
        let fields = request.headers.iter();
        let fields = fields.filter(|field| field.name.eq_ignore_ascii_case(name));
        fields.map(|field| field.value.to_vec()).collect::<Vec<_>>()
    };
    let (lengths, codings) = (named("content-length"), named("transfer-encoding"));
    match framing {
        Framing::Chunks => {
            assert!(lengths.is_empty() && request.version == Some(1));
            assert!(codings.len() == 1 && codings[0].eq_ignore_ascii_case(b"chunked"));
        }
        Framing::Switch => {
            assert!(lengths.is_empty() && codings.is_empty() && request.version == Some(1));
            let wanted = named("upgrade");
            let mut wanted = wanted.iter();
            assert!(wanted.any(|value| value.eq_ignore_ascii_case(b"websocket")));
        }
        Framing::Length(length) => {
            assert!(codings.is_empty() && lengths.len() <= 1);
            let given = lengths
                .first()
                .map_or("0", |value| std::str::from_utf8(value).expect("digits"));
            assert!(given.bytes().all(|b| b.is_ascii_digit()));
            assert_eq!(given.parse(), Ok(length));
        }
    }
    let hosts = named("host");
    assert!(hosts.len() <= 1 && (hosts.len() == 1 || request.version == Some(0)));
    assert_ne!(request.method, Some("CONNECT"));
}
