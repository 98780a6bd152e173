//! The binary on a terminal of its own: what it draws is read as a person would see it, and keys are pressed.

use std::fs::File;
use std::io::{Read, Write};
use std::num::NonZero;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use super::eventually;

/// The most screens that are remembered.
const MOST_SCREENS: usize = 10_000;

/// A process and the terminal on which it runs; it is killed when dropped.
pub(crate) struct Terminal {
    child: Child,
    master: File,
    seen: Arc<Mutex<Seen>>,
    reader: Option<JoinHandle<()>>,
}

struct Seen {
    parser: vt100::Parser,
    /// Each screen that differs from the one before.
    screens: Vec<String>,
    bytes: Vec<u8>,
}

/// The binary with `args`, told nothing by this test's own environment.
pub(crate) fn dumbwaiter(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dumbwaiter"));
    command.args(args);
    command
}

impl Terminal {
    /// Runs `command` on a terminal of so many rows and columns.
    pub(crate) fn run(command: &Command, rows: u16, columns: u16) -> Self {
        let master =
            openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let peer = ioctl_tiocgptpeer(&master, OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        tcsetwinsize(&peer, size(rows, columns)).unwrap();
        let child = on_terminal(command, &peer);
        drop(peer);
        let master = File::from(master);
        let seen = Arc::new(Mutex::new(Seen {
            parser: vt100::Parser::new(some(rows), some(columns), 0),
            screens: Vec::new(),
            bytes: Vec::new(),
        }));
        let reader = read(master.try_clone().unwrap(), Arc::clone(&seen));
        Self {
            child,
            master,
            seen,
            reader: Some(reader),
        }
    }

    /// Waits until the screen is such, and gives it: its rows without the blanks at their ends.
    pub(crate) fn shows(&self, is_such: impl Fn(&str) -> bool) -> String {
        eventually(|| self.screen(), |screen| is_such(screen))
    }

    pub(crate) fn screen(&self) -> String {
        self.seen.lock().unwrap().text()
    }

    /// All screens so far, each of them once for as long as it stood.
    pub(crate) fn screens(&self) -> Vec<String> {
        self.seen.lock().unwrap().screens.clone()
    }

    /// All that was written to it.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.seen.lock().unwrap().bytes.clone()
    }

    /// Whether the cursor can be seen, and its row and column.
    pub(crate) fn cursor(&self) -> (bool, (u16, u16)) {
        let seen = self.seen.lock().unwrap();
        let screen = seen.parser.screen();
        (!screen.hide_cursor(), screen.cursor_position())
    }

    /// Presses keys: `\x03` is Ctrl-C.
    pub(crate) fn press(&mut self, keys: &[u8]) {
        self.master.write_all(keys).unwrap();
    }

    /// Makes the terminal another size.
    pub(crate) fn resize(&self, rows: u16, columns: u16) {
        let mut seen = self.seen.lock().unwrap();
        seen.parser.screen_mut().set_size(some(rows), some(columns));
        tcsetwinsize(&self.master, size(rows, columns)).unwrap();
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until the process has ended by itself and all that it wrote is read.
    pub(crate) fn ends(&mut self) -> ExitStatus {
        let status = eventually(|| self.child.try_wait().unwrap(), Option::is_some).unwrap();
        self.reader.take().unwrap().join().unwrap();
        status
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Seen {
    fn take(&mut self, bytes: &[u8]) {
        self.parser.process(bytes);
        self.bytes.extend_from_slice(bytes);
        let text = self.text();
        if self.screens.last() != Some(&text) && self.screens.len() < MOST_SCREENS {
            self.screens.push(text);
        }
    }

    fn text(&self) -> String {
        let screen = self.parser.screen();
        let (_, columns) = screen.size();
        let rows: Vec<_> = screen
            .rows(0, columns.get())
            .map(|row| row.trim_end().to_owned())
            .collect();
        rows.join("\n").trim_end().to_owned()
    }
}

/// Starts `command` as a shell would, which `setsid` has to do: Ctrl-C reaches it alone.
fn on_terminal(command: &Command, peer: &OwnedFd) -> Child {
    let stdio = || Stdio::from(peer.try_clone().unwrap());
    let mut session = Command::new("setsid");
    session
        .arg("--ctty")
        .arg(command.get_program())
        .args(command.get_args())
        .env("TERM", "xterm-256color")
        .env_remove("NO_COLOR")
        .stdin(stdio())
        .stdout(stdio())
        .stderr(stdio());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => session.env(name, value),
            None => session.env_remove(name),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        session.current_dir(folder);
    }
    session.spawn().unwrap()
}

/// Reads until nobody has the terminal open any more, which the kernel says by an error.
fn read(mut master: File, seen: Arc<Mutex<Seen>>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let mut bytes = [0; 4096];
        while let Ok(read @ 1..) = master.read(&mut bytes) {
            seen.lock().unwrap().take(&bytes[..read]);
        }
    })
}

fn some(count: u16) -> NonZero<u16> {
    NonZero::new(count).expect("a terminal has room")
}

fn size(rows: u16, columns: u16) -> Winsize {
    Winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    }
}
