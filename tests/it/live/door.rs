//! A receiver's port that closes and opens again, as when its process dies and comes back.

use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;

use crate::support::sink::Sink;

/// A port in front of a [`Sink`]. Closed, it refuses connections, and nobody else gets it.
pub(super) struct Door {
    address: SocketAddr,
    behind: SocketAddr,
    _reserved: TcpSocket,
    open: Option<JoinSet<()>>,
}

// === impl Door ===

impl Door {
    pub(super) fn open_to(sink: &Sink) -> Self {
        let reserved = socket(SocketAddr::from(([127, 0, 0, 1], 0)));
        let address = reserved.local_addr().unwrap();
        let mut door = Self { address, behind: sink.address(), _reserved: reserved, open: None };
        door.open();
        door
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    pub(super) fn open(&mut self) {
        let listener = socket(self.address).listen(64).unwrap();
        let mut open = JoinSet::new();
        open.spawn(serve(listener, self.behind));
        self.open = Some(open);
    }

    /// Cuts every connection and refuses new ones.
    pub(super) async fn close(&mut self) {
        if let Some(mut open) = self.open.take() {
            open.shutdown().await;
        }
    }
}

/// Bound, so that another socket of ours may listen on the same port.
fn socket(address: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(address).unwrap();
    socket
}

async fn serve(listener: TcpListener, behind: SocketAddr) {
    let mut connections = JoinSet::new();
    while let Ok((mut near, _)) = listener.accept().await {
        connections.spawn(async move {
            if let Ok(mut far) = TcpStream::connect(behind).await {
                let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
            }
        });
    }
}
