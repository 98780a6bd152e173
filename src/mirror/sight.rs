//! Which address the app sees as its client's: behind us that is our own, on the connection to it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use tokio::net::{TcpStream, UdpSocket, lookup_host};
use tokio::time::timeout;

use crate::net::{Address, Upstream};

/// How long an address that was found is taken to be right, and one that was not is not looked for again.
const LASTS: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(2));

/// Knows it.
#[derive(Debug)]
pub(super) struct Sight {
    /// The app, where it is behind us.
    app: Option<Upstream>,
    patience: Duration,
    /// Ours, as `REMOTE_ADDR` says it. A socket in the file system has none: it is empty there.
    ours: String,
    good_until: Option<Instant>,
}

impl Sight {
    pub(super) fn new(app: Option<Upstream>, patience: Duration) -> Self {
        Self {
            app,
            patience,
            ours: String::new(),
            good_until: None,
        }
    }

    /// What the app sees; `None` where that is the client's own address. It is found out anew once in a while, since an
    /// app may begin to listen elsewhere.
    pub(super) async fn address(&mut self) -> Option<&str> {
        let Address::Tcp { host, port, .. } = self.app.as_ref()?.address() else {
            return Some("");
        };
        let now = Instant::now();
        if self.good_until.is_none_or(|until| until <= now) {
            let found = timeout(self.patience, towards(&host, port)).await;
            let lasts = match found {
                Ok(Some((ours, true))) => (ours, LASTS.0),
                Ok(Some((ours, false))) => (ours, LASTS.1),
                Ok(None) | Err(_) => (Ipv4Addr::LOCALHOST.into(), LASTS.1),
            };
            // What was seen of a connection is better than a guess.
            if lasts.1 == LASTS.0 || self.ours.is_empty() {
                self.ours = lasts.0.to_canonical().to_string();
            }
            self.good_until = Some(now + lasts.1);
        }
        Some(&self.ours)
    }
}

/// Our end of a connection to `host`, closed at once, and `true`; else of one that is never made.
async fn towards(host: &str, port: u16) -> Option<(IpAddr, bool)> {
    let addresses: Vec<_> = lookup_host((host, port)).await.ok()?.collect();
    for address in &addresses {
        if let Ok(stream) = TcpStream::connect(address).await {
            return Some((stream.local_addr().ok()?.ip(), true));
        }
    }
    // The app is down. A datagram socket says which way one would go, without sending anything.
    let address = addresses.first()?;
    let any: IpAddr = match address {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).await.ok()?;
    socket.connect(address).await.ok()?;
    Some((socket.local_addr().ok()?.ip(), false))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    async fn seen(app: Option<String>) -> Option<String> {
        let app = app.map(|app| app.parse().unwrap());
        let mut sight = Sight::new(app, Duration::from_secs(20));
        sight.address().await.map(str::to_owned)
    }

    #[tokio::test]
    async fn an_app_sees_our_end_of_the_connection_that_it_takes() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let ours = Some("127.0.0.1".to_owned());
        assert_eq!(seen(Some(format!("http://127.0.0.1:{port}"))).await, ours);
        // Whatever the name leads to first, it is where the app listens that counts.
        assert_eq!(seen(Some(format!("http://localhost:{port}"))).await, ours);
        drop(listener);
        // Down, it is the way to it.
        assert_eq!(seen(Some(format!("http://127.9.9.9:{port}"))).await, ours);
    }

    #[tokio::test]
    async fn a_unix_socket_has_no_address_and_without_an_app_the_client_is_seen() {
        let empty = Some(String::new());
        assert_eq!(seen(Some("unix:/run/app.sock".to_owned())).await, empty);
        assert_eq!(seen(None).await, None);
    }

    #[tokio::test]
    async fn what_was_a_guess_while_the_app_was_down_is_mended_once_it_is_up() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let app = format!("http://127.0.0.1:{port}").parse().unwrap();
        let mut sight = Sight::new(Some(app), Duration::from_secs(20));
        assert_eq!(sight.address().await, Some("127.0.0.1"));
        sight.ours = "::1".to_owned();
        let _listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        sight.good_until = None;
        assert_eq!(sight.address().await, Some("127.0.0.1"));
    }
}
