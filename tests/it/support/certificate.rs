//! Certificates that nobody trusts by themselves.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::ended::ended;

/// A certificate for 127.0.0.1 that vouches for itself; its key lies beside it.
pub(crate) fn certificate(folder: &Path, name: &str) -> PathBuf {
    let path = folder.join(name).with_extension("pem");
    let mut openssl = Command::new("openssl");
    openssl
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
        ])
        .args(["-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"])
        .args(["-addext", "subjectAltName=IP:127.0.0.1"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .arg("-keyout")
        .arg(path.with_extension("key"))
        .arg("-out")
        .arg(&path);
    let output = ended(&mut openssl);
    assert!(output.status.success(), "{output:?}");
    path
}
