//! A page of one's own: the files of a folder, read once into memory and served in place of ours.
//!
//! ```text
//! page/index.html       /  and /index.html
//! page/app.js           /app.js
//! page/help/index.html  /help/  and /help/index.html; /help leads there
//! ```
//!
//! Nothing of the folder is looked at again: what is asked for is found in a map, so that the threads which answer never
//! touch a disk and no path that a client writes reaches one.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use http::Response;
use percent_encoding::percent_decode_str;

mod folder;
mod media_type;

use folder::Reader;

/// What a page cannot say of itself: a `<meta>` cannot forbid that others frame it (CSP3, "The meta element"). All else
/// is its author's to allow, so our own page's policy is not forced upon it.
const POLICY: &str = "frame-ancestors 'self'";

/// What stands for a folder, as everywhere on the web.
const INDEX: &str = "index.html";

/// First parts of paths that are the server's own.
const TAKEN: [&str; 6] = [
    "upload",
    "files",
    "filepond",
    "uploads",
    "progress",
    "get_upload_progress",
];

/// How much is taken in of a folder.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SiteLimits {
    /// Most files and folders; 1,000 unless said.
    pub files: usize,
    /// Most bytes in all files together, which stay in memory; 16 MiB unless said.
    pub bytes: u64,
}

impl Default for SiteLimits {
    fn default() -> Self {
        Self {
            files: 1_000,
            bytes: 16 << 20,
        }
    }
}

/// The files of a folder, in memory: what [`Dumbwaiter::page_from`](crate::Dumbwaiter::page_from) serves in place of our
/// page.
///
/// ```
/// use dumbwaiter::{Dumbwaiter, Site, store::Memory};
///
/// # fn main() -> Result<(), dumbwaiter::SiteError> {
/// # let folder = tempfile::tempdir().unwrap();
/// # std::fs::write(folder.path().join("index.html"), "<!doctype html>").unwrap();
/// # let page = folder.path();
/// let lift = Dumbwaiter::new(Memory::default()).page_from(Site::open(page)?);
/// # drop(lift); Ok(()) }
/// ```
pub struct Site {
    /// By path, with a leading slash and without percent-encoding; that of a folder ends in a slash.
    files: HashMap<String, File>,
}

#[derive(Clone)]
struct File {
    content_type: &'static str,
    bytes: Bytes,
}

impl Site {
    /// Reads `folder` and the folders in it, within the default [`SiteLimits`].
    ///
    /// # Errors
    /// As [`Site::open_with`].
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, SiteError> {
        Self::open_with(folder, SiteLimits::default())
    }

    /// Reads `folder` and the folders in it. What is hidden (`.git`, `.env`) is left out.
    ///
    /// # Errors
    /// When something cannot be read, is a link or neither file nor folder, has a name that is no UTF-8 or would stand
    /// at one of the server's own paths, when there is no `index.html`, or more than `limits` allow.
    pub fn open_with(folder: impl AsRef<Path>, limits: SiteLimits) -> Result<Self, SiteError> {
        let read = Reader::new(folder.as_ref(), limits).read()?;
        let mut files = HashMap::new();
        for (path, bytes) in read {
            let content_type = media_type::of(&path);
            let file = File {
                content_type,
                bytes,
            };
            if let Some(folder) = path.strip_suffix(INDEX).filter(|path| path.ends_with('/')) {
                files.insert(folder.to_owned(), file.clone());
            }
            files.insert(path, file);
        }
        match files.contains_key("/") {
            true => Ok(Self { files }),
            false => Err(SiteError::NoIndex),
        }
    }

    /// Whether something stands at `path`, written as a request writes it.
    pub(super) fn holds(&self, path: &str) -> bool {
        decoded(path).is_some_and(|path| self.files.contains_key(&path) || self.leads_on(&path))
    }

    /// What stands at `path`.
    pub(super) fn get(
        &self,
        path: &str,
        query: Option<&str>,
        base: &str,
    ) -> Option<Response<Bytes>> {
        let name = decoded(path)?;
        match self.files.get(&name) {
            Some(file) => Some(super::asset(file.content_type, POLICY, file.bytes.clone())),
            None if self.leads_on(&name) => {
                Some(super::with_slash(&format!("{base}{path}"), query))
            }
            None => None,
        }
    }

    /// Whether it is a folder without its slash: that leads to the one with it, to which its page's links are relative.
    fn leads_on(&self, name: &str) -> bool {
        !name.is_empty() && self.files.contains_key(&format!("{name}/"))
    }
}

impl fmt::Debug for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut paths: Vec<_> = self.files.keys().collect();
        paths.sort();
        f.debug_tuple("Site").field(&paths).finish()
    }
}

fn decoded(path: &str) -> Option<String> {
    let path = percent_decode_str(path).decode_utf8().ok()?;
    Some(path.into_owned())
}

