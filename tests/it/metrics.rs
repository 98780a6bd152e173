//! `/metrics`: well-formed, and the numbers add up.

use std::collections::BTreeMap;
use std::io::Write;

use crate::support::{Reply, Server, ask_for, eventually, form, part};

/// Samples by name and labels, read by the rules of the text format; whatever breaks one fails.
fn parse(text: &str) -> BTreeMap<String, f64> {
    let mut samples = BTreeMap::new();
    let mut kinds: BTreeMap<String, String> = BTreeMap::new();
    let (body, end) = text.split_at(text.len() - "# EOF\n".len());
    assert_eq!(end, "# EOF\n");
    for line in body.lines() {
        if let Some(about) = line.strip_prefix("# ") {
            let (what, rest) = about.split_once(' ').unwrap();
            let (name, rest) = rest.split_once(' ').unwrap();
            assert!(["HELP", "TYPE", "UNIT"].contains(&what), "{line}");
            if what == "TYPE" {
                let before = kinds.insert(name.to_owned(), rest.to_owned());
                assert!(before.is_none(), "{name} comes twice");
            }
            continue;
        }
        let (sample, value) = line.rsplit_once(' ').unwrap();
        let name = sample.split('{').next().unwrap();
        assert!(is_of_a_family(name, &kinds), "{line} has no TYPE");
        let before = samples.insert(sample.to_owned(), value.parse().unwrap());
        assert!(before.is_none(), "{sample} comes twice");
    }
    samples
}

fn is_of_a_family(name: &str, kinds: &BTreeMap<String, String>) -> bool {
    let ends = |kind: &str| match kind {
        "counter" => &["_total"][..],
        "gauge" => &[""],
        "histogram" => &["_bucket", "_sum", "_count"],
        "info" => &["_info"],
        other => panic!("{other} is no kind of ours"),
    };
    let mut known = kinds.iter();
    known.any(|(family, kind)| {
        ends(kind)
            .iter()
            .any(|end| format!("{family}{end}") == name)
    })
}

/// Every bucket holds those of the smaller ones, and the last all.
fn check_histogram(samples: &BTreeMap<String, f64>, name: &str, label: &str) -> f64 {
    let tail = if label.is_empty() {
        "}".to_owned()
    } else {
        format!(",{label}}}")
    };
    let bound = |key: &str| {
        let rest = key.strip_prefix(&format!("{name}_bucket{{le=\""))?;
        let (bound, rest) = rest.split_once('"')?;
        (rest == tail).then(|| bound.replace("+Inf", "inf").parse::<f64>().unwrap())
    };
    let mut buckets: Vec<_> = samples
        .iter()
        .filter_map(|(key, count)| Some((bound(key)?, *count)))
        .collect();
    buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
    assert!(
        buckets.is_sorted_by(|a, b| a.1 <= b.1),
        "{name}: {buckets:?}"
    );
    let count = match label {
        "" => samples[&format!("{name}_count")],
        label => samples[&format!("{name}_count{{{label}}}")],
    };
    assert_eq!(buckets.last(), Some(&(f64::INFINITY, count)), "{name}");
    count
}

fn scrape(server: &Server) -> BTreeMap<String, f64> {
    let reply = ask_for(server.beside("/metrics"), "GET", "/metrics", None);
    assert_eq!(
        reply.header("content-type"),
        Some("application/openmetrics-text; version=1.0.0; charset=utf-8")
    );
    parse(reply.text())
}

