//! A form told with its skeleton: put together again it is the body, byte for byte, however that is framed, and its parts are
//! those of a parser that tells of no skeleton.
//!
//! `cargo fuzz run -s none replay -- -max_total_time=20`
//!
//! An input is what the target `form` takes: the boundary, a line feed, a byte that says how long frames are, and the body.

#![no_main]

use bytes::Bytes;
use dumbwaiter::Error;
use dumbwaiter::protocol::headers::Boundary;
use dumbwaiter::protocol::multipart::{Form, PartLimits};
use dumbwaiter::receive::{Piece, Split};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((boundary, size, body)) = read_input(input) else {
        return;
    };
    let plain = Form::new(&boundary, PartLimits::default());
    let (told, end) = run(plain.clone().with_skeleton(), body, size);
    let (parts, plain_end) = run(plain, body, body.len().max(1));
    let code = |end: &Option<Error>| end.as_ref().map(Error::code);
    assert_eq!(code(&end), code(&plain_end), "the skeleton changes the end");
    let again = bytes(&told, |piece| {
        matches!(piece, Piece::Data(_) | Piece::Between(_))
    });
    match end {
        None => assert_eq!(again, body),
        Some(_) => assert!(body.starts_with(&again), "told what did not come"),
    }
    assert_eq!(
        named(&told),
        named(&parts),
        "the skeleton changes the parts"
    );
    let data = |piece: &Piece| matches!(piece, Piece::Data(_));
    let (with, without) = (bytes(&told, data), bytes(&parts, data));
    assert!(with == without || end_is_early(&end, &with, &without));
});

/// Where a body is refused, its bytes may have been told up to another frame's end.
fn end_is_early(end: &Option<Error>, a: &[u8], b: &[u8]) -> bool {
    end.is_some() && (a.starts_with(b) || b.starts_with(a))
}

fn read_input(input: &[u8]) -> Option<(Boundary, usize, &[u8])> {
    let end = input.iter().position(|byte| *byte == b'\n')?;
    let [size, body @ ..] = &input[end + 1..] else {
        return None;
    };
    let size = usize::from(*size).max(1);
    Some((Boundary::parse(&input[..end])?, size, body))
}

/// What a parser tells that is saved and taken up again after each frame.
fn run(mut form: Form, body: &[u8], size: usize) -> (Vec<Piece>, Option<Error>) {
    let mut pieces = Vec::new();
    for frame in body.chunks(size) {
        if let Err(error) = form.split(Bytes::copy_from_slice(frame), &mut pieces) {
            return (pieces, Some(error));
        }
        let saved = form.save();
        form.restore(&saved).expect("a saved state can be restored");
    }
    let end = form.finish(&mut pieces).err();
    (pieces, end)
}

fn bytes(pieces: &[Piece], counts: impl Fn(&Piece) -> bool) -> Vec<u8> {
    let mut all = Vec::new();
    for piece in pieces.iter().filter(|piece| counts(piece)) {
        if let Piece::Data(bytes) | Piece::Between(bytes) = piece {
            all.extend_from_slice(bytes);
        }
    }
    all
}

fn named(pieces: &[Piece]) -> Vec<&Piece> {
    let named = |piece: &&Piece| matches!(piece, Piece::File(_) | Piece::Field(_) | Piece::End);
    pieces.iter().filter(named).collect()
}
