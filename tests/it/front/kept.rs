//! Connections to the app: which are kept for the next request, how many, and how long.

use std::io::Write as _;
use std::sync::{Arc, Barrier};
use std::thread;

use super::in_front_of;
use crate::support::app::App;
use crate::support::{Reply, Server, eventually};

/// The connections that the app has seen, without the one by which the server looks whether it is there.
fn connections(app: &App, server: &Server) -> usize {
    // It looks once, at its start, in its own time.
    assert!(server.words.contains("Dumbwaiter is at"));
    app.connections() - 1
}

/// A server that has looked for its app.
fn looked(app: &App, args: &[&str]) -> Server {
    let server = in_front_of(app, args);
    eventually(|| app.connections(), |connections| *connections == 1);
    server
}

#[test]
fn what_may_be_asked_twice_goes_on_a_kept_connection() {
    let app = App::start();
    let server = looked(&app, &["--app-idle-timeout", "1h"]);
    for _ in 0..5 {
        assert_eq!(server.get("/").status, 200);
    }
    // Between an answer's end and the connection's return there is a moment.
    let made = connections(&app, &server);
    assert!(made < 5, "{made} connections for five requests");
    // What must not be done twice gets a connection that cannot have been closed under way.
    for (done, method) in ["POST", "PATCH", "DELETE"].iter().enumerate() {
        let request = format!("{method} / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(server.send(request.as_bytes()).status, 200);
        assert_eq!(connections(&app, &server), made + done + 1, "{method}");
    }
}

#[test]
fn a_kept_connection_that_the_app_has_closed_costs_nobody_an_answer() {
    let app = App::start();
    let server = looked(&app, &["--app-idle-timeout", "1h"]);
    // It says that the connection stays, and closes it when the next request comes.
    app.does(|call| {
        call.read();
        call.say(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst");
        let mut next = [0];
        let _ = call.stream().peek(&mut next);
    });
    for round in 0..5 {
        let reply = server.get("/");
        assert_eq!((reply.status, reply.text()), (200, "first"), "{round}");
    }
    app.answers(200, "", b"other");
    assert_eq!(server.get("/").text(), "other");
}

#[test]
fn no_more_connections_are_kept_than_may_be() {
    let app = App::start();
    let server = looked(&app, &["--app-idle-timeout", "1h", "--max-app-idle", "2"]);
    let all = Arc::new(Barrier::new(6));
    let meets = Arc::clone(&all);
    app.does(move |call| {
        call.read();
        // All are under way at once, so each has its own connection.
        meets.wait();
        call.answer(200, "", b"ok");
    });
    let address = server.address;
    let clients: Vec<_> = (0..6)
        .map(|_| {
            thread::spawn(move || {
                let mut stream = std::net::TcpStream::connect(address).unwrap();
                stream
                    .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                    .unwrap();
                Reply::read(&mut stream).status
            })
        })
        .collect();
    for client in clients {
        assert_eq!(client.join().unwrap(), 200);
    }
    assert_eq!(connections(&app, &server), 6);
    let open = eventually(|| sockets_to(&server, &app), |open| *open <= 2);
    assert_eq!(open, 2);
}

#[test]
fn a_connection_is_kept_no_longer_than_it_may() {
    let app = App::start();
    let server = looked(&app, &["--app-idle-timeout", "50ms"]);
    assert_eq!(server.get("/").status, 200);
    eventually(|| sockets_to(&server, &app), |open| *open == 0);
    let server = looked_again(&app);
    assert_eq!(server.get("/").status, 200);
    eventually(|| sockets_to(&server, &app), |open| *open == 0);
}

/// A server that keeps none.
fn looked_again(app: &App) -> Server {
    in_front_of(app, &["--app-idle-timeout", "0s"])
}

/// How many connections the server has to the app, as the kernel lists them.
fn sockets_to(server: &Server, app: &App) -> usize {
    let table = std::fs::read_to_string(format!("/proc/{}/net/tcp", server.pid())).unwrap();
    let remote = format!("0100007F:{:04X}", app.address.port());
    let open = table.lines().filter(|line| {
        let mut columns = line.split_whitespace().skip(2);
        columns.next() == Some(&*remote) && columns.next() == Some("01")
    });
    open.count()
}
