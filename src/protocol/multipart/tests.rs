use proptest::prelude::*;

use super::*;

const HEAD: &str = "Content-Disposition: form-data; name=\"n\"";
const FILE: &str = "Content-Disposition: form-data; name=\"p\"; filename=\"d.jpg\"";

fn form(boundary: &str) -> Form {
    let boundary = Boundary::parse(boundary.as_bytes()).unwrap();
    Form::new(&boundary, PartLimits::default())
}

/// Parses a body that comes in these frames, each parser saved after its frame and its state taken up by a fresh one.
fn parse<'a>(boundary: &str, frames: impl IntoIterator<Item = &'a [u8]>) -> String {
    let (mut parser, mut pieces) = (form(boundary), Vec::new());
    let mut end = Ok(());
    for frame in frames {
        end = parser.split(Bytes::copy_from_slice(frame), &mut pieces);
        if end.is_err() {
            break;
        }
        let saved = parser.save();
        assert!(saved.len() <= 16 * 1024);
        parser = form("another");
        parser.restore(&saved).unwrap();
        assert_eq!(parser.save(), saved);
    }
    let end = end.and_then(|()| parser.finish(&mut pieces));
    show(&pieces, end.err())
}

/// Pieces as one line: `n=` begins a field, `n[name type]=` a file, `.` ends either, `!code` says why no more came.
fn show(pieces: &[Piece], error: Option<Error>) -> String {
    let mut line = String::new();
    for piece in pieces {
        match piece {
            Piece::Field(name) => line += &format!("{name}="),
            Piece::File(file) => {
                let word = |text: &Option<String>| text.clone().unwrap_or("-".into());
                let (field, name) = (word(&file.field), word(&file.name));
                line += &format!("{field}[{name} {}]=", word(&file.content_type));
            }
            Piece::Data(bytes) => {
                assert!(!bytes.is_empty());
                line += &bytes.escape_ascii().to_string();
            }
            Piece::End => line += ".",
            Piece::Between(_) => unreachable!("it was not asked for"),
        }
    }
    error.map_or(line.clone(), |error| format!("{line}!{}", error.code()))
}

/// What the test is about, the body with `|` for CR LF, what it holds. The boundary is `b`.
type Case = (&'static str, String, &'static str);

