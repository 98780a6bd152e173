//! The servers side by side: each a process of its own on a free port, on the server's processors, below one folder.

use std::fs::{self, File};
use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, process, thread};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process, set_parent_process_death_signal};

use crate::cpus::{Cpus, confine};
use crate::kind::{Kind, Setup};
use crate::usage;

/// How long a server may take to answer its port, and to end when asked.
const PATIENCE: Duration = Duration::from_secs(10);

/// The same program, which becomes `server` by [`become_server`].
fn launcher(cpus: Cpus, server: &Command) -> anyhow::Result<Command> {
    let cpus: Vec<_> = cpus.server.iter().map(usize::to_string).collect();
    let mut command = Command::new(env::current_exe()?);
    command
        .arg("start")
        .arg(cpus.join(","))
        .arg(server.get_program())
        .args(server.get_args());
    for (name, value) in server.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    Ok(command)
}

/// Turns this process into a server that has the processors `cpus` and ends when the benchmark does, however that ends.
pub(crate) fn become_server(cpus: &str, program: &str, arguments: &[String]) -> anyhow::Error {
    let cpus: Result<Vec<_>, _> = cpus.split(',').map(str::parse).collect();
    let ready = cpus
        .map_err(Into::into)
        .and_then(|cpus| confine(&cpus))
        .and_then(|()| Ok(set_parent_process_death_signal(Some(Signal::TERM))?));
    match ready {
        Ok(()) => Command::new(program).args(arguments).exec().into(),
        Err(error) => error,
    }
}

/// A running server. It is stopped when dropped.
pub(crate) struct Server {
    pub(crate) kind: Kind,
    pub(crate) address: SocketAddr,
    pub(crate) folder: PathBuf,
    process: Child,
}

impl Server {
    /// Starts `kind` with an empty folder of its own below `root` and waits until it can be reached.
    pub(crate) fn start(kind: Kind, root: &Path, setup: Setup<'_>) -> anyhow::Result<Self> {
        // What earlier cases left was cut to nothing and stays until the end: see `Server::clear`.
        let mut folder = (0..).map(|n| root.join(format!("{kind:?}-{}-{n}", process::id())));
        let folder = folder.find(|path| !path.exists());
        let folder = folder.context("no free folder")?;
        fs::create_dir_all(&folder)?;
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let server = kind.command(&folder, address, setup)?;
        let mut command = launcher(setup.cpus, &server)?;
        let log = File::create(folder.with_extension("log"))?;
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        let process = command.spawn();
        let process = process.with_context(|| format!("cannot start {command:?}"))?;
        let mut server = Self {
            kind,
            address,
            folder,
            process,
        };
        server.wait_until_it_listens()?;
        Ok(server)
    }

    fn wait_until_it_listens(&mut self) -> anyhow::Result<()> {
        let end = Instant::now() + PATIENCE;
        while TcpStream::connect(self.address).is_err() {
            if Instant::now() > end || self.process.try_wait()?.is_some() {
                bail!("it does not listen: {}", self.report());
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Its name and its last words, for when something has failed.
    pub(crate) fn report(&self) -> String {
        let log = fs::read_to_string(self.folder.with_extension("log")).unwrap_or_default();
        let last: Vec<_> = log.lines().rev().take(5).collect();
        format!("{}: {}", self.kind.name(), last.join(" / "))
    }

    /// Processor seconds that its processes have used so far.
    pub(crate) fn cpu(&self) -> f64 {
        usage::of_tree(self.process.id(), usage::cpu)
    }

    /// Bytes of memory that its processes hold now.
    pub(crate) fn resident(&self) -> f64 {
        usage::of_tree(self.process.id(), usage::resident)
    }

    /// The most bytes of memory that its processes have held.
    pub(crate) fn peak(&self) -> f64 {
        usage::of_tree(self.process.id(), usage::peak)
    }

    /// Frees the room that its files take, and tells how many bytes that were. Files are cut, not deleted: ext4 is
    /// slow to create some near inodes that were deleted in the last minutes, and that would burden whoever comes next.
    pub(crate) fn clear(&self) -> anyhow::Result<u64> {
        cut_files(&self.folder)
    }

    /// Writes and cuts `bytes`, so that the run finds pages of memory that were in use a moment ago: a virtual
    /// machine's memory is slow when it is touched for the first time.
    pub(crate) fn warm(&self, bytes: u64) -> anyhow::Result<()> {
        let mut file = File::create(self.folder.with_extension("warm"))?;
        let block = vec![0; 1 << 20];
        for _ in 0..bytes >> 20 {
            file.write_all(&block)?;
        }
        Ok(file.set_len(0)?)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let end = Instant::now() + PATIENCE;
        if let Some(pid) = Pid::from_raw(self.process.id().cast_signed()) {
            // It may have ended by itself.
            let _ = kill_process(pid, Signal::TERM);
        }
        while Instant::now() < end && matches!(self.process.try_wait(), Ok(None)) {
            thread::sleep(Duration::from_millis(10));
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn cut_files(folder: &Path) -> anyhow::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let (path, data) = (entry.path(), entry.metadata()?);
        // What Dumbwaiter keeps for itself is not ours to cut.
        if data.is_dir() && !path.ends_with(".dumbwaiter") {
            bytes += cut_files(&path)?;
        } else if data.is_file() {
            bytes += data.len();
            File::options().write(true).open(&path)?.set_len(0)?;
        }
    }
    Ok(bytes)
}
