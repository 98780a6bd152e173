//! The poll of nginx's upload progress module, beside the module itself: the same upload, the same bytes.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use crate::support::needs::{leave_out, needs};
use crate::support::nginx::Nginx;
use crate::support::{Reply, Server, eventually, form, noise, part, post};

const MODULE: &str = "/usr/lib/nginx/modules/ngx_http_uploadprogress_module.so";

/// nginx with the module, as its README sets it up.
fn with_module() -> Nginx {
    Nginx::start_with(&format!("load_module {MODULE};"), configuration)
}

fn configuration(folder: &Path, address: SocketAddr) -> String {
    let folder = folder.display();
    let report =
        |place: &str, output: &str| format!("location = {place} {{ report_uploads p; {output} }}");
    format!(
        r#"client_max_body_size 1m;
    upload_progress p 1m;
    server {{ listen unix:{folder}/app; return 204; }}
    server {{
        listen {address};
        location = /upload {{ proxy_pass http://unix:{folder}/app; track_uploads p 30s; }}
        {}
        {}
        {}
        {}
    }}"#,
        report("/json", "upload_progress_json_output;"),
        report("/jsonp", "upload_progress_jsonp_output;"),
        report("/java", "upload_progress_java_output;"),
        report("/xml", XML),
    )
}

/// The XML templates of the module's README.
const XML: &str = r#"upload_progress_content_type 'text/xml';
            upload_progress_template starting '<upload><state>starting</state></upload>';
            upload_progress_template uploading '<upload><state>uploading</state><size>$uploadprogress_length</size><uploaded>$uploadprogress_received</uploaded></upload>';
            upload_progress_template done '<upload><state>done</state></upload>';
            upload_progress_template error '<upload><state>error</state><code>$uploadprogress_status</code></upload>';"#;

/// The two servers, given the same.
struct Pair {
    nginx: Nginx,
    ours: Server,
    format: &'static str,
}

impl Pair {
    fn start(format: &'static str) -> Self {
        Self {
            nginx: with_module(),
            ours: Server::start(&["--progress-format", format]),
            format,
        }
    }

    fn addresses(&self) -> [SocketAddr; 2] {
        [self.nginx.address, self.ours.address]
    }

    fn connect(&self) -> [TcpStream; 2] {
        self.addresses().map(|address| {
            let stream = TcpStream::connect(address).unwrap();
            stream
                .set_read_timeout(Some(Duration::from_secs(20)))
                .unwrap();
            stream
        })
    }

    /// What each reports: the body, and the headers that the module sets.
    fn reports(&self, query: &str, headers: &str) -> [String; 2] {
        [
            (self.nginx.address, format!("/{}", self.format)),
            (self.ours.address, "/progress".to_owned()),
        ]
        .map(|(address, path)| {
            let mut stream = TcpStream::connect(address).unwrap();
            stream
                .set_read_timeout(Some(Duration::from_secs(20)))
                .unwrap();
            write!(
                stream,
                "GET {path}{query} HTTP/1.1\r\nHost: a\r\n{headers}\r\n"
            )
            .unwrap();
            let reply = Reply::read(&mut stream);
            let set = ["content-type", "expires", "cache-control"].map(|name| reply.header(name));
            format!("{} {set:?} {}", reply.status, reply.text())
        })
    }

    /// Sends the head and 100,000 bytes of the body, in three steps: the module counts what comes after it has looked at
    /// the request, and until then reports all as received.
    fn write(&self, clients: &mut [TcpStream; 2], query: &str, request: &[u8], head: usize) {
        for (from, to, seen) in [
            (0, head, "uploading"),
            (head, head + 50_000, "50000"),
            (head + 50_000, head + 100_000, "100000"),
        ] {
            for client in clients.iter_mut() {
                client.write_all(&request[from..to]).unwrap();
            }
            eventually(
                || self.reports(query, ""),
                |[nginx, _]| nginx.contains(seen),
            );
        }
    }

    /// Both report the same, soon, and it holds `expected`.
    fn agree(&self, query: &str, expected: &str) {
        let [nginx, ours] = eventually(
            || self.reports(query, ""),
            |[nginx, ours]| nginx == ours && ours.contains(expected),
        );
        assert_eq!(nginx, ours);
    }
}

fn ready() -> bool {
    let module = Path::new(MODULE).exists();
    if !module {
        leave_out("nginx's upload progress module");
    }
    module && needs("nginx")
}

#[test]
fn every_state_in_every_format_is_the_modules_byte_for_byte() {
    if !ready() {
        return;
    }
    for (format, starting, half, done, error) in [
        (
            "json",
            "{ \"state\" : \"starting\" }\r\n",
            "{ \"state\" : \"uploading\", \"received\" : 100000, \"size\" : 300167 }\r\n",
            "{ \"state\" : \"done\" }\r\n",
            "{ \"state\" : \"error\", \"status\" : ",
        ),
        (
            "jsonp",
            "cb({ \"state\" : \"starting\" });\r\n",
            "cb({ \"state\" : \"uploading\", \"received\" : 100000, \"size\" : 300167 });\r\n",
            "cb({ \"state\" : \"done\" });\r\n",
            "cb({ \"state\" : \"error\", \"status\" : ",
        ),
        (
            "java",
            "new Object({ 'state' : 'starting' })\r\n",
            "new Object({ 'state' : 'uploading', 'received' : 100000, 'size' : 300167 })\r\n",
            "new Object({ 'state' : 'done' })\r\n",
            "new Object({ 'state' : 'error', 'status' : ",
        ),
        (
            "xml",
            "<upload><state>starting</state></upload>",
            "<upload><state>uploading</state><size>300167</size><uploaded>100000</uploaded></upload>",
            "<upload><state>done</state></upload>",
            "<upload><state>error</state><code>",
        ),
    ] {
        let pair = Pair::start(format);
        let query = |id: &str| format!("?X-Progress-ID={id}&callback=cb");
        pair.agree(&query("never"), starting);

        let body = form(&[
            part("picture", Some("paella.jpg"), &noise(300_000)),
            part("id", None, b"12"),
        ]);
        let request = post("/upload?X-Progress-ID=one", "", &body);
        let head = request.len() - body.len();
        let mut clients = pair.connect();
        pair.write(&mut clients, &query("one"), &request, head);
        pair.agree(&query("one"), half);
        for client in &mut clients {
            client.write_all(&request[head + 100_000..]).unwrap();
            assert!(matches!(Reply::read(client).status, 201 | 204));
        }
        pair.agree(&query("one"), done);

        let request = post("/upload?X-Progress-ID=cut", "", &body);
        let mut clients = pair.connect();
        pair.write(&mut clients, &query("cut"), &request, head);
        pair.agree(&query("cut"), half);
        drop(clients);
        eventually(
            || pair.reports(&query("cut"), ""),
            |reports| reports.iter().all(|report| report.contains(error)),
        );
    }
}

#[test]
fn the_id_is_found_where_the_module_finds_it() {
    if !ready() {
        return;
    }
    let pair = Pair::start("json");
    let body = form(&[part("picture", Some("paella.jpg"), b"x")]);
    for (target, header) in [
        ("/upload?X-Progress-ID=query", ""),
        ("/upload", "X-Progress-ID: header\r\n"),
    ] {
        for mut client in pair.connect() {
            client.write_all(&post(target, header, &body)).unwrap();
            assert!(matches!(Reply::read(&mut client).status, 201 | 204));
        }
    }
    for (query, header) in [
        ("?X-Progress-ID=query", ""),
        ("?X-Progress-ID=header", ""),
        ("", "X-Progress-ID: query\r\n"),
        ("?X-Progress-ID=never", "x-progress-id: header\r\n"),
        ("?a=b&X-Progress-ID=query", ""),
    ] {
        let [nginx, ours] = eventually(
            || pair.reports(query, header),
            |[nginx, ours]| nginx == ours,
        );
        assert!(nginx.contains("done"), "{query} {header} {nginx} {ours}");
    }
    let [nginx, ours] = pair.reports("", "");
    assert!(
        nginx.starts_with("404") && ours.starts_with("404"),
        "{nginx} {ours}"
    );
}