fn cases() -> Vec<Case> {
    let long = "x".repeat(9000);
    let many = "X-Odd: 1|".repeat(16);
    vec![
        ("a field", format!("--b|{HEAD}||v|--b--|"), "n=v."),
        ("a file", format!("--b|{FILE}|Content-Type: image/jpeg||\u{1}|--b--|"), r"p[d.jpg image/jpeg]=\x01."),
        ("the article: the id comes behind the file", format!("--b|{FILE}||x|--b|{HEAD}||7|--b--|"), "p[d.jpg -]=x.n=7."),
        ("no line end behind the last boundary", format!("--b|{HEAD}||v|--b--"), "n=v."),
        ("a form without parts, as browsers send an empty one", "--b--|".into(), ""),
        ("a file input left empty", "--b|Content-Disposition: form-data; name=\"p\"; filename=\"\"|Content-Type: application/octet-stream|||--b--|".into(), "p[ application/octet-stream]=."),
        ("TRAPS, Empty file", format!("--b|{FILE}|||--b--|"), "p[d.jpg -]=."),
        ("a file of an empty type", format!("--b|{FILE}|Content-Type: ||x|--b--|"), "p[d.jpg -]=x."),
        ("an empty part whose head ends at the boundary", format!("--b|{HEAD}||--b--|"), "n=."),
        ("a part that begins almost like that", format!("--b|{HEAD}||--a|--b--|"), "n=--a."),
        ("a preamble", format!("This is MIME.|--b|{HEAD}||v|--b--|"), "n=v."),
        ("a preamble that is one line end", format!("|--b|{HEAD}||v|--b--|"), "n=v."),
        ("a preamble that ends with the boundary in a line", format!("x--b|--b|{HEAD}||v|--b--|"), "n=v."),
        ("an epilogue, even one like a form", format!("--b|{HEAD}||v|--b--|--b|{HEAD}||w|--b--"), "n=v."),
        ("blanks behind boundaries", format!("--b \t|{HEAD}||v|--b  |{HEAD}||w|--b-- |"), "n=v.n=w."),
        ("bytes that are nearly a boundary", format!("--b|{HEAD}||\r|\r|-|--|--\r|--a\r|--b--|"), r"n=\r\r\n\r\r\n-\r\n--\r\n--\r\r\n--a\r."),
        ("line feeds and boundaries within lines are data", format!("--b|{HEAD}||\n--b|x--b--|--b--|"), r"n=\n--b\r\nx--b--."),
        ("names compare without case, heads may say more", "--b|CONTENT-disposition:form-data;NAME=n|X-Odd: |Content-Transfer-Encoding: binary||v|--b--".into(), "n=v."),
        ("a folded head", "--b|Content-Disposition: form-data;| name=\"n\";|\tfilename=f||v|--b--|".into(), "n[f -]=v."),
        ("TRAPS, Multipart parser: nested", "--b|Content-Disposition: form-data; name=\"n\"|Content-Type: multipart/mixed; boundary=c||--c|x|--c--|--b--|".into(), r"n=--c\r\nx\r\n--c--."),
        ("TRAPS, Multipart parser: an empty body", String::new(), "!truncated_form"),
        ("TRAPS, Multipart parser: no boundary at all", "hello".into(), "!truncated_form"),
        ("TRAPS, Multipart parser: no final boundary", format!("--b|{HEAD}||v"), "n=v!truncated_form"),
        ("... behind a whole part", format!("--b|{HEAD}||v|--b|"), "n=v.!truncated_form"),
        ("... within the last boundary", format!("--b|{HEAD}||v|--b-"), "n=v.!truncated_form"),
        ("... within a head", format!("--b|{HEAD}|"), "!truncated_form"),
        ("TRAPS, Multipart parser: LF-only", "--b\nContent-Disposition: form-data; name=n\n\nv\n--b--\n".into(), "!malformed_form"),
        ("LF-only in a head", format!("--b|{HEAD}\nX-Odd: 1||v|--b--|"), "!malformed_form"),
        ("a bare CR in a head", format!("--b|{HEAD}\rX-Odd: 1||v|--b--|"), "!malformed_form"),
        ("a NUL in a head", format!("--b|{HEAD}\0||v|--b--|"), "!malformed_form"),
        ("a boundary that goes on", format!("--b|{HEAD}||v|--bc|--b--|"), "n=v.!malformed_form"),
        ("one dash behind a boundary", format!("--b|{HEAD}||v|--b-|"), "n=v.!malformed_form"),
        ("dashes behind blanks", format!("--b|{HEAD}||v|--b --|"), "n=v.!malformed_form"),
        ("a CR alone behind a boundary", format!("--b\r{HEAD}||v|--b--|"), "!malformed_form"),
        ("endless blanks behind a boundary", format!("--b{}|{HEAD}||v|--b--|", " ".repeat(65)), "!limit_exceeded"),
        ("no head", "--b||v|--b--|".into(), "!malformed_form"),
        ("no disposition", "--b|Content-Type: text/plain||v|--b--|".into(), "!malformed_form"),
        ("no name", "--b|Content-Disposition: form-data; filename=f||v|--b--|".into(), "!malformed_form"),
        ("another disposition", "--b|Content-Disposition: attachment; name=n||v|--b--|".into(), "!malformed_form"),
        ("two dispositions", format!("--b|{HEAD}|{FILE}||v|--b--|"), "!malformed_form"),
        ("two names", "--b|Content-Disposition: form-data; name=n; name=m||v|--b--|".into(), "!malformed_form"),
        ("a head that is no head", format!("--b|{HEAD}|no colon||v|--b--|"), "!malformed_form"),
        ("a field name with a blank", format!("--b|{HEAD}|X Y: 1||v|--b--|"), "!malformed_form"),
        ("a head that begins folded", format!("--b| {HEAD}||v|--b--|"), "!malformed_form"),
        ("TRAPS, Multipart parser: part header size", format!("--b|{HEAD}|X-Odd: {long}||v|--b--|"), "!limit_exceeded"),
        ("many fields in a head", format!("--b|{many}{HEAD}||v|--b--|"), "!limit_exceeded"),
    ]
    .into_iter()
    .map(|(why, body, pieces)| (why, body.replace('|', "\r\n"), pieces))
    .collect()
}

