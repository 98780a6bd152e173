//! What is measured: each kind of server, whether it is here, and the command that starts it.

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

use crate::cpus::Cpus;

/// Where Debian puts the module that reports progress.
const NGINX_MODULE: &str = "/usr/lib/nginx/modules/ngx_http_uploadprogress_module.so";

/// A kind of server.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Kind {
    /// The reference receiver of this benchmark.
    Bare,
    /// hyper alone, writing bodies to files.
    Hyper,
    /// axum, multer and `tokio::fs`, as written by hand.
    Axum,
    /// nginx with its upload progress module.
    Nginx,
    /// Django under gunicorn.
    Django,
    /// `@tus/server` with its file store, under Node.
    TusNode,
    /// rustus, a server of tus on actix.
    Rustus,
    /// Dumbwaiter.
    Ours,
    /// Dumbwaiter before Django, which is given each form as it came.
    Before,
}

/// What a server is to be ready for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup<'a> {
    /// Whose processors it has.
    pub(crate) cpus: Cpus,
    /// `close` or `sync`, for those that know the difference.
    pub(crate) durability: &'a str,
    /// Uploads at once.
    pub(crate) at_once: usize,
    /// Where the app is that [`Kind::Before`] stands before.
    pub(crate) app: Option<SocketAddr>,
}

impl Setup<'_> {
    /// Without syncs, for as many uploads as fit without a word.
    pub(crate) fn plain(cpus: Cpus) -> Self {
        Self {
            cpus,
            durability: "close",
            at_once: 1000,
            app: None,
        }
    }
}

impl Kind {
    /// In the order of the tables.
    pub(crate) const ALL: [Self; 9] = [
        Self::Bare,
        Self::Hyper,
        Self::Axum,
        Self::Nginx,
        Self::Django,
        Self::TusNode,
        Self::Rustus,
        Self::Ours,
        Self::Before,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::Hyper => "hyper",
            Self::Axum => "axum + multer",
            Self::Nginx => "nginx",
            Self::Django => "Django",
            Self::TusNode => "@tus/server",
            Self::Rustus => "rustus",
            Self::Ours => "dumbwaiter",
            Self::Before => "dumbwaiter before Django",
        }
    }

    /// What must be installed before it can be started; nothing when it can be.
    pub(crate) fn missing(self) -> Option<String> {
        match self {
            Self::Nginx if !Path::new(NGINX_MODULE).exists() || !runs("nginx", "-v") => Some(
                "nginx with its upload progress module (Debian: nginx libnginx-mod-http-uploadprogress)"
                    .to_owned(),
            ),
            Self::Django | Self::Before if !gunicorn().exists() => {
                Some("Django and gunicorn (`make target/django`)".to_owned())
            }
            Self::TusNode if !tus_node().join("node_modules").exists() || !runs("node", "-v") => {
                Some("Node and @tus/server (`make target/tus`)".to_owned())
            }
            Self::Rustus if !runs(rustus(), "--version") => Some(
                "rustus (`cargo install --locked rustus`, perhaps with `--root target/rustus`)"
                    .to_owned(),
            ),
            _ => None,
        }
    }

    /// The version, as it tells it itself.
    pub(crate) fn version(self) -> Option<String> {
        let mut command = match self {
            Self::Nginx => said("nginx", "-v"),
            Self::Django => {
                let python = gunicorn().with_file_name("python");
                let mut command = Command::new(python);
                command.args(["-c", TELL_VERSIONS]);
                command
            }
            Self::TusNode => {
                let mut command = said("node", "server.mjs");
                command.current_dir(tus_node());
                command
            }
            Self::Rustus => said(rustus(), "--version"),
            _ => return None,
        };
        let output = command.output().ok()?;
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text);
        Some(text.trim().replace("nginx version: nginx/", "nginx "))
    }

    /// The command that serves at `address` and stores below `folder`.
    pub(crate) fn command(
        self,
        folder: &Path,
        address: SocketAddr,
        setup: Setup<'_>,
    ) -> anyhow::Result<Command> {
        let at = address.to_string();
        let mut command = match self {
            Self::Bare | Self::Hyper | Self::Axum => Command::new(env::current_exe()?),
            Self::Nginx => Command::new("nginx"),
            Self::Django => Command::new(gunicorn()),
            Self::TusNode => Command::new("node"),
            Self::Rustus => Command::new(rustus()),
            Self::Ours | Self::Before => Command::new(ours()),
        };
        match self {
            Self::Bare => command.args(["receive", &at]).arg(folder),
            Self::Hyper => command.args(["hyper", &at]).arg(folder),
            Self::Axum => command.args(["axum", &at]).arg(folder),
            Self::Nginx => {
                let file = folder.with_extension("conf");
                fs::write(&file, nginx_conf(folder, &at, setup))?;
                command.args(["-e", "stderr", "-c"]).arg(file)
            }
            Self::Django => django(&mut command, folder, &at)?,
            Self::TusNode => command
                .arg(tus_node().join("server.mjs"))
                .args([&address.ip().to_string(), &address.port().to_string()])
                .arg(folder),
            Self::Rustus => rustus_at(&mut command, folder, address, setup.cpus),
            Self::Ours => command
                .args(["--listen", &at, "--name", "{id}", "--dir"])
                .arg(folder)
                .args(["--durability", setup.durability])
                .args(room_for(setup.at_once)),
            Self::Before => command
                .args(["--listen", &at, "--upload-path", "/upload", "--dir"])
                .arg(folder)
                .args(setup.app.map(|app| format!("--app=http://{app}"))),
        };
        if self == Self::Bare {
            command.arg(setup.durability);
        }
        Ok(command)
    }
}

