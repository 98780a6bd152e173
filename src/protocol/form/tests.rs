//! A form whose body comes in several requests, wherever they are cut and whatever becomes of the process in between.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::error::Error;
use crate::handlers::{Chain, Digest, Resume, Sniff, Stop, UploadHandler};
use crate::name::Template;
use crate::progress::{FileRecord, Holder, State};
use crate::protocol::headers::Boundary;
use crate::receive::{Limits, Naming, Shape};
use crate::store::{Disk, Memory, Store};
use crate::unfinished::tests::faulty::Faulty;
use crate::unfinished::tests::rig::{Given, Rig, append, line, whole};
use crate::unfinished::{Append, ResumeOptions, Status};
use crate::upload::{FileFacts, Owner, Remembered, Upload, UploadId};

/// With `|` for the ends of lines. What is nearly a boundary is data, and so is what comes behind the last one.
const FORM: &str = "--b|Content-Disposition: form-data; name=\"id\"||4|2|--b|\
    Content-Disposition: form-data; name=\"photo\"; filename=\"a.txt\"||one|--|two|--b|\
    Content-Disposition: form-data; name=\"none\"; filename=\"\"|Content-Type: text/plain|||--b|\
    Content-Disposition: form-data; name=\"photo\"; filename=\"empty\"|||--b|\
    Content-Disposition: form-data; name=\"photo\"; filename=\"left out\"||three!four|--b|\
    Content-Disposition: form-data; name=\"photo\"; filename=\"c\"|Content-Type: text/html||five|--b|\
    Content-Disposition: form-data; name=\"caption\"||d\u{e9}j\u{e0} vu|--b--|and more";

fn form() -> Bytes {
    FORM.replace('|', "\r\n").into()
}

/// Leaves out files of which a byte is `!`.
struct Skips;

impl UploadHandler for Skips {
    fn chunk(&mut self, chunk: Bytes) -> Result<Bytes, Stop> {
        match chunk.contains(&b'!') {
            true => Err(Stop::SkipFile),
            false => Ok(chunk),
        }
    }

    fn resume(&self) -> Resume {
        Resume::Saved(Vec::new())
    }

    fn restore(&mut self, _: &[u8]) -> Result<(), Error> {
        Ok(())
    }
}

/// Adds up the bytes of a file, keeps no state, and says the sum as its type.
struct Adds(u64);

impl UploadHandler for Adds {
    fn chunk(&mut self, chunk: Bytes) -> Result<Bytes, Stop> {
        self.0 += chunk.iter().map(|byte| u64::from(*byte)).sum::<u64>();
        Ok(chunk)
    }

    fn file_complete(&mut self, facts: &mut FileFacts) -> Result<Bytes, Stop> {
        let found = facts.content_type.take().unwrap_or_default();
        facts.content_type = Some(format!("{found} {}", self.0));
        Ok(Bytes::new())
    }

    fn resume(&self) -> Resume {
        Resume::Recompute
    }
}

fn given() -> Given {
    let mut chain = Chain::default();
    chain.push(|| Skips);
    chain.push(|| Sniff::allow(["*/*".parse().unwrap()]));
    chain.push(Digest::sha256);
    chain.push(|| Adds(0));
    Given {
        options: ResumeOptions {
            max_parked: 0,
            ..ResumeOptions::default()
        },
        chain,
        naming: Naming {
            template: Template::parse("{form.id} {form.caption} {filename}").unwrap(),
            ..Naming::default()
        },
        form: Arc::new(|| Box::new(Form::to_restore(PartLimits::default()))),
        ..Given::default()
    }
}

async fn create(rig: &Rig, length: Option<u64>) -> Result<Status, Error> {
    let mut upload = Upload::new(Protocol::Form, Owner::from_address([127, 0, 0, 1].into()));
    upload.length = length;
    let about = Remembered::of(&upload);
    let boundary = Boundary::parse(b"b").unwrap();
    let split = Form::new(&boundary, PartLimits::default());
    let shape = Shape::Form(Box::new(split));
    rig.unfinished.create(Box::new(upload), about, shape).await
}