#[test]
fn counters_add_up_after_a_known_set_of_uploads_and_refusals() {
    let server = Server::start(&["--probe-listen", "127.0.0.1:0", "--max-files", "2"]);
    let body = form(&[part("f", Some("a"), &[7; 5000])]);
    for _ in 0..3 {
        assert_eq!(server.post("/upload", "", &body).status, 201);
    }
    let many = form(&[
        part("f", Some("a"), b"1"),
        part("f", Some("b"), b"2"),
        part("f", Some("c"), b"3"),
    ]);
    assert_eq!(server.post("/upload", "", &many).status, 413);
    assert_eq!(server.get("/nowhere").status, 404);
    assert_eq!(server.get("/files/x").status, 404);
    let put = b"PUT /files/p HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nfour";
    assert_eq!(server.send(put).status, 201);
    let mut stream = server.connect();
    stream
        .write_all(b"GET /uploads?X-Progress-ID=x HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n")
        .unwrap();
    let mut client = server.connect();
    client
        .write_all(b"PUT /files/slow HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n123")
        .unwrap();

    let put_bytes = "dumbwaiter_received_bytes_total{protocol=\"put\"}";
    // A running upload's bytes count as they come, not only at its end. What is counted of the moment is read before them.
    let fits = |samples: &BTreeMap<String, f64>| {
        let moment = ["dumbwaiter_watchers", "dumbwaiter_uploads_running"];
        samples[put_bytes] == 7.0 && moment.iter().all(|name| samples[*name] == 1.0)
    };
    let samples = eventually(|| scrape(&server), fits);
    for (sample, value) in [
        (
            "dumbwaiter_uploads_total{protocol=\"form\",end=\"done\"}",
            3.0,
        ),
        (
            "dumbwaiter_uploads_total{protocol=\"form\",end=\"limit_exceeded\"}",
            1.0,
        ),
        (
            "dumbwaiter_uploads_total{protocol=\"put\",end=\"done\"}",
            1.0,
        ),
        ("dumbwaiter_refusals_total{code=\"limit_exceeded\"}", 1.0),
        ("dumbwaiter_refusals_total{code=\"not_found\"}", 2.0),
        ("dumbwaiter_uploads_running", 1.0),
        ("dumbwaiter_connections", 2.0),
        ("dumbwaiter_build_info{version=\"0.1.0\"}", 1.0),
    ] {
        assert_eq!(samples.get(sample), Some(&value), "{sample}: {samples:#?}");
    }
    let form_bytes = samples["dumbwaiter_received_bytes_total{protocol=\"form\"}"];
    assert_eq!(form_bytes, (3 * body.len() + many.len()) as f64);
    let form = "protocol=\"form\"";
    for name in [
        "dumbwaiter_upload_duration_seconds",
        "dumbwaiter_upload_size_bytes",
    ] {
        assert_eq!(check_histogram(&samples, name, form), 4.0);
        assert_eq!(check_histogram(&samples, name, "protocol=\"put\""), 1.0);
    }
    let sum = samples[&format!("dumbwaiter_upload_size_bytes_sum{{{form}}}")];
    assert_eq!(sum, form_bytes);
    // Four files were stored, each with its data, its record and its folder.
    assert!(check_histogram(&samples, "dumbwaiter_sync_duration_seconds", "") >= 12.0);
    assert!(samples["dumbwaiter_disk_free_bytes"] > 0.0);
    assert!(samples.contains_key("dumbwaiter_disk_free_inodes"));

    client.write_all(b"4567890").unwrap();
    assert_eq!(Reply::read(&mut client).status, 201);
    let samples = scrape(&server);
    assert_eq!(samples["dumbwaiter_uploads_running"], 0.0);
    assert_eq!(samples[put_bytes], 14.0);
}

#[test]
fn a_client_that_has_gone_is_an_end_and_no_refusal() {
    let server = Server::start(&["--probe-listen", "127.0.0.1:0"]);
    let mut client = server.connect();
    client
        .write_all(b"PUT /files/slow HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n123")
        .unwrap();
    let running = "dumbwaiter_uploads_running";
    eventually(|| scrape(&server)[running], |running| *running == 1.0);
    drop(client);
    let samples = eventually(
        || scrape(&server),
        |samples| samples[running] == 0.0 && samples["dumbwaiter_connections"] == 0.0,
    );
    let ended = "dumbwaiter_uploads_total{protocol=\"put\",end=\"client_gone\"}";
    assert_eq!(samples.get(ended), Some(&1.0), "{samples:#?}");
    let refusals = samples
        .keys()
        .find(|key| key.starts_with("dumbwaiter_refusals"));
    assert_eq!(refusals, None, "{samples:#?}");
}

#[test]
fn a_scrape_that_comes_while_uploads_run_never_counts_backwards() {
    let server = Server::start(&["--probe-listen", "127.0.0.1:0", "--durability", "close"]);
    let name = "dumbwaiter_received_bytes_total{protocol=\"form\"}";
    let body = form(&[part("f", Some("a"), &[7; 100_000])]);
    let uploads = 40;
    std::thread::scope(|scope| {
        let client = || {
            for _ in 0..uploads / 2 {
                assert_eq!(server.post("/upload", "", &body).status, 201);
            }
        };
        let clients = [scope.spawn(client), scope.spawn(client)];
        let (mut last, all) = (0.0, (uploads * body.len()) as f64);
        let mut running = true;
        while running {
            running = clients.iter().any(|client| !client.is_finished());
            let now = scrape(&server).get(name).copied().unwrap_or(0.0);
            assert!(now >= last && now <= all, "{last}, then {now} of {all}");
            last = now;
        }
        assert_eq!(last, all);
    });
}
