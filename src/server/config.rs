//! What the server is told: each field of [`Config`] is a flag, an environment variable and a key of the file.
//!
//! The fields are the one definition of all options. Names, help, defaults and value rules come from here, whichever
//! way a value is given; [`Config::load`] puts the ways in order.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::ArgPredicate;
use clap::{Parser, Subcommand};
use tracing::level_filters::LevelFilter;

use crate::app::Pattern;
use crate::hand_off::Give;
use crate::handlers::{Algorithm, TypePattern};
use crate::mirror::{CacheUrl, KeyTemplate, part_of_a_key};
use crate::name::{OnConflict, Template};
use crate::net::Upstream;
use crate::rights::{AllowOrigin, Forwarding, HostName, Network};
use crate::server::clients::{SendArgs, WatchArgs};
use crate::server::tickets::TicketArgs;
use crate::server::units::{
    address_or_off, base, boundary, count, count_or_auto, head_fields, head_size, page, part_head,
    size, size_or_none, statuses, threads, threads_or_cpus, time, time_above_zero, time_or_none,
    words,
};
use crate::store::Durability;
use crate::watch::{PollUnknown, ProgressFormat};

/// The upload side of any web app: takes files, shows how far each has come, hands them over
#[derive(Clone, Debug, Parser)]
#[command(
    name = "dumbwaiter",
    version,
    disable_help_subcommand = true,
    after_help = "Each option is also an environment variable (--max-fields: DUMBWAITER_MAX_FIELDS) and a key of \
        the TOML file named by --config (max-fields = 1000).\nA flag wins over the environment, that over the file, \
        that over the default.\nSizes: 4096, 10MB, 10MiB. Times: 500ms, 30s, 5m, 1h, 30d."
)]
pub struct Config {
    /// Address and port to serve on; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7070", help_heading = SERVING)]
    pub listen: SocketAddr,