#[test]
fn every_case_gives_its_pieces_in_one_frame() {
    for (why, body, pieces) in cases() {
        assert_eq!(parse("b", [body.as_bytes()]), pieces, "{why}");
    }
}

#[test]
fn every_split_point_gives_the_same_pieces_with_save_and_restore() {
    for (why, body, pieces) in cases() {
        let body = body.as_bytes();
        assert_eq!(parse("b", body.chunks(1)), pieces, "{why}, bytewise");
        for at in 0..body.len() {
            let (a, b) = body.split_at(at);
            assert_eq!(parse("b", [a, b]), pieces, "{why}, split at {at}");
        }
    }
}

#[test]
fn every_pair_of_split_points_gives_the_same_pieces_with_save_and_restore() {
    for (why, body, pieces) in cases() {
        let body = body.as_bytes();
        if body.len() > 150 {
            continue;
        }
        for to in 0..body.len() {
            for from in 0..=to {
                let frames = [&body[..from], &body[from..to], &body[to..]];
                assert_eq!(parse("b", frames), pieces, "{why}, split at {from}, {to}");
            }
        }
    }
}

#[test]
fn names_are_read_as_clients_write_them() {
    let body = "--b\r\nContent-Disposition: form-data; name=\"写真\"; filename=\"a%22b.jpg\"; \
                filename*=utf-8''%e2%82%ac.jpg\r\n\r\n\r\n--b--";
    assert_eq!(parse("b", [body.as_bytes()]), "写真[€.jpg -]=.");
}

#[test]
fn a_big_frame_without_a_boundary_is_one_piece_and_no_copy() {
    let mut parser = form("b");
    let mut pieces = Vec::new();
    let start = format!("--b\r\n{FILE}\r\n\r\nx");
    parser.split(start.into(), &mut pieces).unwrap();
    pieces.clear();
    let frame = Bytes::from(vec![b'-'; 256 * 1024]);
    parser.split(frame.clone(), &mut pieces).unwrap();
    let [Piece::Data(data)] = pieces.as_slice() else {
        panic!("{} pieces", pieces.len());
    };
    assert_eq!((data.as_ptr(), data.len()), (frame.as_ptr(), frame.len()));
}

#[test]
fn only_what_may_begin_a_delimiter_is_held_back() {
    for (tail, held) in [
        ("\r", 1),
        ("\r\n", 2),
        ("\r\n--b", 5),
        ("\r\n-b", 0),
        ("\r\n\r", 1),
        ("\n--b", 0),
    ] {
        let mut parser = form("bcd");
        let mut pieces = Vec::new();
        let body = format!("--bcd\r\n{FILE}\r\n\r\nxx{tail}");
        parser.split(body.into(), &mut pieces).unwrap();
        let given: usize = pieces.iter().map(data_len).sum();
        assert_eq!(given, 2 + tail.len() - held, "{tail:?}");
    }
}

fn data_len(piece: &Piece) -> usize {
    match piece {
        Piece::Data(bytes) => bytes.len(),
        Piece::File(_) | Piece::Field(_) | Piece::End | Piece::Between(_) => 0,
    }
}