const TELL_VERSIONS: &str = "import django, gunicorn, platform; \
     print('Django', django.__version__ + ', gunicorn', gunicorn.__version__ + ', Python', platform.python_version())";

fn runs(program: impl AsRef<OsStr>, argument: &str) -> bool {
    said(program, argument)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok()
}

fn said(program: impl AsRef<OsStr>, argument: &str) -> Command {
    let mut command = Command::new(program);
    command.arg(argument);
    command
}

/// Where `make target/django` puts it.
fn gunicorn() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/django/bin/gunicorn")
}

/// Where `make target/tus` puts `tus/server.mjs` and what it needs.
fn tus_node() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tus")
}

/// rustus below `target`, else the one that is found as programs are.
fn rustus() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/rustus/bin/rustus");
    if own.exists() { own } else { "rustus".into() }
}

/// A worker for each processor, and bodies of any size, which it takes whole into memory.
fn rustus_at<'a>(
    command: &'a mut Command,
    folder: &Path,
    address: SocketAddr,
    cpus: Cpus,
) -> &'a mut Command {
    command
        .args(["--host", &address.ip().to_string()])
        .args(["--port", &address.port().to_string()])
        .args(["--workers", &cpus.server.len().to_string()])
        .args(["--max-body-size", &u32::MAX.to_string()])
        .args(["--log-level", "ERROR", "--data-dir"])
        .arg(folder)
        .arg("--info-dir")
        .arg(folder.join("info"))
}

/// The server of this package, or the one that `BENCH_SERVER` names.
fn ours() -> PathBuf {
    env::var_os("BENCH_SERVER")
        .map_or_else(|| env!("CARGO_BIN_EXE_dumbwaiter").into(), PathBuf::from)
}

/// Two workers of gunicorn's usual kind, which take a request each. The view is in `django/app.py`.
fn django<'a>(
    command: &'a mut Command,
    folder: &Path,
    at: &str,
) -> anyhow::Result<&'a mut Command> {
    fs::create_dir_all(folder.join("tmp"))?;
    let app = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/throughput/django");
    Ok(command
        .args(["--bind", at, "--workers", "2", "--timeout", "300"])
        .args(["--log-level", "error", "--chdir"])
        .arg(app)
        .arg("app:application")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("PICTURES", folder))
}

/// Flags for more uploads at once than the defaults allow; none when these do.
fn room_for(uploads: usize) -> Vec<String> {
    const DEFAULT: usize = 2000;
    let most = [
        "--max-uploads",
        "--max-uploads-per-address",
        "--max-unfinished",
    ];
    let flags = most.map(|flag| format!("{flag}={uploads}"));
    if uploads > DEFAULT {
        flags.into()
    } else {
        Vec::new()
    }
}

fn nginx_conf(folder: &Path, address: &str, setup: Setup<'_>) -> String {
    // An upload has a connection, and two more while nginx asks itself as the app behind.
    let connections = (3 * setup.at_once).clamp(8192, 20_000);
    include_str!("nginx.conf")
        .replace("WORKERS", &setup.cpus.server.len().to_string())
        .replace("CONNECTIONS", &connections.to_string())
        .replace("ADDRESS", address)
        .replace("DATA", &folder.display().to_string())
        .replace("RUN", &folder.with_extension("run").display().to_string())
        .replace("MODULE", NGINX_MODULE)
}