    /// Path under which all URLs stand; empty is the root; with --app it is /_dumbwaiter unless said
    #[arg(long, value_name = "PATH", default_value = "/", value_parser = base, help_heading = SERVING,
        default_value_if("app", ArgPredicate::IsPresent, "/_dumbwaiter"))]
    pub base: String,

    /// Whether stored files can be read back at /files/ID; with --app it is off unless said
    #[arg(long, value_name = "WORD", default_value = "on", default_value_if("app", ArgPredicate::IsPresent, "off"), value_parser = words(&[("on", true), ("off", false)]),
        action = clap::ArgAction::Set, help_heading = SERVING)]
    pub downloads: bool,

    /// What is at /: our page, nothing, or the files of a folder, read once at start, with its index.html
    #[arg(long, value_name = "FOLDER", default_value = "on", value_parser = page, help_heading = SERVING)]
    pub page: PageChoice,

    /// Most files and folders in the folder that --page names
    #[arg(long, value_name = "N", default_value = "1000", value_parser = count, help_heading = SERVING)]
    pub max_page_files: usize,

    /// Most bytes in all of its files, which stay in memory
    #[arg(long, value_name = "SIZE", default_value = "16MiB", value_parser = size, help_heading = SERVING)]
    pub max_page_size: u64,

    /// The app behind, by its http, https or unix address; what is not ours goes to it
    #[arg(long, value_name = "URL", help_heading = APP)]
    pub(crate) app: Option<Upstream>,

    /// Paths of the app at which forms are received here and then given to it: /upload, /albums/*/pictures, /api/**
    #[arg(long, value_name = "PATTERN", value_delimiter = ',', help_heading = APP)]
    pub(crate) upload_path: Vec<Pattern>,

    /// Paths of the app at which the article's poll is answered: /get_upload_progress
    #[arg(long, value_name = "PATTERN", value_delimiter = ',', help_heading = APP)]
    pub(crate) poll_path: Vec<Pattern>,

    /// How long a connection to the app may take
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = time_above_zero, help_heading = APP)]
    pub app_connect_timeout: Duration,

    /// How long the app may be silent: before its answer, in the middle of it, and while it takes a request
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = time_above_zero, help_heading = APP)]
    pub app_timeout: Duration,

    /// How long a connection to the app is kept for the next request; 0s for not at all
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = time, help_heading = APP)]
    pub app_idle_timeout: Duration,

    /// Most connections to the app that are kept so
    #[arg(long, value_name = "N", default_value = "32", value_parser = count, help_heading = APP)]
    pub max_app_idle: usize,

    /// Most WebSocket connections to the app at once
    #[arg(long, value_name = "N", default_value = "1000", value_parser = count, help_heading = APP)]
    pub max_tunnels: usize,

    /// How long nothing may go through a WebSocket connection to the app
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = time_above_zero, help_heading = APP)]
    pub tunnel_idle_timeout: Duration,

    /// How a form is given to the app: again as it came, or with fields that name the stored files in their place
    #[arg(long, value_name = "WORD", default_value = "replay", help_heading = APP,
        value_parser = words(&[("replay", Give::Replay), ("reference", Give::Reference)]))]
    pub(crate) give: Give,

    /// Whether the app is asked with the progress id in the query, or it moves to the header field X-Progress-ID
    #[arg(long, value_name = "WORD", default_value = "move", help_heading = APP,
        action = clap::ArgAction::Set, value_parser = words(&[("move", false), ("keep", true)]))]
    pub replay_query: bool,

    /// Statuses by which the app refuses an upload: 400-499, 409
    #[arg(long, value_name = "STATUS", value_delimiter = ',', default_value = "400-499", value_parser = statuses, help_heading = APP)]
    pub app_refuses: Vec<RangeInclusive<u16>>,

    /// How long stored files stay of an upload that the app has refused, or did not answer
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = time, help_heading = APP)]
    pub app_grace: Duration,

    /// Most uploads that the app may have in hand at once
    #[arg(long, value_name = "N", default_value = "10000", value_parser = count, help_heading = APP)]
    pub max_processing: usize,

    /// How long the app may take for its last word on an upload that it has taken and works on
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = time_above_zero, help_heading = APP)]
    pub processing_timeout: Duration,

    /// Most bytes of a form beside its files, where it is given as it came; held in memory meanwhile
    #[arg(long, value_name = "SIZE", default_value = "1MiB", value_parser = size, help_heading = APP)]
    pub max_skeleton: u64,

    /// File of tokens, one a line; who uploads must send one, as a bearer or as the password of a Basic login
    #[arg(long, value_name = "FILE", help_heading = RIGHTS)]
    pub token: Option<PathBuf>,

    /// Networks from which uploads are taken: 10.0.0.0/8, 2001:db8::/32, one address; none given, all are
    #[arg(long, value_name = "CIDR", value_delimiter = ',', help_heading = RIGHTS)]
    pub allow_from: Vec<Network>,

    /// Let everyone who reaches the server upload, also where it is not only this machine
    #[arg(long, value_name = "WORD", default_value = "off", default_missing_value = "on", num_args = 0..=1,
        require_equals = true, value_parser = words(&[("on", true), ("off", false)]),
        action = clap::ArgAction::Set, help_heading = RIGHTS)]
    pub allow_anyone: bool,

    /// Put everything under a path of 128 random bits, so that only who has the link can upload
    #[arg(long, value_name = "WORD", default_value = "off", default_missing_value = "on", num_args = 0..=1,
        require_equals = true, value_parser = words(&[("on", true), ("off", false)]),
        action = clap::ArgAction::Set, help_heading = RIGHTS)]
    pub secret_link: bool,

    /// Names of this server, besides its addresses and localhost; a request for another is refused
    #[arg(long, value_name = "NAME", value_delimiter = ',', help_heading = RIGHTS)]
    pub host: Vec<HostName>,

    /// Other origins, with their scheme, whose pages may upload and read; * is all, but without their cookies; none given,
    /// pages of this machine may while the server listens on loopback
    #[arg(long, value_name = "ORIGIN", value_delimiter = ',', help_heading = RIGHTS)]
    pub allow_origin: Vec<AllowOrigin>,

    /// Networks of the proxies in front, whose word about client, scheme, host and path prefix counts
    #[arg(long, value_name = "CIDR", value_delimiter = ',', help_heading = RIGHTS)]
    pub trusted_proxy: Vec<Network>,

    /// Which header fields those proxies write: X-Forwarded-For and its like, or Forwarded
    #[arg(long, value_name = "WORD", default_value = "x-forwarded", help_heading = RIGHTS, value_parser = words(&[
        ("x-forwarded", Forwarding::XForwarded),
        ("forwarded", Forwarding::Forwarded),
    ]))]
    pub forwarding: Forwarding,

    /// File of keys shared with the app, one a line, the first of which signs; DUMBWAITER_APP_KEY may hold one instead
    #[arg(long, value_name = "FILE", help_heading = APP)]
    pub app_key_file: Option<PathBuf>,

    /// Where the app says who may: asked before an upload begins, and again before its files are visible
    #[arg(long, value_name = "URL", help_heading = RIGHTS)]
    pub(crate) ask: Option<Upstream>,

    /// How long it may take to answer
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = time_above_zero, help_heading = RIGHTS)]
    pub ask_timeout: Duration,

    /// What happens where it does not answer, or with neither yes nor no
    #[arg(long, value_name = "WORD", default_value = "refuse", value_parser = words(&[("refuse", false), ("allow", true)]),
        action = clap::ArgAction::Set, help_heading = RIGHTS)]
    pub ask_failure: bool,

    /// How long its yes counts for what goes on with an upload, and for who looks at one
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = time, help_heading = RIGHTS)]
    pub ask_keep: Duration,

    /// Most questions to it at once; further ones wait
    #[arg(long, value_name = "N", default_value = "64", value_parser = count, help_heading = RIGHTS)]
    pub max_asking: usize,

    /// Most yeses that are kept
    #[arg(long, value_name = "N", default_value = "10000", value_parser = count, help_heading = RIGHTS)]
    pub max_asked: usize,

    /// Let in whoever shows a ticket signed with the key that the app shares
    #[arg(long, value_name = "WORD", default_value = "off", default_missing_value = "on", num_args = 0..=1,
        require_equals = true, value_parser = words(&[("on", true), ("off", false)]),
        action = clap::ArgAction::Set, help_heading = RIGHTS)]
    pub tickets: bool,

    /// Longest time for which a ticket may hold
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = time_above_zero, help_heading = RIGHTS)]
    pub max_ticket_time: Duration,

    /// Most used tickets that are remembered until they are void
    #[arg(long, value_name = "N", default_value = "100000", value_parser = count, help_heading = RIGHTS)]
    pub max_tickets: usize,

    /// Where the app is told of each upload that is not a form of its own, before it is done
    #[arg(long, value_name = "URL", help_heading = APP)]
    pub(crate) hand_off: Option<Upstream>,

    /// How long one attempt to tell it may take; the client's last request waits for the first
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = time_above_zero, help_heading = APP)]
    pub hand_off_timeout: Duration,

    /// How long it is tried; and how long an answer stays when the app has moved the files
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = time_above_zero, help_heading = APP)]
    pub hand_off_for: Duration,

    /// Time between the first attempt and the second; every further wait is twice as long
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = time_above_zero, help_heading = APP)]
    pub hand_off_retry: Duration,

    /// Longest time between two attempts
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = time_above_zero, help_heading = APP)]
    pub hand_off_retry_most: Duration,

    /// Most attempts at once
    #[arg(long, value_name = "N", default_value = "16", value_parser = count, help_heading = APP)]
    pub max_hand_offs: usize,

    /// Most bytes of the app's answer that are kept and given to the client
    #[arg(long, value_name = "SIZE", default_value = "64KiB", value_parser = size, help_heading = APP)]
    pub max_hand_off_answer: u64,

    /// Caches that get a copy of the progress for the app to read: memcached://HOST:PORT, redis://HOST:PORT/DATABASE
    #[arg(long, value_name = "URL", value_delimiter = ',', help_heading = APP)]
    pub(crate) progress_cache: Vec<CacheUrl>,

    /// Under which keys: {prefix} {version} {addr} {client} {id}
    #[arg(long, value_name = "TEMPLATE", default_value = "{prefix}:{version}:{addr}_{id}", help_heading = APP)]
    pub(crate) progress_cache_key: KeyTemplate,

    /// Django's KEY_PREFIX there; none given, it is empty
    #[arg(long, value_name = "TEXT", value_parser = part_of_a_key, help_heading = APP)]
    pub progress_cache_prefix: Option<String>,

    /// Django's VERSION there
    #[arg(long, value_name = "N", default_value = "1", help_heading = APP)]
    pub progress_cache_version: u32,

    /// File with the password of a cache that wants one
    #[arg(long, value_name = "FILE", help_heading = APP)]
    pub progress_cache_password_file: Option<PathBuf>,

    /// How long a cache keeps what nobody writes again
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = time_above_zero, help_heading = APP)]
    pub progress_cache_time: Duration,

    /// Shortest time between two writes of one upload's moving numbers
    #[arg(long, value_name = "TIME", default_value = "250ms", value_parser = time_above_zero, help_heading = APP)]
    pub progress_cache_interval: Duration,

    /// How long a cache is waited for; uploads never wait
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = time_above_zero, help_heading = APP)]
    pub progress_cache_timeout: Duration,

    /// Most uploads that are in the caches at once
    #[arg(long, value_name = "N", default_value = "10000", value_parser = count, help_heading = APP)]
    pub max_progress_cache: usize,

    /// Folder for the files; made if it is not there
    #[arg(long, value_name = "FOLDER", default_value = "uploads", help_heading = FILES)]
    pub dir: PathBuf,

    /// Template of the files' names: {filename} {stem} {ext} {id} {date} {field} {form.NAME} {digest}
    #[arg(long, value_name = "TEMPLATE", default_value_t, value_parser = Template::parse, help_heading = FILES)]
    pub name: Template,

    /// What to do when a name is taken: find one near it, put the new file there, refuse
    #[arg(long, value_name = "WORD", default_value = "rename", help_heading = FILES, value_parser = words(&[
        ("rename", OnConflict::Rename),
        ("replace", OnConflict::Replace),
        ("reject", OnConflict::Reject),
    ]))]
    pub on_conflict: OnConflict,

    /// When an upload counts as kept: after it was synced to the disk, or when its file was closed
    #[arg(long, value_name = "WORD", default_value = "sync", help_heading = FILES,
        value_parser = words(&[("sync", Durability::Sync), ("close", Durability::Close)]))]
    pub durability: Durability,

    /// Checksum to compute of every file; it costs about as much as receiving
    #[arg(long, value_name = "WORD", default_value = "none", help_heading = FILES, value_parser = words(&[
        ("none", None),
        ("sha256", Some(Algorithm::Sha256)),
        ("blake3", Some(Algorithm::Blake3)),
    ]))]
    pub digest: std::option::Option<Algorithm>,

    /// Largest file taken, in bytes
    #[arg(long, value_name = "SIZE", default_value = "none", value_parser = size_or_none, help_heading = FILES)]
    pub max_file_size: std::option::Option<u64>,

    /// How long finished files are kept; none is for ever
    #[arg(long, value_name = "TIME", default_value = "none", value_parser = time_or_none, help_heading = FILES)]
    pub keep: std::option::Option<Duration>,

    /// Types of file taken, told from the first bytes: image/*, application/pdf; none given, all are
    #[arg(long, value_name = "TYPE", value_delimiter = ',', help_heading = FILES)]
    pub allow_type: Vec<TypePattern>,

    /// Format in which /progress answers
    #[arg(long, value_name = "WORD", default_value = "json", help_heading = PROGRESS,
        value_parser = words(&[
            ("json", ProgressFormat::Json),
            ("jsonp", ProgressFormat::Jsonp),
            ("xml", ProgressFormat::Xml),
            ("java", ProgressFormat::Java),
        ]))]
    pub progress_format: ProgressFormat,

    /// What /get_upload_progress answers for an unknown id: null, or for --watch-wait a bar at its start
    #[arg(long, value_name = "WORD", default_value = "null", help_heading = PROGRESS,
        value_parser = words(&[("null", PollUnknown::Null), ("wait", PollUnknown::Wait)]))]
    pub poll_unknown: PollUnknown,

    /// How long an ended upload's record is kept
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = time, help_heading = PROGRESS)]
    pub keep_records: Duration,

    /// The same, at most, while it is being polled
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = time, help_heading = PROGRESS)]
    pub keep_polled: Duration,

    /// Most records kept; the oldest ended ones go first
    #[arg(long, value_name = "N", default_value = "100000", value_parser = count, help_heading = PROGRESS)]
    pub max_records: usize,

    /// Most bytes of form fields in one record; what goes beyond is shown as null
    #[arg(long, value_name = "SIZE", default_value = "16KiB", value_parser = size, help_heading = PROGRESS)]
    pub max_record_fields: u64,

    /// How long a stream lasts; its client then opens another one
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = time_above_zero, help_heading = PROGRESS)]
    pub watch_time: Duration,

    /// How long a stream waits for an upload that is not there yet
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = time, help_heading = PROGRESS)]
    pub watch_wait: Duration,

    /// After how long a silence a stream sends a comment, so that proxies keep it open
    #[arg(long, value_name = "TIME", default_value = "15s", value_parser = time_above_zero, help_heading = PROGRESS)]
    pub watch_comment: Duration,

    /// Most streams open at once
    #[arg(long, value_name = "N", default_value = "10000", value_parser = count, help_heading = PROGRESS)]
    pub max_watchers: usize,

    /// Most uploads in one stream or one answer
    #[arg(long, value_name = "N", default_value = "100", value_parser = count, help_heading = PROGRESS)]
    pub max_watched: usize,

    /// Most unknown ids whose first poll is remembered for --poll-unknown wait
    #[arg(long, value_name = "N", default_value = "10000", value_parser = count, help_heading = PROGRESS)]
    pub max_awaited: usize,

    /// Most fields of one form that are no files
    #[arg(long, value_name = "N", default_value = "1000", value_parser = count, help_heading = FORMS)]
    pub max_fields: usize,

    /// Most bytes in one such field
    #[arg(long, value_name = "SIZE", default_value = "1MiB", value_parser = size, help_heading = FORMS)]
    pub max_field_size: u64,

    /// Most bytes in all such fields of one form together
    #[arg(long, value_name = "SIZE", default_value = "1MiB", value_parser = size, help_heading = FORMS)]
    pub max_field_bytes: u64,

    /// Most files in one form
    #[arg(long, value_name = "N", default_value = "1000", value_parser = count, help_heading = FORMS)]
    pub max_files: usize,

    /// Most bytes in the head of one part
    #[arg(long, value_name = "SIZE", default_value = "8KiB", value_parser = part_head, help_heading = FORMS)]
    pub max_part_head: u64,

    /// Most header fields in the head of one part
    #[arg(long, value_name = "N", default_value = "16", value_parser = count, help_heading = FORMS)]
    pub max_part_head_fields: usize,

    /// Most bytes in the boundary between the parts
    #[arg(long, value_name = "N", default_value = "70", value_parser = boundary, help_heading = FORMS)]
    pub max_boundary: usize,

    /// How long an unfinished upload that nobody goes on with is kept; none is for ever
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = time_or_none, help_heading = RESUME)]
    pub expire_after: std::option::Option<Duration>,

    /// Bytes after which those that have come are made durable, so that a client may go on behind them
    #[arg(long, value_name = "SIZE", default_value = "16MiB", value_parser = size, help_heading = RESUME)]
    pub checkpoint_bytes: u64,

    /// Time after which they are made durable at the latest
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = time_above_zero, help_heading = RESUME)]
    pub checkpoint_time: Duration,

    /// How long a newer request waits for an older one to let go of their upload, before it is taken from it
    #[arg(long, value_name = "TIME", default_value = "500ms", value_parser = time, help_heading = RESUME)]
    pub let_go_time: Duration,

    /// Most unfinished uploads that stay open between two of their requests
    #[arg(long, value_name = "N", default_value = "256", value_parser = count, help_heading = RESUME)]
    pub max_parked: usize,

    /// How the Location of a new tus upload reads: a path, which is right behind any proxy, or a whole URL
    #[arg(long, value_name = "WORD", default_value = "relative", value_parser = words(&[("relative", false), ("absolute", true)]),
        action = clap::ArgAction::Set, help_heading = RESUME)]
    pub location: bool,

    /// Most bytes in what a client of tus says of an upload
    #[arg(long, value_name = "SIZE", default_value = "4KiB", value_parser = size, help_heading = RESUME)]
    pub max_metadata: u64,

    /// Most uploads of which one is put together
    #[arg(long, value_name = "N", default_value = "300", value_parser = count, help_heading = RESUME)]
    pub max_partials: usize,

    /// Most uploads at once
    #[arg(long, value_name = "N", default_value = "8000", value_parser = count, help_heading = ROOM)]
    pub max_uploads: usize,

    /// Most uploads at once from one address, IPv6 by /64
    #[arg(long, value_name = "N", default_value = "2000", value_parser = count, help_heading = ROOM)]
    pub max_uploads_per_address: usize,

    /// Most unfinished uploads of one owner
    #[arg(long, value_name = "N", default_value = "2000", value_parser = count, help_heading = ROOM)]
    pub max_unfinished: usize,

    /// Most unfinished uploads of all owners together
    #[arg(long, value_name = "N", default_value = "100000", value_parser = count, help_heading = ROOM)]
    pub max_unfinished_in_all: usize,

    /// Largest upload taken, in bytes of its whole body
    #[arg(long, value_name = "SIZE", default_value = "none", value_parser = size_or_none, help_heading = ROOM)]
    pub max_upload_size: std::option::Option<u64>,

    /// Most bytes that one request may carry
    #[arg(long, value_name = "SIZE", default_value = "none", value_parser = size_or_none, help_heading = ROOM)]
    pub max_request_size: std::option::Option<u64>,

    /// Most bytes in all uploads together, finished or not
    #[arg(long, value_name = "SIZE", default_value = "none", value_parser = size_or_none, help_heading = ROOM)]
    pub max_store_size: std::option::Option<u64>,

    /// Most bytes in all uploads of one owner, with those declared and still to come
    #[arg(long, value_name = "SIZE", default_value = "none", value_parser = size_or_none, help_heading = ROOM)]
    pub max_owner_bytes: std::option::Option<u64>,

    /// Bytes of the disk that stay free; 0 for not looking
    #[arg(long, value_name = "SIZE", default_value = "256MiB", value_parser = size, help_heading = ROOM)]
    pub keep_free: u64,

    /// Inodes of the disk that stay free; 0 for not looking
    #[arg(long, value_name = "N", default_value = "1000", help_heading = ROOM)]
    pub keep_free_inodes: u64,

    /// Most connections open at once; auto is half of the open files that the system allows
    #[arg(long, value_name = "N", default_value = "auto", value_parser = count_or_auto, help_heading = CONNECTIONS)]
    pub max_connections: std::option::Option<usize>,

    /// How long a client may take to send a request's head
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = time_above_zero, help_heading = CONNECTIONS)]
    pub head_timeout: Duration,

    /// Most bytes in a request's head
    #[arg(long, value_name = "SIZE", default_value = "64KiB", value_parser = head_size, help_heading = CONNECTIONS)]
    pub max_head_size: u64,

    /// Most fields in a request's head
    #[arg(long, value_name = "N", default_value = "100", value_parser = head_fields, help_heading = CONNECTIONS)]
    pub max_head_fields: usize,

    /// How long an upload may be silent
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = time_or_none, help_heading = CONNECTIONS)]
    pub stall_timeout: std::option::Option<Duration>,

    /// Fewest bytes a second that an upload must bring
    #[arg(long, value_name = "SIZE", default_value = "1KiB", value_parser = size_or_none, help_heading = CONNECTIONS)]
    pub min_rate: std::option::Option<u64>,

    /// Time over which that is taken
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = time_above_zero, help_heading = CONNECTIONS)]
    pub min_rate_window: Duration,

    /// How long an upload may take in all
    #[arg(long, value_name = "TIME", default_value = "none", value_parser = time_or_none, help_heading = CONNECTIONS)]
    pub max_upload_time: std::option::Option<Duration>,

    /// Memory in which uploads are read, shared: with many fast ones at once each reads less at a time
    #[arg(long, value_name = "SIZE", default_value = "64MiB", value_parser = size, help_heading = CONNECTIONS)]
    pub read_memory: u64,

    /// After a refusal, most bytes of the body read and thrown away so that the client sees the answer
    #[arg(long, value_name = "SIZE", default_value = "256MiB", value_parser = size, help_heading = CONNECTIONS)]
    pub linger_bytes: u64,

    /// The same, at most, in time
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = time, help_heading = CONNECTIONS)]
    pub linger_time: Duration,

    /// Where whoever runs the server sees and ends all uploads: 127.0.0.1:7071, or off
    #[arg(long, value_name = "ADDRESS", default_value = "off", value_parser = address_or_off, help_heading = OPERATION)]
    pub admin_listen: std::option::Option<SocketAddr>,

    /// File with the tokens that changes there need, one a line; without it one is made up and printed at start
    #[arg(long, value_name = "FILE", help_heading = OPERATION)]
    pub admin_token_file: Option<PathBuf>,

    /// Where probes and metrics alone are served, to anybody: address and port, or off
    #[arg(long, value_name = "ADDRESS", default_value = "off", value_parser = address_or_off, help_heading = OPERATION)]
    pub probe_listen: std::option::Option<SocketAddr>,

    /// Once told to stop, how long connections are still taken while /readyz says 503
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = time, help_heading = OPERATION)]
    pub drain_delay: Duration,

    /// How long running uploads then have to finish
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = time, help_heading = OPERATION)]
    pub shutdown_grace: Duration,

    /// Threads that carry bodies to the disk; cpus is one for each CPU, at least 2
    #[arg(long, value_name = "N", default_value = "cpus", value_parser = threads_or_cpus, help_heading = MACHINE)]
    pub data_threads: usize,

    /// Threads that sync files
    #[arg(long, value_name = "N", default_value = "16", value_parser = threads, help_heading = MACHINE)]
    pub sync_threads: usize,

    /// Most bytes of disk reserved ahead for one file of known length
    #[arg(long, value_name = "SIZE", default_value = "256MiB", value_parser = size, help_heading = MACHINE)]
    pub reserve_ahead: u64,

    /// How log lines are written, to standard error
    #[arg(long, value_name = "WORD", default_value = "text", help_heading = MACHINE,
        value_parser = words(&[("text", LogFormat::Text), ("json", LogFormat::Json)]))]
    pub log_format: LogFormat,

    /// Least important lines that are written
    #[arg(long, value_name = "LEVEL", default_value = "info", help_heading = MACHINE, value_parser = words(&[
        ("off", LevelFilter::OFF),
        ("error", LevelFilter::ERROR),
        ("warn", LevelFilter::WARN),
        ("info", LevelFilter::INFO),
        ("debug", LevelFilter::DEBUG),
        ("trace", LevelFilter::TRACE),
    ]))]
    pub log: LevelFilter,

    /// What to do instead of serving.
    #[command(subcommand)]
    pub task: Option<Task>,

    /// TOML file with any of these options
    #[arg(long, value_name = "FILE", help_heading = MACHINE)]
    pub config: Option<PathBuf>,
}