#[test]
fn a_hostile_body_does_not_grow_the_parser() {
    let part = format!("\r\n--b\r\n{HEAD}\r\n\r\n");
    let data = format!("--b\r\n{FILE}\r\n\r\n");
    for (why, start, again) in [
        ("endless preamble", "", "\r\n--a"),
        (
            "endless near-boundaries in a part",
            &data,
            "\r\n--\r\n-\r\r\n",
        ),
        ("endless carriage returns", &data, "\r\r"),
        ("endless tiny parts", "", &part),
        ("endless epilogue", "--b--", "\r\n--b\r\n"),
    ] {
        let mut parser = form("b");
        parser
            .split(start.to_owned().into(), &mut Vec::new())
            .unwrap();
        let stream = Bytes::from(again.repeat(8192));
        let mut at = 0;
        for length in (9_001..).take(200) {
            // Frames end at every place of what is sent again and again.
            let frame = stream.slice(at..at + length);
            at = (at + length) % again.len();
            parser.split(frame, &mut Vec::new()).unwrap();
            let kept = parser.save().len() + parser.head.capacity();
            assert!(kept < 256, "{why}: {kept} bytes");
        }
    }
}

#[test]
fn an_endless_head_ends_at_its_limit() {
    let mut parser = form("b");
    parser
        .split("--b\r\nX-Odd: ".into(), &mut Vec::new())
        .unwrap();
    let mut fed = 0;
    while parser.split("xxxxxxx".into(), &mut Vec::new()).is_ok() {
        fed += 7;
        assert!(fed < 8 * 1024 && parser.save().len() <= 8 * 1024 + 16);
    }
    assert!(fed > 8 * 1024 - 32);
}

#[test]
fn a_saved_parser_stays_below_16_kib_whatever_the_limits() {
    let boundary = Boundary::parse(&[b'b'; 70]).unwrap();
    let limits = PartLimits {
        head_bytes: usize::MAX / 2,
        ..PartLimits::default()
    };
    let mut parser = Form::new(&boundary, limits);
    let start = format!("--{}\r\n", boundary.as_str());
    parser.split(start.into(), &mut Vec::new()).unwrap();
    while parser
        .split("x".repeat(100).into(), &mut Vec::new())
        .is_ok()
    {
        assert!(parser.save().len() <= 16 * 1024);
    }
}

#[test]
fn a_state_that_no_parser_wrote_is_refused() {
    let mut parser = form("b");
    parser
        .split(format!("--b\r\n{HEAD}\r\n\r\nv\r").into(), &mut Vec::new())
        .unwrap();
    let saved = parser.save();
    for at in 0..saved.len() {
        assert!(form("b").restore(&saved[..at]).is_err(), "cut at {at}");
    }
    let with = |at: usize, byte: u8| {
        let mut bad = saved.clone();
        bad[at] = byte;
        bad
    };
    for bad in [
        vec![],
        with(0, 2),                        // another version
        with(1, 0),                        // no boundary
        with(1, 255),                      // a boundary that is not there
        with(2, b'\n'),                    // an impossible one
        with(3, 9),                        // an unknown state
        with(4, 5),                        // more held than the delimiter has
        with(5, 1),                        // half a line end lent
        with(5, 2),                        // more lent than held
        [saved.as_slice(), b"x"].concat(), // a head where there is none
    ] {
        let error = form("b").restore(&bad).unwrap_err();
        assert_eq!(error.code(), "store_failed", "{bad:?}");
    }
}

