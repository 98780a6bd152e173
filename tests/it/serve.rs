//! Our connections and threads in a program of somebody else's.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use dumbwaiter::admission::AdmissionOptions;
use dumbwaiter::server::{ConnectionOptions, DrainOptions, Serve};
use dumbwaiter::store::Memory;
use dumbwaiter::{Dumbwaiter, Operator};
use tokio::sync::Notify;

use crate::support::{Reply, connect_from, eventually, form, noise, part, post};

/// A server in this process.
pub(crate) struct Served {
    address: SocketAddr,
    store: Memory,
    operator: Operator,
    stop: Arc<Notify>,
    thread: JoinHandle<std::io::Result<()>>,
}

impl Served {
    pub(crate) fn start(
        say: impl FnOnce(Dumbwaiter) -> Dumbwaiter,
        set: impl FnOnce(Serve) -> Serve,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, store) = (listener.local_addr().unwrap(), Memory::new());
        let stop = Arc::new(Notify::new());
        let told = stop.clone();
        let serve = say(Dumbwaiter::new(store.clone())).serve(listener);
        let serve = set(serve).until(async move { told.notified().await });
        let operator = serve.service().operator();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async { serve.await })
        });
        Self {
            address,
            store,
            operator,
            stop,
            thread,
        }
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        let patience = Some(Duration::from_secs(20));
        stream.set_read_timeout(patience).unwrap();
        stream
    }

    /// The files that can be seen.
    pub(crate) fn names(&self) -> Vec<String> {
        self.store.names()
    }

    /// The first part of a form that is under way.
    fn begin(&self, content: &[u8]) -> (TcpStream, Vec<u8>) {
        let request = post("/upload", "", &form(&[part("f", Some("f"), content)]));
        let mut client = self.connect();
        client.write_all(&request[..1000]).unwrap();
        eventually(|| self.operator.running(), |running| *running == 1);
        (client, request[1000..].to_vec())
    }
}

#[test]
fn an_upload_under_way_comes_to_its_end_when_the_host_stops_the_server() {
    let server = Served::start(|lift| lift, |serve| serve);
    let content = noise(100_000);
    let (mut client, rest) = server.begin(&content);
    server.stop.notify_one();
    // It takes nobody in any more, and waits for who is there.
    eventually(
        || TcpStream::connect(server.address).is_err(),
        |closed| *closed,
    );
    assert!(!server.thread.is_finished());
    client.write_all(&rest).unwrap();
    assert_eq!(Reply::read(&mut client).status, 201);
    drop(client);
    server.thread.join().unwrap().unwrap();
    assert!(server.store.bytes("f").unwrap() == content);
}

#[test]
fn an_upload_that_outlasts_the_grace_is_told_so() {
    let grace = Duration::from_millis(50);
    let drain = DrainOptions {
        grace,
        ..DrainOptions::default()
    };
    let server = Served::start(|lift| lift, |serve| serve.drain(drain));
    let (mut client, _rest) = server.begin(&noise(100_000));
    server.stop.notify_one();
    let reply = Reply::read(&mut client);
    assert_eq!(
        (reply.status, &reply.json()["code"]),
        (503, &"shutting_down".into())
    );
    drop(client);
    server.thread.join().unwrap().unwrap();
    assert_eq!(server.store.names(), [""; 0]);
}

#[test]
fn a_client_that_writes_all_before_it_reads_reads_its_refusal() {
    let server = Served::start(
        |lift| {
            lift.admission(AdmissionOptions {
                upload_bytes: Some(1000),
                ..AdmissionOptions::default()
            })
        },
        |serve| serve,
    );
    let mut client = server.connect();
    let request = post(
        "/upload",
        "",
        &form(&[part("f", Some("f"), &noise(8 << 20))]),
    );
    client.write_all(&request).unwrap();
    assert_eq!(Reply::read(&mut client).json()["code"], "upload_too_large");
}

#[test]
fn connections_are_bounded_and_waited_for_as_the_host_says() {
    let options = ConnectionOptions {
        head_timeout: Duration::from_millis(200),
        linger_time: Duration::from_millis(100),
        ..ConnectionOptions::default()
    };
    let server = Served::start(
        |lift| lift,
        |serve| serve.connections(options).max_connections(1),
    );
    let mut silent = server.connect();
    silent.write_all(b"GET /upl").unwrap();
    // There is one place, and the silent one has it until its time is over.
    let mut next = server.connect();
    next.write_all(b"GET /uploads/none HTTP/1.1\r\nHost: a\r\n\r\n")
        .unwrap();
    assert_eq!(Reply::read(&mut next).status, 404);
    let mut told = String::new();
    silent.read_to_string(&mut told).unwrap();
    assert!(told.starts_with("HTTP/1.1 408"), "{told}");
}

#[test]
fn uploads_belong_to_the_address_they_come_from() {
    let server = Served::start(|lift| lift, |serve| serve);
    let mut client = server.connect();
    let body = form(&[part("f", Some("f"), b"x")]);
    client
        .write_all(&post("/upload?X-Progress-ID=1", "", &body))
        .unwrap();
    assert_eq!(Reply::read(&mut client).status, 201);
    // A head that two readers could read in two ways gets no further either.
    let mut two_ways = server.connect();
    let smuggled = "POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc";
    two_ways.write_all(smuggled.as_bytes()).unwrap();
    assert_eq!(Reply::read(&mut two_ways).status, 400);
    let poll = "GET /uploads?X-Progress-ID=1 HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut again = server.connect();
    again.write_all(poll.as_bytes()).unwrap();
    assert_eq!(Reply::read(&mut again).json()[0]["state"], "done");
    let mut stranger = connect_from(server.address, 2);
    stranger.write_all(poll.as_bytes()).unwrap();
    assert!(Reply::read(&mut stranger).json()[0].is_null());
}