/// A folder that cannot be served, with the reason. The paths are below that folder.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SiteError {
    /// It, or something in it, cannot be read.
    #[error("{} cannot be read", named(path))]
    Unreadable {
        /// What; empty for the folder itself.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is nothing to show at `/`.
    #[error("it has no index.html")]
    NoIndex,
    /// A symbolic link, which could lead anywhere.
    #[error("{} is a link: put a copy in its place", path.display())]
    Link {
        /// What.
        path: PathBuf,
    },
    /// A socket, a pipe or a device.
    #[error("{} is neither a file nor a folder", path.display())]
    NotAFile {
        /// What.
        path: PathBuf,
    },
    /// A name that no URL could be made of.
    #[error("the name of {} is not UTF-8", path.display())]
    NotUtf8 {
        /// What.
        path: PathBuf,
    },
    /// It would stand where uploads are sent, watched or read back.
    #[error("{} would stand at /{taken}, which is the server's own path: rename it", path.display())]
    Taken {
        /// What.
        path: PathBuf,
        /// The path's first part.
        taken: &'static str,
    },
    /// There are more files and folders than [`SiteLimits::files`].
    #[error("it has more than {limit} files and folders")]
    TooMany {
        /// As many may be.
        limit: usize,
    },
    /// The files are larger than [`SiteLimits::bytes`].
    #[error("its files have more than {limit} bytes together")]
    TooLarge {
        /// As many may be.
        limit: u64,
    },
}

fn named(path: &Path) -> Cow<'_, str> {
    match path.as_os_str().is_empty() {
        true => "it".into(),
        false => path.to_string_lossy(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(files: &[(&str, &str)]) -> (tempfile::TempDir, Result<Site, SiteError>) {
        site_with(files, SiteLimits::default())
    }

    fn site_with(
        files: &[(&str, &str)],
        limits: SiteLimits,
    ) -> (tempfile::TempDir, Result<Site, SiteError>) {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let site = Site::open_with(folder.path(), limits);
        (folder, site)
    }

    #[test]
    fn a_folder_is_found_by_every_way_to_write_its_paths() {
        let (_folder, site) = site(&[
            ("index.html", "home"),
            ("a b/料理.txt", "dish"),
            ("help/index.html", "help"),
            ("help/myindex.html", "mine"),
        ]);
        let site = site.unwrap();
        let body = |path: &str| site.get(path, None, "/up").map(Response::into_body);
        for (path, text) in [
            ("/", Some("home")),
            ("/index.html", Some("home")),
            ("/%69ndex.html", Some("home")),
            ("/a%20b/%E6%96%99%E7%90%86.txt", Some("dish")),
            ("/a%20b%2F%E6%96%99%E7%90%86.txt", Some("dish")),
            ("/help/", Some("help")),
            ("/help/myindex.html", Some("mine")),
            ("/help", Some("")),
            ("/a%20b", None),
            ("/a%20b/", None),
            ("/help//", None),
            ("//index.html", None),
            ("/../index.html", None),
            ("/%FF", None),
            ("", None),
        ] {
            assert_eq!(body(path).as_deref(), text.map(str::as_bytes), "{path}");
            assert_eq!(site.holds(path), text.is_some(), "{path}");
        }
        let leads = site.get("/help", None, "/up").unwrap();
        assert_eq!(leads.headers()["location"], "/up/help/");
    }

    #[test]
    fn what_is_hidden_is_left_out_and_does_not_count() {
        let limits = SiteLimits { files: 1, bytes: 4 };
        let (_folder, site) = site_with(
            &[
                ("index.html", "home"),
                (".env", "secret"),
                (".git/config", "x"),
            ],
            limits,
        );
        let site = site.unwrap();
        assert!(!site.holds("/.env") && !site.holds("/.git/config"));
        assert_eq!(format!("{site:?}"), r#"Site(["/", "/index.html"])"#);
    }

    #[test]
    fn at_a_limit_passes_and_one_more_does_not() {
        let files = [("index.html", "home"), ("js/a.js", "12")];
        let open = |files_: usize, bytes: u64| {
            let limits = SiteLimits {
                files: files_,
                bytes,
            };
            site_with(&files, limits).1.map_err(|e| e.to_string())
        };
        assert!(open(3, 6).is_ok());
        assert_eq!(
            open(2, 6).unwrap_err(),
            "it has more than 2 files and folders"
        );
        assert_eq!(
            open(3, 5).unwrap_err(),
            "its files have more than 5 bytes together"
        );
    }

    #[test]
    fn a_name_of_the_servers_own_is_refused_wherever_it_would_hide_something() {
        for taken in TAKEN {
            for path in [taken.to_owned(), format!("{taken}/a.txt")] {
                let (_folder, site) = site(&[("index.html", ""), (&path, "")]);
                let words = site.unwrap_err().to_string();
                assert!(words.starts_with(taken), "{words}");
                assert!(words.contains(&format!("stand at /{taken},")), "{words}");
            }
            let (_folder, site) = site(&[
                ("index.html", ""),
                (&format!("sub/{taken}"), ""),
                (&format!("{taken}.html"), ""),
            ]);
            assert!(site.is_ok(), "{taken}");
        }
    }
}
