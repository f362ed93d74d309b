//! A publish after a restart, to a target whose Secret is slow to read.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Stdio},
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};

use super::rig::{Alone, Cluster, wait_told};
use crate::support::{
    http::post,
    operator::{Launch, Operator},
    sink::Sink,
    wait::wait_for,
};

/// An address of the API server at which nobody gets a Secret before the gate is opened.
struct Gate {
    address: String,
    open: watch::Sender<bool>,
    proxy: Child,
    _serving: JoinSet<()>,
}

impl Gate {
    async fn start(cluster: &Cluster) -> Self {
        let mut proxy = cluster.plane.tool("kubectl");
        proxy.args(["proxy", "--port=0", "--address=127.0.0.1"]).stdout(Stdio::piped());
        let mut proxy = proxy.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(proxy.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let behind = line.trim().rsplit(' ').next().unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (open, gate) = watch::channel(false);
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((near, _)) = listener.accept().await {
                let far = TcpStream::connect(&behind).await.unwrap();
                connections.spawn(pass(near, far, gate.clone()));
            }
        });
        Self { address, open, proxy, _serving: serving }
    }

    /// The configuration of a client that goes through the gate.
    fn kubeconfig(&self) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "gate", "cluster": {"server": format!("http://{}", self.address)}}],
            "users": [{"name": "any", "user": {}}],
            "contexts": [{"name": "gate", "context": {"cluster": "gate", "user": "any"}}],
            "current-context": "gate",
        });
        std::fs::write(file.path(), config.to_string()).unwrap();
        file
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        let _ = self.proxy.kill();
        let _ = self.proxy.wait();
    }
}

/// Passes a connection on; one that asks for a Secret waits until the gate is open.
async fn pass(near: TcpStream, far: TcpStream, mut gate: watch::Receiver<bool>) {
    let (mut from_near, mut to_near) = near.into_split();
    let (mut from_far, mut to_far) = far.into_split();
    let asks = async {
        let mut part = vec![0; 64 * 1024];
        while let Ok(length @ 1..) = from_near.read(&mut part).await {
            let asked = part[..length].windows(9).any(|it| it == b"/secrets/");
            if asked && gate.wait_for(|open| *open).await.is_err() {
                return;
            }
            if to_far.write_all(&part[..length]).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = asks => {}
        _ = copy(&mut from_far, &mut to_near) => {}
    }
}

async fn publish(operator: &Operator, names: &[String], retry: bool) -> (u16, Value) {
    let body = json!({
        "alert": {"labels": {"alertname": if retry { "Queued" } else { "Refused" }}},
        "target_names": names,
        "options": {"retry": retry},
    });
    let reply = post(&operator.api_url("/api/v1/publish/parallel"), &body).await;
    (reply.status.as_u16(), reply.json())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publish_to_a_target_whose_secret_is_slow_to_read_is_queued_and_delivered() {
    let Some(alone) = Alone::turn() else { return };
    let cluster = alone.cluster;
    let namespace = cluster.namespace("unread");
    let sink = Sink::start().await;
    let objects = [
        json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "hook"},
            "stringData": {"url": sink.url("/")},
        }),
        json!({
            "apiVersion": "fanfare.dev/v1alpha1", "kind": "PublishTarget",
            "metadata": {"name": "hook"},
            "spec": {
                "type": "Webhook",
                "webhook": {"urlSecretRef": {"name": "hook", "key": "url"}},
                "healthCheck": {"type": "None"},
            },
        }),
    ];
    cluster.apply(&namespace, &objects.map(|it| it.to_string()).join("\n---\n"));
    let gate = Gate::start(cluster).await;
    let kubeconfig = gate.kubeconfig();
    let launch = Launch::with_kubeconfig(kubeconfig.path());
    let operator = launch.arg("--watch-namespace").arg(&namespace).start_ready().await;
    let names = [format!("{namespace}/hook")];

    let (status, answer) = publish(&operator, &names, false).await;
    let result = &answer["results"][0];
    assert_eq!(status, 502, "{answer}");
    assert_eq!(
        (&result["error_type"], &result["skipped"]),
        (&json!("not_attempted"), &json!(false))
    );
    let told = result["error"].as_str().unwrap();
    assert!(told.contains(&format!("Secret {namespace}/hook could not be read yet")), "{told}");

    let (status, answer) = publish(&operator, &names, true).await;
    assert_eq!((status, &answer["results"][0]["queued"]), (202, &json!(true)), "{answer}");
    assert!(sink.received().is_empty());
    gate.open.send_replace(true);
    wait_told(&sink, "Queued", "firing").await;
    wait_for("a publish goes through", super::rig::SOON, || async {
        publish(&operator, &names, false).await.0 == 200
    })
    .await;
    cluster.kubectl(&namespace, &["delete", "fanfare", "--all"]);
    alone.end(operator).await;
}
