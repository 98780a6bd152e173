//! What signals ask for.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Listens for signals, from the moment it is made.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

/// What a signal asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Asked {
    /// SIGTERM or SIGINT, by number.
    Stop(i32),
    /// SIGHUP: look at the configuration again.
    Reload,
}

impl Signals {
    pub(super) fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// The next one.
    pub(super) async fn next(&mut self) -> Asked {
        let number = |kind: SignalKind| Asked::Stop(kind.as_raw_value());
        tokio::select! {
            _ = self.terminate.recv() => number(SignalKind::terminate()),
            _ = self.interrupt.recv() => number(SignalKind::interrupt()),
            _ = self.hangup.recv() => Asked::Reload,
        }
    }

    /// The number of the next one that asks to stop.
    pub(super) async fn next_stop(&mut self) -> i32 {
        loop {
            if let Asked::Stop(number) = self.next().await {
                return number;
            }
        }
    }
}
