//! A real nginx on a free port, in a folder of its own.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::support::eventually;

/// nginx as it runs; ended when dropped.
pub(crate) struct Nginx {
    pub(crate) address: SocketAddr,
    child: Child,
    _folder: TempDir,
}

impl Nginx {
    /// Starts nginx with what `http` writes into the block of that name, told the folder and the address to listen on.
    pub(crate) fn start(http: impl Fn(&Path, SocketAddr) -> String) -> Self {
        Self::start_with("", http)
    }

    /// The same, with further lines in front of all blocks.
    pub(crate) fn start_with(front: &str, http: impl Fn(&Path, SocketAddr) -> String) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // nginx takes no port 0: one that was free a moment ago has to do.
        let address = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let file = write(front, folder.path(), &http(folder.path(), address));
        let mut nginx = nginx(&file);
        let child = nginx.stderr(Stdio::null()).spawn().unwrap();
        eventually(
            || TcpStream::connect(address).is_ok(),
            |connected| *connected,
        );
        Self {
            address,
            child,
            _folder: folder,
        }
    }
}

/// What nginx has against `http` in the block of that name; `None` where it would start.
pub(crate) fn refusal(http: &str) -> Option<String> {
    let folder = tempfile::tempdir().unwrap();
    let file = write("", folder.path(), http);
    let output = nginx(&file).arg("-t").output().unwrap();
    (!output.status.success()).then(|| String::from_utf8_lossy(&output.stderr).into_owned())
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let _ = self.child.wait();
    }
}

/// Writes a whole configuration, with all that nginx writes below `folder`.
fn write(front: &str, folder: &Path, http: &str) -> PathBuf {
    let file = folder.join("nginx.conf");
    let folder = folder.display();
    let text = format!(
        "{front}
daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;
events {{ }}
http {{
    access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    {http}
}}
"
    );
    std::fs::write(&file, text).unwrap();
    file
}

/// nginx with a configuration file; a server's program, which lies where not every user's `PATH` leads.
fn nginx(file: &Path) -> Command {
    let mut nginx = Command::new("nginx");
    nginx.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    nginx.arg("-c").arg(file);
    nginx
}
