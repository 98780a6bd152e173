use std::sync::Arc;

use http::Request;
use proptest::prelude::*;

use super::*;
use crate::admission::{Admission, AdmissionOptions};
use crate::handlers::{Chain, Digest, Sniff, Stop, UploadHandler};
use crate::progress::{Holder, State, Tracker, TrackerOptions};
use crate::protocol::multipart::{Form, PartLimits};
use crate::protocol::{Asked, Inbound, any};
use crate::receive::{Limits, Naming, PaceOptions, Receiver};
use crate::rights::{Client, Trust};
use crate::store::{Disk, Memory, Store};
use crate::threads::DataThreads;
use crate::unfinished::tests::rig::line;
use crate::unfinished::{ResumeOptions, Unfinished};

/// The most bytes beside the files.
const MOST: usize = 64 * 1024;

fn asked() -> Asked {
    let form = Request::post("/upload").header("Content-Type", "multipart/form-data; boundary=bnd");
    let (head, ()) = form.body(()).unwrap().into_parts();
    let peer = ([127, 0, 0, 1], 1).into();
    let client = Client::of(&head.headers, peer, &Trust::default());
    Asked {
        owner: client.owner(),
        terms: None,
        only: None,
        said: None,
        address: client.address(),
        base: String::new(),
        downloads: false,
        client,
        head: Arc::new(head),
    }
}

/// Takes forms in, through these handlers into this store.
fn inbound(store: impl Store, chain: Chain) -> Inbound {
    let store: Arc<dyn Store> = Arc::new(store);
    let data = DataThreads::start(2).unwrap();
    let tracker = Tracker::start(TrackerOptions::default());
    let receiver = Receiver {
        store: Arc::clone(&store),
        chain,
        limits: Limits::default(),
        pace: PaceOptions::NONE,
        form: Arc::new(|| Box::new(Form::to_restore(PartLimits::default()))),
        hand_off: None,
    };
    let admission = Admission::start(AdmissionOptions::default(), &store, &data);
    let naming = Naming::default();
    let unfinished = Unfinished::start(
        ResumeOptions::default(),
        receiver.clone(),
        naming.clone(),
        admission.clone(),
        tracker.clone(),
        data.clone(),
    );
    Inbound {
        admission,
        receiver,
        naming,
        tracker,
        data,
        unfinished,
    }
}

fn without_handlers() -> Inbound {
    inbound(Memory::new(), Chain::default())
}

/// What the app would get of a body that comes in these frames.
async fn replayed(
    inbound: &Inbound,
    frames: impl IntoIterator<Item = Bytes>,
) -> Result<Bytes, Error> {
    let (line, body) = line();
    frames.into_iter().for_each(|frame| line.send(frame));
    drop(line);
    let limits = PartLimits::default();
    let mut handed = any::hand(inbound, limits, Some(MOST), &asked(), body).await?;
    let skeleton = handed.skeleton().unwrap();
    let (length, (pump, body)) = (skeleton.length(), super::body(skeleton));
    assert_eq!(body.size_hint().exact(), Some(length));
    let (pumped, body) = tokio::join!(pump.run(&mut handed), body.collect());
    pumped?;
    let body = body.unwrap().to_bytes();
    assert_eq!(body.len() as u64, length);
    let progress = Arc::clone(handed.progress());
    assert_eq!(progress.state(), State::Processing);
    handed.done();
    let record = progress.record(Holder::Id, "");
    assert_eq!(record.state, State::Done);
    assert!(record.files.iter().all(|file| file.url == Some(None)));
    Ok(body)
}

fn block_on<F: Future>(work: F) -> F::Output {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().unwrap().block_on(work)
}

/// Bytes of which some are nearly a boundary.
fn content() -> impl Strategy<Value = Vec<u8>> {
    const TOKENS: [&[u8]; 7] = [
        b"\r\n--bn",
        b"\r\n--",
        b"\r",
        b"\n",
        b"x--bnd",
        b"-",
        b"\0\xff pasta",
    ];
    let token = proptest::sample::select(&TOKENS[..]);
    proptest::collection::vec(token, 0..8).prop_map(|tokens| tokens.concat())
}

/// One part, with the line that separates it from the one before.
fn part() -> impl Strategy<Value = Vec<u8>> {
    let head = prop_oneof![
        Just("content-disposition:form-data;NAME=n"),
        Just("X-Odd: 1\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a.txt\""),
        Just(
            "Content-Disposition: form-data;\r\n name=\"f\"; filename=\"\"\r\nContent-Type: text/plain"
        ),
        Just("Content-Disposition: form-data; name=\"f\"; filename=b\r\nContent-Type: "),
    ];
    let lent = proptest::bool::ANY;
    (head, content(), "[ \t]{0,3}", lent).prop_map(|(head, content, padding, lent)| {
        let mut part = format!("--bnd{padding}\r\n{head}\r\n\r\n").into_bytes();
        part.extend_from_slice(&content);
        // An empty part may end with its head.
        if !(content.is_empty() && lent) {
            part.extend_from_slice(b"\r\n");
        }
        part
    })
}

