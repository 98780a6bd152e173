//! Programs that end by themselves, or the test fails: a server that should have refused its options would serve for ever.

use std::io::Read;
use std::process::{Child, Command, Output, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long a program may take that only says something.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the program said, once it has ended. One that is still there after [`PATIENCE`] is killed, and the test fails.
pub(crate) fn ended(command: &mut Command) -> Output {
    ended_within(command, PATIENCE)
}

fn ended_within(command: &mut Command, patience: Duration) -> Output {
    let command = command.stdin(Stdio::null());
    let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut running = Running(command.spawn().unwrap());
    let stdout = read(running.0.stdout.take().unwrap());
    let stderr = read(running.0.stderr.take().unwrap());
    let end = Instant::now() + patience;
    let status = loop {
        if let Some(status) = running.0.try_wait().unwrap() {
            break status;
        }
        if Instant::now() >= end {
            drop(running);
            let [out, err] = [stdout, stderr].map(|said| text(&said.join().unwrap()));
            panic!("it still ran after {patience:?}: {command:?}\n{out}{err}");
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let [stdout, stderr] = [stdout, stderr].map(|said| said.join().unwrap());
    Output {
        status,
        stdout,
        stderr,
    }
}

/// A program that is killed when nobody waits for it any more.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// All that comes out of a pipe, read beside the program, which would wait for a full one.
fn read(mut pipe: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut said = Vec::new();
        pipe.read_to_end(&mut said).unwrap();
        said
    })
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
#[should_panic(expected = "it still ran after")]
fn a_server_that_starts_where_it_should_refuse_fails_the_test() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Command::new(env!("CARGO_BIN_EXE_dumbwaiter"));
    server.args(["--listen", "127.0.0.1:0", "--dir"]);
    ended_within(server.arg(folder.path()), Duration::from_millis(500));
}
