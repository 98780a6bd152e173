//! What is said by tus: the request that creates an upload, and those that send its bytes to the place that was told.

use std::io;

use crate::client::Message;

/// Says that `size` bytes will come, with the two names that clients in browsers give.
pub(crate) fn create(size: u64) -> Vec<u8> {
    // "picture.bin" and "application/octet-stream".
    let about = "filename cGljdHVyZS5iaW4=,filetype YXBwbGljYXRpb24vb2N0ZXQtc3RyZWFt";
    format!(
        "POST /files/ HTTP/1.1\r\nHost: localhost\r\nTus-Resumable: 1.0.0\r\nUpload-Length: {size}\r\n\
         Upload-Metadata: {about}\r\nContent-Length: 0\r\n\r\n"
    )
    .into_bytes()
}

/// The path that the answer to it tells; its `Location` may be a whole address.
pub(crate) fn place(answer: &[u8]) -> io::Result<String> {
    let text = String::from_utf8_lossy(answer);
    let mut fields = text.lines().filter_map(|line| line.split_once(':'));
    let found = fields.find(|(name, _)| name.eq_ignore_ascii_case("location"));
    let (_, place) = found.ok_or_else(|| io::Error::other(format!("no place: {text}")))?;
    let path = match place.split_once("//") {
        Some((_, rest)) => rest.find('/').map_or("/", |at| &rest[at..]),
        None => place,
    };
    Ok(path.trim().to_owned())
}

/// The requests that send `size` bytes to `place`, at most `piece` of them each.
pub(crate) fn pieces(place: &str, size: u64, piece: u64) -> impl Iterator<Item = Message> {
    let offsets = (0..size.div_ceil(piece)).map(move |number| number * piece);
    offsets.map(move |offset| {
        let length = piece.min(size - offset);
        let head = format!(
            "PATCH {place} HTTP/1.1\r\nHost: localhost\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: {offset}\r\n\
             Content-Type: application/offset+octet-stream\r\nContent-Length: {length}\r\n\r\n"
        );
        Message::raw(head.into_bytes(), length)
    })
}
