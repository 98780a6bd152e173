//! A copy of the progress in a cache that the app reads: never our truth, and nothing waits for it.
