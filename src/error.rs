//! What can go wrong with an upload, and the table that gives each thing its code and HTTP status.
//!
//! The client gets the code and the one-line message, the log gets the causes ([`std::error::Error::source`]).

/// Anything that can happen to an upload.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The connection ended before the body did.
    #[error("the client went away before the body was complete")]
    ClientGone,
    /// The body is complete as HTTP counts, yet the form in it has no last boundary.
    #[error("the form ends before its last boundary")]
    Truncated,
    /// The form breaks a rule of RFC 7578 or RFC 2046.
    #[error("the form is malformed: {what}")]
    MalformedForm {
        /// The rule, in words.
        what: &'static str,
    },
    /// A POST to the form path that is no form.
    #[error("the body is {given}, not multipart/form-data")]
    NotAForm {
        /// The media type that was sent, or words for its absence.
        given: String,
    },
    /// A browser's form without `enctype`: its files are names only.
    #[error(
        "the form was sent without its files: add enctype=\"multipart/form-data\" to the form element"
    )]
    MissingEnctype,
    /// A `multipart/form-data` content type without a usable boundary.
    #[error("the content type names no usable boundary")]
    MissingBoundary,
    /// More of something than the configuration takes.
    #[error("the upload has more {what} than the limit of {limit}")]
    LimitExceeded {
        /// What there is too much of, with its unit: `"fields"`, `"bytes in a part's head"`.
        what: &'static str,
        /// The most that is taken.
        limit: u64,
    },
    /// A handler refused the upload.
    #[error("{0}")]
    Refused(Refusal),
    /// The name template gives nothing usable for this file.
    #[error("the file cannot be named: {reason}")]
    UnusableName {
        /// Which part of the template names nothing, and why.
        reason: String,
    },
    /// `--on-conflict reject`, and the name stands already.
    #[error("a file named {name:?} is already there")]
    NameTaken {
        /// The name, below the store's folder.
        name: String,
    },
    /// A route of the app's own asked for a file that the form does not have.
    #[error("the form has no file in its field {field:?}")]
    MissingFile {
        /// The field.
        field: String,
    },
    /// A route of the app's own took an upload with files in and kept none of them, or failed to keep one.
    #[error("not all of the files were kept")]
    NotKept,
    /// A newer request has taken the upload over.
    #[error("a newer request has taken over this upload")]
    Superseded,
    /// The client goes on at a place that is not where the kept bytes end.
    #[error("offset {given} is not the kept {expected}")]
    OffsetMismatch {
        /// Where the kept bytes end.
        expected: u64,
        /// Where the client would go on.
        given: u64,
    },
    /// What came has another checksum than the client said; nothing of it is kept.
    #[error("the bytes that came do not have the checksum that was given")]
    ChecksumMismatch,
    /// The length of an upload was said once, and now another one.
    #[error("the upload's length is {length}, not {given}")]
    LengthMismatch {
        /// What was said first.
        length: u64,
        /// What was said now.
        given: u64,
    },
    /// What came has another digest than the client said; nothing of it is kept.
    #[error("the bytes that came do not have the digest that was given")]
    DigestMismatch,
    /// All bytes of the upload are there already.
    #[error("the upload is complete and takes no more bytes")]
    CompletedUpload,
    /// A chunk that is not the next one of its file.
    #[error("chunks of one file come one after the other here: switch off parallel chunks")]
    ParallelChunks,
    /// The upload was put together of others, and takes no bytes of its own.
    #[error("this upload is put together of others and takes no bytes itself")]
    FinalUpload,
    /// Something stands in the way of resuming: a handler that cannot go on, or a checkpoint that cannot be read.
    #[error("the upload cannot be resumed here: {why}")]
    NotResumable {
        /// What stands in the way.
        why: String,
    },
    /// The upload was not finished in time.
    #[error("the upload was not finished in time")]
    Expired,
    /// The request speaks no version of tus that is known here.
    #[error("say Tus-Resumable: 1.0.0 for tus, or Upload-Complete for Resumable Uploads for HTTP")]
    TusVersion,
    /// The bytes come under another content type than the protocol wants.
    #[error("the content type must be {expected}")]
    WrongContentType {
        /// The one that it wants.
        expected: &'static str,
    },
    /// There is no such upload or file, or the asker may not know of it.
    #[error("there is nothing here under that name")]
    NotFound,
    /// The path is ours, the method is not for it.
    #[error("this path does not take that method; it takes {allow}")]
    MethodNotAllowed {
        /// The methods that it takes, as in an `Allow` field.
        allow: &'static str,
    },
    /// A request that must name an upload does not.
    #[error("the request names no upload: give X-Progress-ID as a query parameter")]
    MissingProgressId,
    /// A query parameter or header field that cannot be read.
    #[error("the request is malformed: {what}")]
    BadRequest {
        /// What cannot be read.
        what: &'static str,
    },
    /// Nobody said who sends this, or not in a way that is known here.
    #[error("who is sending this? {how}")]
    Unauthorized {
        /// How to say it.
        how: &'static str,
    },
    /// It is known who asks, or from where, and they may not.
    #[error("this is not for you to do: {why}")]
    Forbidden {
        /// The rule that forbids it.
        why: &'static str,
    },
    /// The `Host` field names a server that we are not.
    #[error("this server is not called {host:?}")]
    HostNotAllowed {
        /// The name as sent.
        host: String,
    },
    /// A page of another origin asks for a change.
    #[error("pages of {origin} may not do this here")]
    OriginNotAllowed {
        /// The origin as sent.
        origin: String,
    },
    /// The request's head is larger than the limit.
    #[error("the request's head has more than the {limit} {what} taken here")]
    HeadTooLarge {
        /// The most that is taken.
        limit: u64,
        /// Of what: `"bytes"` or `"fields"`.
        what: &'static str,
    },
    /// The request's head did not come to its end in time.
    #[error("the request's head has taken longer than {seconds} s")]
    HeadTimeout {
        /// The longest time.
        seconds: u64,
    },
    /// The upload is, or says it is, larger than the limit.
    #[error("the upload is larger than the {limit} bytes taken here")]
    UploadTooLarge {
        /// The most bytes that are taken.
        limit: u64,
    },
    /// The request carries, or says it does, more than one may.
    #[error("one request may carry {limit} bytes here, and this one has more")]
    RequestTooLarge {
        /// The most bytes that are taken.
        limit: u64,
    },
    /// No byte came for too long.
    #[error("no byte has come for {seconds} s")]
    Stalled {
        /// The longest wait.
        seconds: u64,
    },
    /// Bytes come more slowly than the least rate.
    #[error("the upload is slower than {least} bytes a second")]
    TooSlow {
        /// The least rate, in bytes a second.
        least: u64,
    },
    /// The upload has lasted longer than one may.
    #[error("the upload has taken longer than {seconds} s")]
    TookTooLong {
        /// The longest time.
        seconds: u64,
    },
    /// Every place for an upload is taken.
    #[error("too many uploads are under way; try again in a moment")]
    TooManyUploads,
    /// Every place for an upload from this address is taken.
    #[error("too many uploads are running from your address; try again when one has ended")]
    TooManyFromAddress,
    /// This owner has too many unfinished uploads.
    #[error("you have {limit} unfinished uploads; finish or cancel one first")]
    TooManyUnfinished {
        /// The most that one owner may have.
        limit: u64,
    },
    /// The store would hold more than it may.
    #[error("there is no room left here")]
    StoreLimit,
    /// The owner would hold more than they may.
    #[error("you have no room left here")]
    OwnerLimit,
    /// The app behind is not there, or broke off before it had answered.
    #[error("the app cannot be reached; try again in a moment")]
    AppUnreachable,
    /// The app behind did not answer in time.
    #[error("the app has not answered for {seconds} s")]
    AppTimeout {
        /// The longest wait.
        seconds: u64,
    },
    /// The app behind does not take the upload: its own answer goes to the client.
    #[error("the app refused the upload with status {status}")]
    AppRefused {
        /// The status of its answer.
        status: u16,
    },
    /// The app behind took the upload and then failed to answer well.
    #[error("the app failed with status {status}")]
    AppFailed {
        /// The status of its answer.
        status: u16,
    },
    /// The app took the upload, and has not said what became of it.
    #[error("the app has not said for {seconds} s what became of the upload")]
    ProcessingTimeout {
        /// The longest wait.
        seconds: u64,
    },
    /// The app was not told of a finished upload, however often that was tried.
    #[error("the app could not be told of the upload")]
    HandOffFailed,
    /// A request that has been through this server before.
    #[error("the request has come round to this server again: the app's address leads back here")]
    Loop,
    /// Nobody who knows said in time whether this may be done.
    #[error("whether you may do this could not be found out; try again in a moment")]
    AskFailed,
    /// A ticket that opens nothing here.
    #[error("the ticket cannot be used: {why}")]
    BadTicket {
        /// What is wrong with it.
        why: &'static str,
    },
    /// Somebody with the right to it ended the upload.
    #[error("the upload was cancelled")]
    Cancelled,
    /// The server is about to stop.
    #[error("the server is stopping; try again in a moment")]
    ShuttingDown,
    /// Every place for a watcher is taken.
    #[error("too many are watching already; ask again later")]
    TooManyWatchers,
    /// Every place for a WebSocket connection to the app is taken.
    #[error("too many WebSocket connections are open already; try again later")]
    TooManyTunnels,
    /// The file system is full.
    #[error("the disk here is full")]
    DiskFull,
    /// The store failed.
    #[error("the store failed")]
    Store {
        /// The store's own error.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Why a handler will not have an upload: a stable code, an HTTP status and words for the client.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// Stable, lower case, words joined by `_`.
    pub code: &'static str,
    /// The status of the answer, 400–599; any other counts as 500.
    pub status: u16,
    /// One line for the person who sent the file.
    pub message: String,
}

