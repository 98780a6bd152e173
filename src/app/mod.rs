//! The app behind: requests that are not ours go on to it, and its answers come back.
