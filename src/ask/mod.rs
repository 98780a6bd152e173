//! Asks the app over HTTP who may, before a body is read.
