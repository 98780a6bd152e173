//! The secret link: 128 random bits in the path, so that whoever has the link may upload and nobody else finds it.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use anyhow::Context as _;
use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;

use crate::upload::UploadId;

/// Where it is kept, so that a link once given works after a restart; deleting the file makes a new one.
const FILE: &str = ".dumbwaiter/secret-link";

/// The link's secret part, kept beside the files in `dir`; made where there is none yet.
pub(super) fn open(dir: &Path) -> anyhow::Result<String> {
    let path = dir.join(FILE);
    read_or_make(&path)
        .with_context(|| format!("cannot keep the secret link in {}", path.display()))
}

/// No other process makes one at the same time: the store's lock keeps a second server out of the folder.
fn read_or_make(path: &Path) -> anyhow::Result<String> {
    if !path.try_exists()? {
        make(path, &UploadId::random().to_string())?;
    }
    read(path)
}

/// Whole under its name or not at all: a link once printed must not be another after a crash.
fn make(path: &Path, secret: &str) -> std::io::Result<()> {
    let under_way = path.with_extension("new");
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&under_way)?;
    file.write_all(secret.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&under_way, path)?;
    path.parent()
        .map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

fn read(path: &Path) -> anyhow::Result<String> {
    const OTHERS: u32 = 0o077;
    let file = File::open(path)?;
    let mode = file.metadata()?.permissions().mode();
    anyhow::ensure!(
        mode & OTHERS == 0,
        "other users may read it: chmod 600, or delete it for a new link"
    );
    let mut text = String::new();
    file.take(1024).read_to_string(&mut text)?;
    let secret: Result<UploadId, _> = text.trim().parse();
    Ok(secret
        .context("it holds no link: delete it for a new one")?
        .to_string())
}

/// The link as a picture of text that a phone's camera reads: `None` for one that is too long.
pub(super) fn qr(url: &str) -> Option<String> {
    let code = QrCode::new(url).ok()?;
    // Inverted: most terminals are dark, and a code must be dark on light.
    let light = Dense1x2::Dark;
    Some(
        code.render::<Dense1x2>()
            .dark_color(Dense1x2::Light)
            .light_color(light)
            .build(),
    )
}

/// An address that others can reach, where `bound` is all of this machine's.
pub(super) fn reachable(bound: SocketAddr) -> SocketAddr {
    if !bound.ip().is_unspecified() {
        return bound;
    }
    let seen = seen_from(bound.ip());
    SocketAddr::new(seen.unwrap_or(bound.ip()), bound.port())
}

/// The address that packets to far away would carry; none is sent. (RFC 5737 and 3849: addresses that are nobody's.)
fn seen_from(any: IpAddr) -> Option<IpAddr> {
    let outward = |any: IpAddr, far: IpAddr| {
        let socket = UdpSocket::bind((any, 0)).ok()?;
        socket.connect((far, 9)).ok()?;
        socket.local_addr().ok().map(|address| address.ip())
    };
    let v4 = outward(
        Ipv4Addr::UNSPECIFIED.into(),
        Ipv4Addr::new(192, 0, 2, 1).into(),
    );
    let v6 = || outward(any, Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into());
    v4.or_else(v6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_made_once_and_kept_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join(".dumbwaiter")).unwrap();
        let secret = open(folder.path()).unwrap();
        assert_eq!(secret.len(), 32);
        assert_eq!(open(folder.path()).unwrap(), secret);
        let path = folder.path().join(FILE);
        let mode =
            |mode| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        mode(0o640);
        assert!(format!("{:#}", open(folder.path()).unwrap_err()).contains("chmod 600"));
        mode(0o600);
        std::fs::write(&path, "../up").unwrap();
        assert!(format!("{:#}", open(folder.path()).unwrap_err()).contains("delete it"));
    }

    #[test]
    fn a_code_is_drawn_of_a_link_and_its_address_is_one_to_go_to() {
        let code = qr("http://192.0.2.1:7070/00112233445566778899aabbccddeeff/").unwrap();
        assert!(code.lines().count() > 10 && code.contains('█'), "{code}");
        let bound = "192.0.2.1:80".parse().unwrap();
        assert_eq!(reachable(bound), bound);
        assert_eq!(reachable("0.0.0.0:80".parse().unwrap()).port(), 80);
    }
}