impl Refusal {
    /// A refusal answered with 422 and the code `refused`.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            code: "refused",
            status: 422,
            message: message.into(),
        }
    }

    fn status(&self) -> u16 {
        match self.status {
            status @ 400..=599 => status,
            _ => 500,
        }
    }
}

impl Error {
    /// Boxes a store's own error, or says [`Error::DiskFull`] where that is what it means.
    pub fn store(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        let source = source.into();
        let full = |e: &std::io::Error| {
            matches!(
                e.kind(),
                std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded
            )
        };
        match source.downcast_ref::<std::io::Error>() {
            Some(e) if full(e) => Self::DiskFull,
            _ => Self::Store { source },
        }
    }

    /// The stable code, as in the record's `error.code`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.row().0
    }

    /// The HTTP status of the answer.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.row().1
    }

    fn row(&self) -> (&'static str, u16) {
        match self {
            // nginx's own status for a client that closed the request; never seen by that client.
            Self::ClientGone => ("client_gone", 499),
            Self::Truncated => ("truncated_form", 400),
            Self::MalformedForm { .. } => ("malformed_form", 400),
            Self::NotAForm { .. } => ("not_a_form", 415),
            Self::MissingEnctype => ("missing_enctype", 415),
            Self::MissingBoundary => ("missing_boundary", 400),
            Self::LimitExceeded { .. } => ("limit_exceeded", 413),
            Self::Refused(refusal) => (refusal.code, refusal.status()),
            Self::UnusableName { .. } => ("unusable_name", 422),
            Self::NameTaken { .. } => ("name_taken", 409),
            Self::MissingFile { .. } => ("missing_file", 422),
            Self::NotKept => ("not_kept", 422),
            // No 409: tus clients come back after that, and two of one upload would push each other out for ever.
            Self::Superseded => ("superseded", 400),
            Self::OffsetMismatch { .. } => ("offset_mismatch", 409),
            // tus 1.0, "Checksum".
            Self::ChecksumMismatch => ("checksum_mismatch", 460),
            Self::LengthMismatch { .. } => ("length_mismatch", 400),
            Self::DigestMismatch => ("digest_mismatch", 400),
            Self::CompletedUpload => ("completed_upload", 400),
            Self::ParallelChunks => ("parallel_chunks", 409),
            Self::FinalUpload => ("final_upload", 403),
            Self::NotResumable { .. } => ("not_resumable", 501),
            Self::Expired => ("expired", 410),
            Self::TusVersion => ("tus_version", 412),
            Self::WrongContentType { .. } => ("wrong_content_type", 415),
            Self::NotFound => ("not_found", 404),
            Self::MethodNotAllowed { .. } => ("method_not_allowed", 405),
            Self::MissingProgressId => ("missing_progress_id", 400),
            Self::BadRequest { .. } => ("bad_request", 400),
            Self::Unauthorized { .. } => ("unauthorized", 401),
            Self::Forbidden { .. } => ("forbidden", 403),
            Self::HostNotAllowed { .. } => ("host_not_allowed", 421),
            Self::OriginNotAllowed { .. } => ("origin_not_allowed", 403),
            Self::HeadTooLarge { .. } => ("head_too_large", 431),
            Self::HeadTimeout { .. } => ("head_timeout", 408),
            Self::UploadTooLarge { .. } => ("upload_too_large", 413),
            Self::RequestTooLarge { .. } => ("request_too_large", 413),
            Self::Stalled { .. } => ("stalled", 408),
            Self::TooSlow { .. } => ("too_slow", 408),
            Self::TookTooLong { .. } => ("took_too_long", 408),
            Self::TooManyUploads => ("too_many_uploads", 503),
            Self::TooManyFromAddress => ("too_many_from_address", 429),
            Self::TooManyUnfinished { .. } => ("too_many_unfinished", 429),
            Self::StoreLimit => ("store_limit", 507),
            Self::OwnerLimit => ("owner_limit", 413),
            Self::AppUnreachable => ("app_unreachable", 502),
            Self::AppTimeout { .. } => ("app_timeout", 504),
            Self::AppRefused { status } => ("app_refused", *status),
            Self::AppFailed { .. } => ("app_failed", 502),
            Self::ProcessingTimeout { .. } => ("processing_timeout", 504),
            Self::HandOffFailed => ("hand_off_failed", 502),
            // RFC 5842, 7.2.
            Self::Loop => ("loop", 508),
            Self::AskFailed => ("ask_failed", 503),
            Self::BadTicket { .. } => ("bad_ticket", 401),
            Self::Cancelled => ("cancelled", 410),
            Self::ShuttingDown => ("shutting_down", 503),
            Self::TooManyWatchers => ("too_many_watchers", 503),
            Self::TooManyTunnels => ("too_many_tunnels", 503),
            Self::DiskFull => ("disk_full", 507),
            Self::Store { .. } => ("store_failed", 500),
        }
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Makes a list of one error for each pattern of a match that must be complete: the compiler sees to it that no
    /// variant is left out, and the list that each example is of its own pattern.
    macro_rules! one_of_each {
        ($($pattern:pat => $example:expr,)*) => {{
            use Error::*;
            let known = |error: &Error| match error {
                $($pattern => {})*
            };
            let all: Vec<Error> = vec![$({
                let example = $example;
                assert!(matches!(example, $pattern), "{example:?}");
                example
            }),*];
            all.iter().for_each(known);
            all
        }};
    }

    fn all() -> Vec<Error> {
        one_of_each! {
            ClientGone => ClientGone,
            Truncated => Truncated,
            MalformedForm { .. } => MalformedForm { what: "" },
            NotAForm { .. } => NotAForm { given: String::new() },
            MissingEnctype => MissingEnctype,
            MissingBoundary => MissingBoundary,
            LimitExceeded { .. } => LimitExceeded { what: "", limit: 0 },
            Refused(_) => Refused(Refusal::new("no")),
            UnusableName { .. } => UnusableName { reason: String::new() },
            NameTaken { .. } => NameTaken { name: String::new() },
            MissingFile { .. } => MissingFile { field: String::new() },
            NotKept => NotKept,
            Superseded => Superseded,
            OffsetMismatch { .. } => OffsetMismatch { expected: 0, given: 0 },
            ChecksumMismatch => ChecksumMismatch,
            LengthMismatch { .. } => LengthMismatch { length: 0, given: 0 },
            DigestMismatch => DigestMismatch,
            CompletedUpload => CompletedUpload,
            ParallelChunks => ParallelChunks,
            FinalUpload => FinalUpload,
            NotResumable { .. } => NotResumable { why: String::new() },
            Expired => Expired,
            TusVersion => TusVersion,
            WrongContentType { .. } => WrongContentType { expected: "" },
            NotFound => NotFound,
            MethodNotAllowed { .. } => MethodNotAllowed { allow: "" },
            MissingProgressId => MissingProgressId,
            BadRequest { .. } => BadRequest { what: "" },
            Unauthorized { .. } => Unauthorized { how: "" },
            Forbidden { .. } => Forbidden { why: "" },
            HostNotAllowed { .. } => HostNotAllowed { host: String::new() },
            OriginNotAllowed { .. } => OriginNotAllowed { origin: String::new() },
            HeadTooLarge { .. } => HeadTooLarge { what: "", limit: 0 },
             HeadTimeout { .. } => HeadTimeout { seconds: 0 },
            UploadTooLarge { .. } => UploadTooLarge { limit: 0 },
            RequestTooLarge { .. } => RequestTooLarge { limit: 0 },
            Stalled { .. } => Stalled { seconds: 0 },
            TooSlow { .. } => TooSlow { least: 0 },
            TookTooLong { .. } => TookTooLong { seconds: 0 },
            TooManyUploads => TooManyUploads,
            TooManyFromAddress => TooManyFromAddress,
            TooManyUnfinished { .. } => TooManyUnfinished { limit: 0 },
            StoreLimit => StoreLimit,
            OwnerLimit => OwnerLimit,
            AppUnreachable => AppUnreachable,
            AppTimeout { .. } => AppTimeout { seconds: 0 },
            AppRefused { .. } => AppRefused { status: 403 },
            AppFailed { .. } => AppFailed { status: 500 },
            ProcessingTimeout { .. } => ProcessingTimeout { seconds: 0 },
            HandOffFailed => HandOffFailed,
            Loop => Loop,
            AskFailed => AskFailed,
            BadTicket { .. } => BadTicket { why: "" },
            Cancelled => Cancelled,
            ShuttingDown => ShuttingDown,
            TooManyWatchers => TooManyWatchers,
            TooManyTunnels => TooManyTunnels,
            DiskFull => DiskFull,
            Store { .. } => Error::store(""),
        }
    }

    #[test]
    fn every_code_stands_in_the_docs_with_its_status_and_no_other_does() {
        let docs = include_str!("../docs/errors.md");
        let lines: Vec<_> = docs
            .lines()
            .filter(|line| line.starts_with("| `"))
            .collect();
        let handlers = [("file_too_large", 413), ("type_not_allowed", 415)];
        let mut codes = BTreeSet::new();
        for (code, status) in all().iter().map(Error::row).chain(handlers) {
            let begin = format!("| `{code}` | {status} | ");
            let line = lines.iter().find(|line| line.starts_with(&begin));
            assert!(line.is_some(), "docs/errors.md lacks {begin}");
            assert!(codes.insert(code), "two errors have the code {code}");
        }
        assert_eq!(
            lines.len(),
            codes.len(),
            "a line for a code that is no more"
        );
    }

    #[test]
    fn a_message_is_one_lower_case_line_without_a_full_stop() {
        for error in all() {
            let text = error.to_string();
            assert!(!text.contains('\n') && !text.ends_with('.'), "{text}");
            assert!(!text.starts_with(char::is_uppercase), "{text}");
        }
    }

    #[test]
    fn a_full_disk_is_told_from_other_failures() {
        let io = |kind| Error::store(std::io::Error::from(kind));
        assert_eq!(io(std::io::ErrorKind::StorageFull).code(), "disk_full");
        assert_eq!(
            io(std::io::ErrorKind::PermissionDenied).code(),
            "store_failed"
        );
    }
}
