//! Connections that stay open and say nothing: a broken proxy, a lost NAT entry.

use std::net::SocketAddr;

use fanfare::api::TargetKey;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, tcp},
    sync::watch,
};

use super::rig::{PATIENT, Rig, config, webhook};
use crate::support::controlplane::ControlPlane;

/// Passes bytes on; after `freeze` the connections of that time stay open and carry nothing.
struct Proxy {
    address: SocketAddr,
    frozen: watch::Sender<u64>,
}

impl Proxy {
    async fn start(upstream: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (frozen, epoch) = watch::channel(0);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(server) = TcpStream::connect(upstream).await else { continue };
                let ((from_client, to_client), (from_server, to_server)) =
                    (client.into_split(), server.into_split());
                tokio::spawn(pump(from_client, to_server, epoch.clone()));
                tokio::spawn(pump(from_server, to_client, epoch.clone()));
            }
        });
        Self { address, frozen }
    }

    fn freeze(&self) {
        self.frozen.send_modify(|epoch| *epoch += 1);
    }
}

async fn pump(
    mut from: tcp::OwnedReadHalf,
    mut to: tcp::OwnedWriteHalf,
    mut epoch: watch::Receiver<u64>,
) {
    epoch.mark_unchanged();
    let mut buffer = vec![0; 16 * 1024];
    loop {
        tokio::select! {
            biased;
            changed = epoch.changed() => {
                if changed.is_ok() {
                    // Both halves stay open and silent until the test ends.
                    std::future::pending::<()>().await;
                }
                return;
            }
            read = from.read(&mut buffer) => {
                let Ok(length @ 1..) = read else { return };
                if to.write_all(&buffer[..length]).await.is_err() {
                    return;
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_watch_is_replaced() {
    let Some(plane) = ControlPlane::shared() else { return };
    plane.install_crds();
    let namespace = plane.namespace("silence").await;
    let mut settings = config(&plane.kubeconfig).await;
    let upstream = settings.cluster_url.authority().unwrap().as_str().parse().unwrap();
    let proxy = Proxy::start(upstream).await;
    settings.cluster_url = format!("https://{}", proxy.address).parse().unwrap();
    plane.apply(&namespace, &webhook("hook", "one"));
    let rig = Rig::launch(&settings, &[&namespace], &namespace);
    let key = TargetKey::new(&namespace, "hook");
    rig.accepts(&key, 1, PATIENT).await;
    rig.leads(PATIENT).await;

    proxy.freeze();
    plane.apply(&namespace, &webhook("hook", "two"));
    rig.accepts(&key, 2, PATIENT).await;
    rig.leads(PATIENT).await;
}
