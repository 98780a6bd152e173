//! The real binary on a free port, and raw sockets to talk to it.

#![allow(dead_code, reason = "each test file uses its own part")]

pub(crate) mod app;
pub(crate) mod cache;
pub(crate) mod certificate;
pub(crate) mod ended;
pub(crate) mod killed;
pub(crate) mod line;
pub(crate) mod logged;
pub(crate) mod needs;
pub(crate) mod nginx;
pub(crate) mod pieces;
pub(crate) mod talk;
pub(crate) mod terminal;
pub(crate) mod tmpfs;
pub(crate) mod traced;
pub(crate) mod tus;

use std::fs::Permissions;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// A running server with a folder of its own; it is killed when dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) dir: PathBuf,
    /// All that it said at its start.
    pub(crate) words: String,
    child: Child,
    _folder: Option<TempDir>,
}

impl Server {
    /// Starts the binary with further arguments, in a new folder.
    pub(crate) fn start(args: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut server = Self::start_in(&folder.path().join("uploads"), args);
        server._folder = Some(folder);
        server
    }

    /// Starts the binary on a folder that may hold something already.
    pub(crate) fn start_in(dir: &Path, args: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dumbwaiter"));
        // A line for each upload would drown what a failed test has to say.
        command.env("DUMBWAITER_LOG", "warn");
        Self::start_by(command, dir, args)
    }

    /// Starts the binary by way of another command, a tracer say, whose last arguments it becomes.
    pub(crate) fn start_by(mut command: Command, dir: &Path, args: &[&str]) -> Self {
        command
            // "a" is what the requests of these tests call the server.
            .args(["--listen", "127.0.0.1:0", "--host", "a", "--dir"])
            .arg(dir)
            .args(args);
        Self::start_as_told(command, dir)
    }

    /// Starts the binary by a command that says all: a free port to listen on, and that it is to store in `dir`.
    pub(crate) fn start_as_told(mut command: Command, dir: &Path) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        said.read_line(&mut line).unwrap();
        // It is said at once, and a pipe keeps together what is.
        let words = format!("{line}{}", String::from_utf8_lossy(said.buffer()));
        let address = line
            .trim()
            .rsplit("http://")
            .next()
            .unwrap()
            .split('/')
            .next()
            .unwrap();
        let address = address
            .parse()
            .unwrap_or_else(|_| panic!("the first line names no address: {line:?}"));
        Self {
            address,
            dir: dir.to_owned(),
            words,
            child,
            _folder: None,
        }
    }

    /// The process's id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Where the listener is of which the greeting says that it serves `path`: `/uploads`, `/metrics`.
    pub(crate) fn beside(&self, path: &str) -> SocketAddr {
        let urls = self.words.split("http://").skip(1);
        let addresses = urls.filter_map(|url| url.split_once(path).map(|(address, _)| address));
        addresses
            .filter_map(|address| address.parse().ok())
            .next()
            .unwrap_or_else(|| panic!("no listener for {path}: {}", self.words))
    }

    /// The admin token that was made up at the start.
    pub(crate) fn token(&self) -> &str {
        let (_, token) = self.words.split_once("the token ").unwrap();
        token.lines().next().unwrap()
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(self.pid().try_into().unwrap()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Waits until the process has ended by itself, for ten seconds at most.
    pub(crate) fn ends(&mut self) -> std::process::ExitStatus {
        eventually(|| self.child.try_wait().unwrap(), Option::is_some).unwrap()
    }

    /// Ends the process at once, as the kernel would.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Waits until the process has ended by itself.
    pub(crate) fn wait(&mut self) -> std::process::ExitStatus {
        self.child.wait().unwrap()
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        stream
    }

    /// Sends a whole request and reads the whole answer.
    pub(crate) fn send(&self, request: &[u8]) -> Reply {
        let mut stream = self.connect();
        stream.write_all(request).unwrap();
        Reply::read(&mut stream)
    }

    pub(crate) fn get(&self, target: &str) -> Reply {
        self.get_with(target, "")
    }

    /// GET with further header lines, each ending in CRLF.
    pub(crate) fn get_with(&self, target: &str, headers: &str) -> Reply {
        self.send(format!("GET {target} HTTP/1.1\r\nHost: a\r\n{headers}\r\n").as_bytes())
    }

    /// POST of a form whose boundary is `b`.
    pub(crate) fn post(&self, target: &str, headers: &str, body: &[u8]) -> Reply {
        self.send(&post(target, headers, body))
    }

    /// What stands in the server's folder, its own state left out; paths below it, sorted.
    pub(crate) fn files(&self) -> Vec<String> {
        files(&self.dir)
    }

    /// What is left over among the files under way.
    pub(crate) fn under_way(&self) -> Vec<String> {
        files(&self.dir.join(".dumbwaiter/tmp"))
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.dir.join(name))
            .unwrap_or_else(|e| panic!("{name}: {e}; there are {:?}", self.files()))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A client at another of the loopback's addresses.
pub(crate) fn connect_from(server: SocketAddr, last: u8) -> TcpStream {
    use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    let from = SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), 0));
    bind(&socket, &from).unwrap();
    connect(&socket, &server).unwrap();
    TcpStream::from(socket)
}

/// Sends a whole request to any listener and reads the whole answer.
pub(crate) fn ask(address: SocketAddr, request: &str) -> Reply {
    let mut stream = TcpStream::connect(address).unwrap();
    let patience = Some(Duration::from_secs(20));
    stream.set_read_timeout(patience).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    Reply::read(&mut stream)
}

/// A request without a body to any listener, under a name that every listener answers to.
pub(crate) fn ask_for(address: SocketAddr, method: &str, path: &str, token: Option<&str>) -> Reply {
    let token = token
        .map(|token| format!("Authorization: Bearer {token}\r\n"))
        .unwrap_or_default();
    ask(
        address,
        &format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n{token}\r\n"),
    )
}