const SERVING: &str = "Serving";
const APP: &str = "The app behind";
const RIGHTS: &str = "Rights";
const FILES: &str = "Files";
const PROGRESS: &str = "Progress";
const FORMS: &str = "Forms";
const RESUME: &str = "Uploads that can be resumed";
const ROOM: &str = "Room for uploads";
const CONNECTIONS: &str = "Connections";
const OPERATION: &str = "Operation";
const MACHINE: &str = "Machine, logs, configuration";

/// What the program does when it does not serve.
#[derive(Clone, PartialEq, Eq, Debug, Subcommand)]
pub enum Task {
    /// Print all options as they are in force and where each comes from, as a TOML file
    Config,
    /// Print completions for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the man page
    Man,
    /// Take over the uploads of a tusd that does not run, finished and unfinished, and remove them there
    Adopt {
        /// Where its file store has them
        folder: PathBuf,
    },
    /// Send files to a server, and go on with those that break off
    Send(SendArgs),
    /// Show uploads under way until they have ended
    Watch(WatchArgs),
    /// Sign a ticket, as the app would
    Ticket(TicketArgs),
}

impl Task {
    /// Whether it is a client's or the app's, which has nothing to do with the options of a server here.
    pub(super) fn is_a_clients(name: &str) -> bool {
        matches!(name, "send" | "watch" | "ticket")
    }
}