/// One part: its head, its bytes as they will be read.
fn part() -> impl Strategy<Value = (String, Vec<u8>)> {
    let near = prop_oneof![
        Just(b"\r".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(b"\r\n--".to_vec()),
        Just(b"\r\n--\r\n--B".to_vec()),
        Just(b"--Bo--".to_vec()),
        Just(b"-B\n".to_vec()),
        prop::collection::vec(any::<u8>(), 0..20),
    ];
    let data = prop::collection::vec(near, 0..12).prop_map(|bits| bits.concat());
    ("[a-z]{1,8}", prop::option::of("[a-z.]{0,8}"), data).prop_filter_map(
        "a client may not send its boundary",
        |(name, file, data)| {
            let file = file.map_or(String::new(), |file| format!("; filename=\"{file}\""));
            let head = format!("Content-Disposition: form-data; name=\"{name}\"{file}");
            let whole = [b"\r\n", data.as_slice(), b"\r"].concat();
            let clean = memchr::memmem::find(&whole, b"\r\n--Bou").is_none();
            clean.then_some((head, data))
        },
    )
}

proptest! {
    #[test]
    fn any_form_in_any_frames_gives_back_what_was_put_in(
        parts in prop::collection::vec(part(), 0..6),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..24),
    ) {
        let mut body = Vec::new();
        let mut pieces = Vec::new();
        for (head, data) in &parts {
            body.extend([b"--Bou\r\n", head.as_bytes(), b"\r\n\r\n", data, b"\r\n"].concat());
            pieces.push(head::piece(head.as_bytes(), 1).unwrap());
            pieces.extend((!data.is_empty()).then(|| Piece::Data(data.clone().into())));
            pieces.push(Piece::End);
        }
        body.extend(b"--Bou--\r\n");
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(body.len())).collect();
        cuts.extend([0, body.len()]);
        cuts.sort_unstable();
        let frames = cuts.windows(2).map(|cut| &body[cut[0]..cut[1]]);
        prop_assert_eq!(parse("Bou", frames), show(&pieces, None));
    }

    #[test]
    fn any_bytes_in_any_frames_are_read_as_in_one_and_never_panic(
        bits in prop::collection::vec(
            prop::sample::select(vec!["--b", "\r\n", "\r", "-", "--", " ", HEAD, FILE, "\r\n\r\n", ":", "x"]),
            0..40,
        ),
        size in 1..20_usize,
    ) {
        let body = bits.concat();
        prop_assert_eq!(parse("b", body.as_bytes().chunks(size)), parse("b", [body.as_bytes()]));
    }

    #[test]
    fn restoring_any_bytes_never_panics(
        garbage in prop::collection::vec(0..8_u8, 0..12),
        then in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let mut parser = form("b");
        for saved in [garbage.clone(), [b"\x01\x01b", garbage.as_slice()].concat()] {
            if parser.restore(&saved).is_ok() {
                let _ = parser.split(then.clone().into(), &mut Vec::new());
            }
        }
    }
}

/// The body again, from what a parser that tells of every byte tells of it.
fn again(boundary: &str, frames: impl IntoIterator<Item = Bytes>) -> Vec<u8> {
    let (mut parser, mut pieces) = (form(boundary).with_skeleton(), Vec::new());
    for frame in frames {
        parser.split(frame, &mut pieces).unwrap();
        let saved = parser.save();
        parser = form("another").with_skeleton();
        parser.restore(&saved).unwrap();
    }
    parser.finish(&mut pieces).unwrap();
    let mut body = Vec::new();
    for piece in &pieces {
        match piece {
            Piece::Data(bytes) | Piece::Between(bytes) => body.extend_from_slice(bytes),
            Piece::File(_) | Piece::Field(_) => {
                assert!(body.ends_with(b"\r\n\r\n"), "its head first")
            }
            Piece::End => {}
        }
    }
    body
}

/// The cases that are whole forms.
fn whole_forms() -> impl Iterator<Item = (&'static str, Bytes)> {
    let whole = cases()
        .into_iter()
        .filter(|(_, _, pieces)| !pieces.contains('!'));
    whole.map(|(why, body, _)| (why, body.into()))
}

#[test]
fn a_form_told_with_its_skeleton_is_the_body_again_wherever_it_is_split() {
    for (why, body) in whole_forms() {
        assert!(again("b", [body.clone()]) == *body, "{why}");
        let bytewise = (0..body.len()).map(|at| body.slice(at..=at));
        assert!(again("b", bytewise) == *body, "{why}, bytewise");
        for to in 0..body.len() {
            let froms = if body.len() < 150 { 0..=to } else { to..=to };
            for from in froms {
                let frames = [body.slice(..from), body.slice(from..to), body.slice(to..)];
                assert!(again("b", frames) == *body, "{why}, at {from}, {to}");
            }
        }
    }
}
