//! Requests of our own to other servers, on a thread of their own.
