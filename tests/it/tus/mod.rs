//! tus 1.0, byte for byte: what each section of the protocol asks for is a talk on a socket.
//!
//! | file | sections |
//! |---|---|
//! | `core.rs` | "Core Protocol": versions, HEAD, PATCH, OPTIONS, `X-HTTP-Method-Override` |
//! | `creation.rs` | "Creation", with `Upload-Defer-Length` and `Upload-Metadata`; "Creation With Upload" |
//! | `checksum.rs` | "Checksum", in head and trailer |
//! | `concat.rs` | "Concatenation", of finished and unfinished uploads |
//! | `ends.rs` | "Expiration", "Termination" |
//! | `any_order.rs` | all of them, in any order, with cut lines and servers that go |
//! | `around.rs` | what the protocol leaves to us: who may, foreign origins, proxies, limits, stores that cannot resume |

mod any_order;
mod around;
mod checksum;
mod concat;
mod core;
mod creation;
mod ends;
mod talk;