/// What stands at `/`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PageChoice {
    /// Our page.
    Ours,
    /// Nothing.
    Nothing,
    /// The files of this folder.
    Folder(PathBuf),
}

/// How log lines are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogFormat {
    /// For people: one line, fields behind the message.
    Text,
    /// For machines: one JSON object a line.
    Json,
}

impl Config {
    /// What must hold between two options, as no rule of one alone can say it.
    pub(super) fn check(self) -> anyhow::Result<Self> {
        anyhow::ensure!(
            self.digest.is_some() || !self.name.needs_digest(),
            "--name uses {{digest}}, yet --digest is none: choose --digest sha256 or blake3"
        );
        let (all, some) = (
            self.allow_anyone,
            self.token.is_some()
                || !self.allow_from.is_empty()
                || self.ask.is_some()
                || self.tickets,
        );
        anyhow::ensure!(
            self.listen.ip().to_canonical().is_loopback() || all || some || self.secret_link,
            "{} can be reached from other machines, and nothing says who may upload: choose --token FILE, \
             --allow-from CIDR, --ask URL, --tickets, --secret-link or --allow-anyone",
            self.listen
        );
        anyhow::ensure!(
            !(all && some),
            "--allow-anyone lets everyone in, --token, --allow-from, --ask and --tickets do not: choose"
        );
        self.check_app()?;
        let away = |address: &SocketAddr| !address.ip().to_canonical().is_loopback();
        anyhow::ensure!(
            self.admin_token_file.is_some() || !self.admin_listen.as_ref().is_some_and(away),
            "--admin-listen off loopback needs --admin-token-file: who may see and end all uploads?"
        );
        Ok(self)
    }

    fn check_app(&self) -> anyhow::Result<()> {
        let Some(app) = &self.app else {
            anyhow::ensure!(
                self.upload_path.is_empty() && self.poll_path.is_empty(),
                "--upload-path and --poll-path are paths of an app: --app URL says where it is"
            );
            return Ok(());
        };
        anyhow::ensure!(
            !self.base.is_empty(),
            "--base / leaves no path for --app: choose another one, as /_dumbwaiter"
        );
        anyhow::ensure!(
            app.query().is_none(),
            "--app {app} has a query, which no request could keep"
        );
        Ok(())
    }
}