/// A file that no other user of the machine may read, as a file of tokens must be.
pub(crate) fn write_for_us_alone(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
}

/// The bytes of a POST whose form has the boundary `b`.
pub(crate) fn post(target: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let mut request = format!(
        "POST {target} HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: {}\r\n{headers}\r\n",
        body.len()
    )
    .into_bytes();
    request.extend_from_slice(body);
    request
}

/// One part of a form whose boundary is `b`: a file when `filename` is given.
pub(crate) fn part(name: &str, filename: Option<&str>, content: &[u8]) -> Vec<u8> {
    let filename = filename
        .map(|f| format!("; filename=\"{f}\"\r\nContent-Type: image/jpeg"))
        .unwrap_or_default();
    let mut part =
        format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"{filename}\r\n\r\n")
            .into_bytes();
    part.extend_from_slice(content);
    part.extend_from_slice(b"\r\n");
    part
}

/// A whole form with the boundary `b`.
pub(crate) fn form(parts: &[Vec<u8>]) -> Vec<u8> {
    [parts.concat(), b"--b--\r\n".to_vec()].concat()
}

/// Bytes that are the same in every run and look like none of our delimiters for long.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        bytes.extend_from_slice(&next());
    }
    bytes.truncate(length);
    bytes
}

/// The answer to an upload of one `x` under a hostile name: it is stored, in the folder itself, under a name that hides
/// nothing.
pub(crate) fn stays_inside(server: &Server, reply: &Reply, hostile: &str) {
    assert_eq!(reply.status, 201, "{hostile:?}: {reply:?}");
    let record = reply.json();
    let name = record["files"][0]["name"].as_str().unwrap();
    assert_eq!(server.read(name), b"x", "{hostile:?} became {name:?}");
    assert!(
        !name.contains(['/', '\\', '\0', '\r', '\u{202e}']) && !name.starts_with('.'),
        "{hostile:?} became {name:?}"
    );
}

/// An answer as it came off the wire.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    /// Reads one answer, by its Content-Length, its chunks or the end of the connection.
    pub(crate) fn read(stream: &mut TcpStream) -> Self {
        Self::try_read(stream).unwrap()
    }

    /// The same, where the server may vanish under way.
    pub(crate) fn try_read(stream: &mut TcpStream) -> io::Result<Self> {
        Self::next(&mut BufReader::new(stream))
    }

    /// Reads the answer behind all that say how far the upload is (104).
    pub(crate) fn last(stream: &mut TcpStream) -> Self {
        let mut reader = BufReader::new(stream);
        loop {
            let reply = Self::next(&mut reader).unwrap();
            if reply.status != 104 {
                return reply;
            }
        }
    }

    /// Reads the next answer of several on one connection, an interim one too.
    pub(crate) fn next(reader: &mut impl BufRead) -> io::Result<Self> {
        let mut reply = Self::head_of(reader)?;
        if let Some(length) = reply.header("content-length") {
            reply.body.resize(length.parse().unwrap(), 0);
            reader.read_exact(&mut reply.body)?;
        } else if reply.header("transfer-encoding").is_some() {
            reply.body = chunks(reader)?;
        } else if !matches!(reply.status, 100..200 | 204 | 304) {
            reader.read_to_end(&mut reply.body)?;
        }
        Ok(reply)
    }

    /// Reads an answer to HEAD, which has no body whatever its fields say; an interim answer, too.
    pub(crate) fn read_head(stream: &mut TcpStream) -> Self {
        Self::head(stream).unwrap()
    }

    /// The same, where the server may vanish under way.
    pub(crate) fn head(stream: &mut TcpStream) -> io::Result<Self> {
        Self::head_of(&mut BufReader::new(stream))
    }

    pub(crate) fn head_of(reader: &mut impl BufRead) -> io::Result<Self> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head)? == 0 {
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    format!("within the head: {head:?}"),
                ));
            }
        }
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Ok(Self {
            status,
            head,
            body: Vec::new(),
        })
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines
            .filter(|(given, _)| given.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
            .next()
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|e| panic!("{e}: {}\n{}", self.head, self.text()))
    }
}

fn chunks(reader: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut size = String::new();
        reader.read_line(&mut size)?;
        let size = usize::from_str_radix(size.trim(), 16)
            .map_err(|_| io::Error::new(io::ErrorKind::UnexpectedEof, "within the chunks"))?;
        let from = body.len();
        body.resize(from + size, 0);
        reader.read_exact(&mut body[from..])?;
        reader.read_line(&mut String::new())?;
        if size == 0 {
            return Ok(body);
        }
    }
}

/// Asks again until the answer is the one that is waited for; fails after half a minute with the last answer. That a
/// silent watcher has gone is seen with the next comment, after 15 s at most.
pub(crate) fn eventually<T: std::fmt::Debug>(
    mut ask: impl FnMut() -> T,
    fits: impl Fn(&T) -> bool,
) -> T {
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        let answer = ask();
        if fits(&answer) {
            return answer;
        }
        assert!(Instant::now() < end, "still {answer:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// What stands in a folder, a store's own state left out; paths below it, sorted.
pub(crate) fn files(dir: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten() {
            let entry = entry.unwrap();
            if entry.file_name() == ".dumbwaiter" {
                continue;
            }
            match entry.file_type().unwrap().is_dir() {
                true => folders.push(entry.path()),
                false => found.push(
                    entry
                        .path()
                        .strip_prefix(dir)
                        .unwrap()
                        .to_str()
                        .unwrap()
                        .to_owned(),
                ),
            }
        }
    }
    found.sort();
    found
}
