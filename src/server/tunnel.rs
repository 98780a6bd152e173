//! A client's connection and one to the app, joined: what comes from either goes to the other, as it is.
//!
//! ```text
//! client ──► 8 KiB ──► app      each way reads on only when its last piece is written,
//!        ◄── 8 KiB ◄──          so whoever reads slowly slows the other down
//! ```
//!
//! Whoever closes its side is heard by the other, whose own side stays open. When the server stops, the app hears that the
//! client has nothing more to say, and its last words still go out.

use std::future::pending;
use std::io;
use std::sync::Mutex;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split};
use tokio::time::{Instant, sleep_until};

/// Bytes held of each way.
const PIECE: usize = 8 << 10;

/// Joins the two until both have closed their sides, one of them has gone, or nothing went through for `idle`. `early` are
/// bytes of the client's that have been read already; `stopped` is ready when nothing more is taken from it.
pub(super) async fn join(
    client: impl AsyncRead + AsyncWrite,
    app: impl AsyncRead + AsyncWrite,
    early: &[u8],
    idle: Duration,
    stopped: impl Future<Output = ()>,
) {
    let ((mut client_reads, mut client_writes), (mut app_reads, mut app_writes)) =
        (split(client), split(app));
    let pulse = Pulse::new();
    let up = async {
        app_writes.write_all(early).await?;
        app_writes.flush().await?;
        carry(&mut client_reads, &mut app_writes, &pulse, stopped).await
    };
    let down = carry(&mut app_reads, &mut client_writes, &pulse, pending());
    let ended = tokio::select! {
        ended = async { tokio::try_join!(up, down) } => ended,
        () = pulse.stops(idle) => {
            tracing::debug!(?idle, "a tunnel was silent for too long");
            return;
        }
    };
    if let Err(cause) = ended {
        tracing::debug!(%cause, "a tunnel broke off");
    }
}

/// Carries all that comes, then closes the side to which it went.
async fn carry(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    pulse: &Pulse,
    stopped: impl Future<Output = ()>,
) -> io::Result<()> {
    tokio::pin!(stopped);
    let mut piece = vec![0; PIECE];
    loop {
        let bytes = tokio::select! {
            bytes = from.read(&mut piece) => bytes?,
            () = &mut stopped => 0,
        };
        if bytes == 0 {
            return to.shutdown().await;
        }
        to.write_all(&piece[..bytes]).await?;
        to.flush().await?;
        pulse.beats();
    }
}

/// When something last went through.
struct Pulse(Mutex<Instant>);

impl Pulse {
    fn new() -> Self {
        Self(Mutex::new(Instant::now()))
    }

    fn beats(&self) {
        *self.0.lock().expect("nobody panics over it") = Instant::now();
    }

    /// Ends when nothing has gone through for `idle`.
    async fn stops(&self, idle: Duration) {
        loop {
            let due = *self.0.lock().expect("nobody panics over it") + idle;
            if due <= Instant::now() {
                return;
            }
            sleep_until(due).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::duplex;
    use tokio::time::timeout;

    use super::*;

    const IDLE: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn a_tunnel_ends_when_nothing_went_through_for_its_time() {
        let (mut client, ours) = duplex(100);
        let (_app, theirs) = duplex(100);
        let begun = Instant::now();
        let joined = tokio::spawn(join(ours, theirs, b"", IDLE, pending()));
        tokio::time::sleep(IDLE / 2).await;
        client.write_all(b"x").await.unwrap();
        joined.await.unwrap();
        assert_eq!(begun.elapsed(), IDLE / 2 + IDLE);
        assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_tunnel_ends_when_what_is_sent_is_not_read_for_its_time() {
        let (mut client, ours) = duplex(100);
        let (_app, theirs) = duplex(100);
        let joined = tokio::spawn(join(ours, theirs, b"", IDLE, pending()));
        client.write_all(&[7; 100]).await.unwrap();
        let more = client.write_all(&[7; 100 << 10]).await;
        assert_eq!(more.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        joined.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_side_that_is_closed_leaves_the_other_open() {
        let (mut client, ours) = duplex(100);
        let (mut app, theirs) = duplex(100);
        let joined = tokio::spawn(join(ours, theirs, b"early ", IDLE, pending()));
        client.write_all(b"and late").await.unwrap();
        client.shutdown().await.unwrap();
        let mut heard = String::new();
        app.read_to_string(&mut heard).await.unwrap();
        assert_eq!(heard, "early and late");
        app.write_all(b"still here").await.unwrap();
        app.shutdown().await.unwrap();
        let mut heard = String::new();
        client.read_to_string(&mut heard).await.unwrap();
        assert_eq!(heard, "still here");
        joined.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn when_the_server_stops_the_app_has_the_last_word() {
        let (mut client, ours) = duplex(100);
        let (mut app, theirs) = duplex(100);
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let stopped = async { drop(stopped.await) };
        let joined = tokio::spawn(join(ours, theirs, b"", IDLE, stopped));
        stop.send(()).unwrap();
        assert_eq!(app.read(&mut [0]).await.unwrap(), 0);
        app.write_all(b"bye").await.unwrap();
        drop(app);
        let mut heard = String::new();
        client.read_to_string(&mut heard).await.unwrap();
        assert_eq!(heard, "bye");
        timeout(IDLE, joined).await.unwrap().unwrap();
    }
}