async fn begin(rig: &Rig) -> UploadId {
    let length = form().len() as u64;
    create(rig, Some(length)).await.unwrap().id
}

/// What has become of a form: its fields, and each file as the record and the store have it.
type Came = (String, Vec<FileRecord>, Vec<(FileFacts, Vec<u8>)>);

async fn came(rig: &Rig, id: &UploadId) -> Came {
    let mut files = Vec::new();
    for (index, facts) in rig
        .store
        .stored(id)
        .await
        .unwrap()
        .unwrap()
        .into_iter()
        .enumerate()
    {
        let mut reader = rig.store.read(id, index).await.unwrap().unwrap();
        let bytes = reader.read_at(0, 99).await.unwrap().to_vec();
        files.push((facts, bytes));
    }
    let (fields, mut records) = told(rig, id);
    records.iter_mut().for_each(|record| record.url = None);
    (fields, records, files)
}

fn told(rig: &Rig, id: &UploadId) -> (String, Vec<FileRecord>) {
    let record = rig.progress(id).record(Holder::Id, "");
    let fields = serde_json::to_string(&record.fields).unwrap();
    (fields, record.files)
}

async fn uncut() -> Came {
    let rig = Rig::memory_with(given()).0;
    let id = begin(&rig).await;
    let all = append(0, whole(form()));
    assert!(rig.unfinished.append(&id, all).await.unwrap().complete);
    came(&rig, &id).await
}

