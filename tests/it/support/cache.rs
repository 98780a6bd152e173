//! Real memcached and Redis on free ports, and Django's own caches that read them.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::eventually;
use super::needs::{leave_out, needs};

/// A cache server; ended when dropped.
pub(crate) struct CacheServer {
    pub(crate) address: SocketAddr,
    kind: Kind,
    child: Option<Child>,
}

#[derive(Clone, Debug)]
enum Kind {
    Memcached(Vec<String>),
    Redis(Vec<String>),
}

/// A free port of a moment ago: neither server tells which one it took.
pub(crate) fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

impl CacheServer {
    /// memcached with further arguments; `None` where there is none.
    pub(crate) fn memcached(args: &[&str]) -> Option<Self> {
        let args = args.iter().map(|arg| (*arg).to_owned()).collect();
        needs("memcached").then(|| Self::start(Kind::Memcached(args)))
    }

    /// Redis with further arguments; `None` where there is none.
    pub(crate) fn redis(args: &[&str]) -> Option<Self> {
        let args = args.iter().map(|arg| (*arg).to_owned()).collect();
        needs("redis-server").then(|| Self::start(Kind::Redis(args)))
    }

    fn start(kind: Kind) -> Self {
        let mut server = Self {
            address: free_address(),
            kind,
            child: None,
        };
        server.begin();
        server
    }

    /// Starts it (again) at its address, empty.
    pub(crate) fn begin(&mut self) {
        let port = self.address.port().to_string();
        let mut command = match &self.kind {
            Kind::Memcached(args) => {
                let mut command = Command::new("memcached");
                // Started by root it wants to be somebody else.
                command.args(["-l", "127.0.0.1", "-p", &port, "-U", "0", "-u", "nobody"]);
                command.args(args);
                command
            }
            Kind::Redis(args) => {
                let mut command = Command::new("redis-server");
                command.args(["--bind", "127.0.0.1", "--port", &port]);
                command.args(["--save", "", "--appendonly", "no"]);
                command.args(args);
                command
            }
        };
        command.stdout(Stdio::null()).stderr(Stdio::null());
        self.child = Some(command.spawn().unwrap());
        let address = self.address;
        eventually(|| TcpStream::connect(address).is_ok(), |there| *there);
    }

    /// As `--progress-cache` takes it.
    pub(crate) fn url(&self) -> String {
        let scheme = match self.kind {
            Kind::Memcached(_) => "memcached",
            Kind::Redis(_) => "redis",
        };
        format!("{scheme}://{}", self.address)
    }

    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(self.child.as_ref().unwrap());
        kill_process(pid, signal).unwrap();
    }

    /// One line asked, one line of memcached's answer.
    pub(crate) fn told(&self, line: &str) -> String {
        let stream = TcpStream::connect(self.address).unwrap();
        (&stream).write_all(line.as_bytes()).unwrap();
        let mut answer = String::new();
        BufReader::new(&stream).read_line(&mut answer).unwrap();
        answer.trim_end().to_owned()
    }

    /// Django's name for whoever reads it, and where that is to look.
    fn read_by(&self, with: &str) -> (String, String) {
        let module = match self.kind {
            Kind::Memcached(_) => "memcached",
            Kind::Redis(_) => "redis",
        };
        let location = match self.kind {
            Kind::Memcached(_) => self.address.to_string(),
            Kind::Redis(_) => self.url(),
        };
        (
            format!("django.core.cache.backends.{module}.{with}"),
            location,
        )
    }

    /// One of Django's caches that reads this server: `PyMemcacheCache`, `PyLibMCCache`, `RedisCache`. `settings` is
    /// what else its entry in `CACHES` says, as JSON. `None` where there is no Django.
    pub(crate) fn django(&self, with: &str, settings: &str) -> Option<DjangoCache> {
        let (backend, location) = self.read_by(with);
        DjangoCache::start(&backend, &location, settings)
    }
}

impl Drop for CacheServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Django in a process of its own, which reads what it is asked for from its default cache.
pub(crate) struct DjangoCache {
    child: Child,
    asks: ChildStdin,
    says: BufReader<ChildStdout>,
}

/// A key a line, the value as JSON; the second word of a line sets the key to that.
const READER: &str = r#"
import json, sys
from django.conf import settings
backend, location, more = sys.argv[1:]
settings.configure(CACHES={"default": {"BACKEND": backend, "LOCATION": location, **json.loads(more)}})
from django.core.cache import cache
for line in sys.stdin:
    key = json.loads(line)
    try:
        print(json.dumps(cache.get(key)), flush=True)
    except Exception as error:
        print(json.dumps({"error": type(error).__name__}), flush=True)
"#;

impl DjangoCache {
    fn start(backend: &str, location: &str, settings: &str) -> Option<Self> {
        let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/django-app/bin/python");
        if !python.is_file() {
            leave_out("target/django-app, which `make target/django-app` makes");
            return None;
        }
        let mut child = Command::new(python)
            .args(["-c", READER, backend, location, settings])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let asks = child.stdin.take().unwrap();
        let says = BufReader::new(child.stdout.take().unwrap());
        Some(Self { child, asks, says })
    }

    /// `cache.get(key)`.
    pub(crate) fn get(&mut self, key: &str) -> Value {
        writeln!(self.asks, "{}", Value::from(key)).unwrap();
        let mut line = String::new();
        self.says.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("Django says {line:?}"))
    }
}

impl Drop for DjangoCache {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Text as it stands in a query.
pub(crate) fn in_query(text: &str) -> String {
    let mut query = String::new();
    for byte in text.bytes() {
        let _ = write!(query, "%{byte:02X}");
    }
    query
}
