//! Resumable uploads by the IETF's draft (draft-ietf-httpbis-resumable-upload), byte for byte: what each section of it asks
//! for is a talk on a socket, in each of the versions that are spoken.
//!
//! | file | sections |
//! |---|---|
//! | `versions.rs` | the draft's versions: a whole upload in each of them, and all in which they differ |
//! | `fields.rs` | "Header Fields": structured fields, and what cannot be read as one |
//! | `create.rs` | "Upload Creation": at `/files/`, by PUT and by form; "Length"; names and types |
//! | `offset.rs` | "Offset Retrieval" |
//! | `append.rs` | "Upload Append", "Problem Types" |
//! | `cancel.rs` | "Upload Cancellation", "Concurrency" |
//! | `limits.rs` | "Upload-Limit", "Discovery of support": OPTIONS, and refusals by size |
//! | `interim.rs` | "Status Code 104" |
//! | `digests.rs` | "Integrity Digests" |
//! | `form.rs` | a form that goes on where it was cut |
//! | `around.rs` | "Security Considerations", and what the protocol leaves to us: who may, foreign origins, the end of a server |
//! | `../pieces.rs` | all of them, in any order, with cut lines and servers that go |
//! | `curl.rs` | the same by curl, as people do it by hand |

mod append;
mod around;
mod cancel;
mod create;
mod curl;
mod digests;
mod fields;
mod form;
mod interim;
mod limits;
mod offset;
mod talk;
mod versions;