#[tokio::test]
async fn a_form_that_comes_in_one_request_is_what_it_is_by_any_way_in() {
    let (fields, records, files) = uncut().await;
    assert_eq!(fields, r#"{"id":"4\r\n2","caption":"déjà vu"}"#);
    assert_eq!(records.len(), 3);
    for ((facts, bytes), (name, content)) in
        files
            .iter()
            .zip([("a.txt", "one\r\n--\r\ntwo"), ("empty", ""), ("c", "five")])
    {
        let sum: u64 = content.bytes().map(u64::from).sum();
        let kind = facts.content_type.clone().unwrap();
        assert!(kind.ends_with(&format!(" {sum}")), "{kind}");
        assert_eq!(facts.name, Some(format!("42 déjà vu {name}")));
        assert_eq!(*bytes, content.as_bytes());
    }
}

#[tokio::test]
async fn a_form_that_is_cut_at_any_byte_becomes_what_it_is_uncut() {
    let (uncut, form) = (uncut().await, form());
    for at in 1..form.len() {
        let (rig, _) = Rig::memory_with(given());
        let id = begin(&rig).await;
        let (first, rest) = (form.slice(..at), form.slice(at..));
        let more = rig.unfinished.append(&id, append(0, whole(first))).await;
        assert_eq!(more.unwrap().offset, at as u64);
        let rest = append(at as u64, whole(rest));
        assert!(rig.unfinished.append(&id, rest).await.unwrap().complete);
        assert_eq!(came(&rig, &id).await, uncut, "cut at {at}");
    }
}

#[tokio::test]
async fn a_form_of_which_each_process_sees_one_byte_becomes_what_it_is_uncut() {
    let (uncut, form, memory) = (uncut().await, form(), Memory::new());
    let mut rig = Rig::start(memory.clone(), given());
    let id = begin(&rig).await;
    for at in 0..form.len() {
        let known = told(&rig, &id);
        rig = Rig::start(memory.clone(), given());
        assert_eq!(told(&rig, &id), known, "before byte {at}");
        let byte = append(at as u64, whole(form.slice(at..=at)));
        rig.unfinished.append(&id, byte).await.unwrap();
    }
    assert_eq!(came(&rig, &id).await, uncut);
}

#[tokio::test]
async fn a_form_on_disk_goes_on_in_another_process() {
    let (uncut, form) = (uncut().await, form());
    let folder = tempfile::tempdir().unwrap();
    for at in (1..form.len()).step_by(29) {
        let rig = Rig::start(open(&folder).await, given());
        let id = begin(&rig).await;
        let first = append(0, whole(form.slice(..at)));
        rig.unfinished.append(&id, first).await.unwrap();
        drop(rig);
        let rig = Rig::start(open(&folder).await, given());
        let rest = append(at as u64, whole(form.slice(at..)));
        assert!(rig.unfinished.append(&id, rest).await.unwrap().complete);
        assert_eq!(came(&rig, &id).await, uncut, "cut at {at}");
        assert!(rig.store.remove(&id).await.unwrap());
    }
}

/// The folder's lock is let go with the last of those who have it.
async fn open(folder: &tempfile::TempDir) -> Disk {
    for _ in 0..10_000 {
        if let Ok(disk) = Disk::open(folder.path()) {
            return disk;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("somebody still has the folder");
}

#[tokio::test]
async fn what_is_wrong_with_a_form_ends_it_and_what_is_cut_does_not() {
    let head = "--b\r\nContent-Disposition: form-data; name=\"n\"\r\n\r\nv\r\n--b";
    for (rest, code) in [
        ("?", "malformed_form"),
        ("--", ""),
        ("\r\n", "truncated_form"),
    ] {
        let (rig, memory) = Rig::memory_with(given());
        let id = create(&rig, None).await.unwrap().id;
        let (cut, body) = line();
        cut.send(head);
        cut.cut();
        let error = rig
            .unfinished
            .append(&id, append(0, body))
            .await
            .unwrap_err();
        assert_eq!(error.code(), "client_gone");
        assert_eq!(rig.state(&id), State::Interrupted);
        let last = Append {
            last: Some(true),
            ..append(head.len() as u64, whole(rest))
        };
        let answer = rig.unfinished.append(&id, last).await;
        assert_eq!(answer.as_ref().map_or_else(Error::code, |_| ""), code);
        if let Ok(status) = answer {
            // All of its body, and not what its files have.
            let length = Some((head.len() + rest.len()) as u64);
            assert_eq!((status.length, status.complete), (length, true));
            let after = rig.unfinished.settle(&id).await.unwrap();
            assert_eq!((after.length, after.complete), (length, true));
        }
        let ended = if code.is_empty() {
            State::Done
        } else {
            State::Error
        };
        assert_eq!(rig.state(&id), ended);
        assert!(rig.unfinished.look(&id).is_none());
        assert!(memory.list_unfinished(None, 1).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn limits_count_over_all_requests_of_a_form() {
    let field = "--b\r\nContent-Disposition: form-data; name=\"n\"\r\n\r\nvvvvvvvvvv\r\n";
    let file = "--b\r\nContent-Disposition: form-data; name=\"n\"; filename=\"f\"\r\n\r\n!\r\n";
    let none = Limits::default();
    for (part, limits) in [
        (field, Limits { fields: 3, ..none }),
        (
            field,
            Limits {
                field_bytes: 35,
                ..none
            },
        ),
        (file, Limits { files: 3, ..none }),
    ] {
        let (rig, _) = Rig::memory_with(Given { limits, ..given() });
        let id = create(&rig, None).await.unwrap().id;
        let send = async |times: u64| {
            let offset = times * part.len() as u64;
            rig.unfinished
                .append(&id, append(offset, whole(part)))
                .await
        };
        for times in 0..3 {
            send(times).await.unwrap();
        }
        assert_eq!(send(3).await.unwrap_err().code(), "limit_exceeded");
        assert!(rig.unfinished.look(&id).is_none());
    }
}

#[tokio::test]
async fn one_field_is_bounded_over_all_requests() {
    let limits = Limits {
        field_size: 5,
        ..Limits::default()
    };
    let (rig, _) = Rig::memory_with(Given { limits, ..given() });
    let id = create(&rig, None).await.unwrap().id;
    let head = "--b\r\nContent-Disposition: form-data; name=\"n\"\r\n\r\nvvv";
    rig.send(&id, 0, head).await.unwrap();
    rig.send(&id, head.len() as u64, "vv").await.unwrap();
    let more = rig.send(&id, head.len() as u64 + 2, "v").await;
    assert_eq!(more.unwrap_err().code(), "limit_exceeded");
}

#[tokio::test]
async fn a_form_whose_parser_is_not_there_any_more_waits_for_it() {
    let memory = Memory::new();
    let rig = Rig::start(memory.clone(), given());
    let id = begin(&rig).await;
    rig.send(&id, 0, "--b\r\n").await.unwrap();
    drop(rig);
    let rig = Rig::start(
        memory.clone(),
        Given {
            form: Given::default().form,
            ..given()
        },
    );
    let refused = rig.send(&id, 5, "Con").await.unwrap_err();
    assert_eq!(refused.code(), "not_resumable");
    assert_eq!(rig.unfinished.look(&id).unwrap().offset, 5);
    let rig = Rig::start(memory.clone(), given());
    assert_eq!(rig.send(&id, 5, "Con").await.unwrap().offset, 8);
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 24,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// In any number of requests, some of them cut, some with a new process before them.
    #[test]
    fn a_form_in_any_requests_becomes_what_it_is_uncut(
        steps in prop::collection::vec((1..120_usize, any::<bool>(), any::<bool>()), 1..40)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(in_steps(steps));
    }
}

async fn in_steps(steps: Vec<(usize, bool, bool)>) {
    let (uncut, form, memory) = (uncut().await, form(), Memory::new());
    let mut rig = Rig::start(memory.clone(), given());
    let (id, mut offset) = (begin(&rig).await, 0);
    for (bytes, cut, restart) in steps.into_iter().cycle().take(1_000) {
        if restart {
            rig = Rig::start(memory.clone(), given());
        }
        let end = form.len().min(offset + bytes);
        let (send, body) = line();
        send.send(form.slice(offset..end));
        match cut {
            true => send.cut(),
            false => drop(send),
        }
        let came = rig
            .unfinished
            .append(&id, append(offset as u64, body))
            .await;
        assert_eq!(came.is_err(), cut);
        offset = end;
        if offset == form.len() {
            break;
        }
        assert_eq!(rig.unfinished.look(&id).unwrap().offset, offset as u64);
    }
    let whole_now = rig.unfinished.settle(&id).await.unwrap();
    assert!(whole_now.complete);
    assert_eq!(came(&rig, &id).await, uncut);
}

fn find(form: &[u8], content: &str) -> usize {
    let at = form
        .windows(content.len())
        .position(|found| found == content.as_bytes());
    at.unwrap()
}

#[tokio::test]
async fn a_full_disk_leaves_a_form_at_its_last_checkpoint() {
    let faulty = Faulty::default();
    let rig = Rig::start(
        faulty.clone(),
        Given {
            chain: Chain::default(),
            // It would stay open, if it could.
            options: ResumeOptions::default(),
            ..given()
        },
    );
    let (id, form) = (begin(&rig).await, form());
    let mut offset = 0;
    for content in ["one", "three", "five"] {
        // Inside a file.
        let at = find(&form, content) + 2;
        let (open_line, body) = line();
        faulty.faults.full.store(true, Ordering::SeqCst);
        open_line.send(form.slice(offset..at));
        let error = rig
            .unfinished
            .append(&id, append(offset as u64, body))
            .await;
        assert_eq!(error.unwrap_err().code(), "disk_full");
        assert_eq!(rig.unfinished.look(&id).unwrap().offset, offset as u64);
        let again = append(offset as u64, whole(form.slice(offset..at)));
        assert_eq!(
            rig.unfinished.append(&id, again).await.unwrap().offset,
            at as u64
        );
        offset = at;
    }
    let rest = append(offset as u64, whole(form.slice(offset..)));
    assert!(rig.unfinished.append(&id, rest).await.unwrap().complete);
    let names = rig.store.stored(&id).await.unwrap().unwrap();
    assert_eq!(names.len(), 4);
    let mut first = rig.store.read(&id, 0).await.unwrap().unwrap();
    assert_eq!(first.read_at(0, 99).await.unwrap(), "one\r\n--\r\ntwo");
}