fn form() -> impl Strategy<Value = Vec<u8>> {
    let preamble = prop_oneof![Just(""), Just("\r\n"), Just("This is MIME, --bnd.\r\n")];
    let epilogue = prop_oneof![Just(""), Just("\r\n"), Just(" and\r\n--bnd more")];
    let parts = proptest::collection::vec(part(), 0..6);
    (preamble, parts, epilogue).prop_map(|(preamble, parts, epilogue)| {
        let end = format!("--bnd--{epilogue}").into_bytes();
        [preamble.as_bytes(), &parts.concat(), &end].concat()
    })
}

fn split(body: &[u8], cuts: &[usize]) -> Vec<Bytes> {
    let mut cuts: Vec<_> = cuts.iter().map(|cut| cut % (body.len() + 1)).collect();
    cuts.extend([0, body.len()]);
    cuts.sort_unstable();
    let frame = |pair: &[usize]| Bytes::copy_from_slice(&body[pair[0]..pair[1]]);
    cuts.windows(2).map(frame).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_form_is_replayed_byte_for_byte_however_odd_and_wherever_it_is_cut(
        form in form(),
        cuts in proptest::collection::vec(0..2000usize, 0..12),
    ) {
        let body = block_on(replayed(&without_handlers(), split(&form, &cuts)));
        prop_assert_eq!(body.unwrap(), form);
    }
}

#[test]
fn large_files_many_files_and_handlers_that_look_are_replayed_as_they_came() {
    let folder = tempfile::tempdir().unwrap();
    let file = |n: usize, size: usize| {
        let head = format!("--bnd\r\nContent-Disposition: form-data; name=f; filename={n}\r\n\r\n");
        let content = (0..size).map(|at| (at.wrapping_mul(n + 3) >> 5) as u8);
        let png = b"\x89PNG\r\n\x1a\n".to_vec();
        [head.into_bytes(), png, content.collect(), b"\r\n".to_vec()].concat()
    };
    let many = (0..100).map(|n| file(n, n * 7));
    let mut form = many
        .chain([file(1, 3 * CHUNK + 1)])
        .collect::<Vec<_>>()
        .concat();
    form.extend_from_slice(b"--bnd--\r\n");
    let mut chain = Chain::default();
    chain.push(Digest::sha256);
    chain.push(|| Sniff::allow(["image/png".parse().unwrap()]));
    let inbound = inbound(Disk::open(folder.path()).unwrap(), chain);
    let frames = form.chunks(64 * 1024).map(Bytes::copy_from_slice);
    assert!(block_on(replayed(&inbound, frames)).unwrap() == form);
    let left = std::fs::read_dir(folder.path().join(".dumbwaiter/tmp")).unwrap();
    assert_eq!(left.count(), 0, "nothing of it stays");
}

/// Leaves out files, or makes them longer.
struct Meddles(Option<&'static [u8]>);

impl UploadHandler for Meddles {
    fn chunk(&mut self, chunk: Bytes) -> Result<Bytes, Stop> {
        match self.0 {
            Some(more) => Ok([&chunk, more].concat().into()),
            None => Err(Stop::SkipFile),
        }
    }
}

#[test]
fn a_file_that_was_left_out_or_changed_here_is_never_replayed_as_something_else() {
    let form =
        "--bnd\r\nContent-Disposition: form-data; name=f; filename=a\r\n\r\nbytes\r\n--bnd--";
    for (more, ends) in [
        (Some(&b""[..]), None),
        (Some(b"!"), Some("refused")),
        (None, Some("refused")),
    ] {
        let mut chain = Chain::default();
        chain.push(move || Meddles(more));
        let inbound = inbound(Memory::new(), chain);
        let body = block_on(replayed(&inbound, [form.into()]));
        assert_eq!(body.err().map(|error| error.code()), ends, "{more:?}");
    }
}

#[test]
fn bytes_beside_the_files_have_a_bound_and_those_of_files_have_none() {
    let form = |beside: usize, file: usize| {
        let head = "--bnd\r\nContent-Disposition: form-data; name=f; filename=a\r\n\r\n";
        let end = "\r\n--bnd--";
        let epilogue = "x".repeat(beside - head.len() - end.len());
        Bytes::from(format!("{head}{}{end}{epilogue}", "y".repeat(file)))
    };
    let inbound = without_handlers();
    let fits = form(MOST, 3 * MOST);
    assert!(block_on(replayed(&inbound, [fits.clone()])).unwrap() == fits);
    let over = block_on(replayed(&inbound, [form(MOST + 1, 0)]));
    assert_eq!(over.unwrap_err().code(), "limit_exceeded");
}

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
