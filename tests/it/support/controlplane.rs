//! A real kube-apiserver with etcd, under the supervisor of `tests/controlplane`.

mod supervisor;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use kube::api::{Api, ObjectMeta, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::json;

use self::supervisor::Supervisor;
pub(crate) use self::supervisor::{built, say_skip};
use super::audit;
use super::program::{run_with_input, stdout_of};
use super::wait::wait_for;

static SHARED: OnceLock<Option<ControlPlane>> = OnceLock::new();
static NEXT: AtomicU32 = AtomicU32::new(1);

/// A running control plane; dropping it ends its servers.
pub(crate) struct ControlPlane {
    /// The address of the API server.
    pub(crate) server: String,
    /// A member of `system:masters`.
    pub(crate) admin_token: String,
    /// The admin's kubeconfig file.
    pub(crate) kubeconfig: PathBuf,
    /// The certificate of the API server's authority, in a PEM file.
    pub(crate) ca: PathBuf,
    /// A directory that is removed with the control plane.
    pub(crate) dir: PathBuf,
    bin: PathBuf,
    audit_log: PathBuf,
    crds: OnceLock<()>,
    supervisor: Mutex<Supervisor>,
}

// === impl ControlPlane ===

impl ControlPlane {
    /// The control plane that all tests of this binary share, started at first use. Without the
    /// servers (`cargo test` alone) it says SKIP and answers `None`.
    pub(crate) fn shared() -> Option<&'static Self> {
        let shared = SHARED.get_or_init(|| built().map(|bin| Self::start(&bin)));
        if shared.is_none() {
            say_skip();
        }
        shared.as_ref()
    }

    /// A control plane of the test's own, for tests that pause, kill or fill it.
    pub(crate) fn own() -> Option<Self> {
        let bin = built();
        if bin.is_none() {
            say_skip();
        }
        bin.map(|bin| Self::start(&bin))
    }

    /// Whether the servers are built; says SKIP if they are not.
    pub(crate) fn built() -> bool {
        let is_built = built().is_some();
        if !is_built {
            say_skip();
        }
        is_built
    }

    fn start(bin: &Path) -> Self {
        let (supervisor, ready) = Supervisor::start(bin);
        let text = |field: &str| ready[field].as_str().unwrap_or_default().to_owned();
        Self {
            server: text("server"),
            admin_token: text("token"),
            kubeconfig: text("kubeconfig").into(),
            ca: text("ca").into(),
            dir: text("dir").into(),
            bin: bin.to_owned(),
            audit_log: text("auditLog").into(),
            crds: OnceLock::new(),
            supervisor: Mutex::new(supervisor),
        }
    }

    /// A client with the admin's rights, on the runtime of the calling test.
    pub(crate) async fn client(&self) -> kube::Client {
        client_of(&self.kubeconfig).await
    }

    /// A client with the rights of `token`.
    pub(crate) async fn client_for_token(&self, token: &str) -> kube::Client {
        client_of(&self.kubeconfig_for_token(token, "default")).await
    }

    /// Runs kubectl as admin.
    pub(crate) fn kubectl(&self, args: &[&str]) -> Output {
        self.tool("kubectl").args(args).output().expect("kubectl was built")
    }

    /// Runs kubectl as admin, panics unless it succeeds, and answers what it printed.
    pub(crate) fn kubectl_ok(&self, args: &[&str]) -> String {
        stdout_of(&self.kubectl(args))
    }

    /// Runs kubectl as admin with `input` on its standard input: `apply(&["-n", ns], yaml)` is
    /// `kubectl_with(&["-n", ns, "apply", "-f", "-"], yaml)`.
    pub(crate) fn kubectl_with(&self, args: &[&str], input: &str) -> Output {
        let mut command = self.tool("kubectl");
        command.args(args);
        run_with_input(command, input)
    }

    /// Applies a manifest as admin, server-side and strictly; panics unless it is accepted.
    pub(crate) fn apply(&self, namespace: &str, manifest: &str) {
        let args = ["-n", namespace, "apply", "--server-side", "--validate=strict", "-f", "-"];
        stdout_of(&self.kubectl_with(&args, manifest));
    }

    /// A command for one of the built tools (`kubectl`, `helm`, `amtool`, `kubeconform`) with the
    /// admin's kubeconfig.
    pub(crate) fn tool(&self, name: &str) -> Command {
        let mut command = Command::new(self.bin.join(name));
        command.env("KUBECONFIG", &self.kubeconfig).current_dir(env!("CARGO_MANIFEST_DIR"));
        for dir in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
            command.env(dir, self.dir.join("helm"));
        }
        command
    }

    /// Installs `crds/` once per control plane and waits until the server serves them.
    pub(crate) fn install_crds(&self) {
        self.crds.get_or_init(|| {
            self.kubectl_ok(&["apply", "--server-side", "--force-conflicts", "-f", "crds"]);
            self.kubectl_ok(&[
                "wait",
                "--for=condition=Established",
                "--timeout=30s",
                "-f",
                "crds",
            ]);
        });
    }

    /// Creates a namespace that no other test uses.
    pub(crate) async fn namespace(&self, prefix: &str) -> String {
        let name = format!("{prefix}-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let metadata = ObjectMeta { name: Some(name.clone()), ..ObjectMeta::default() };
        let namespace = Namespace { metadata, ..Namespace::default() };
        Api::all(self.client().await)
            .create(&PostParams::default(), &namespace)
            .await
            .unwrap_or_else(|error| panic!("cannot create namespace {name}: {error}"));
        name
    }

    /// A token of a `ServiceAccount`, made by the `TokenRequest` API; the account is created when
    /// it is missing.
    pub(crate) async fn token(&self, namespace: &str, account: &str) -> String {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client().await, namespace);
        if accounts.get_opt(account).await.expect("admin may get accounts").is_none() {
            let metadata = ObjectMeta { name: Some(account.to_owned()), ..ObjectMeta::default() };
            let object = ServiceAccount { metadata, ..ServiceAccount::default() };
            accounts
                .create(&PostParams::default(), &object)
                .await
                .expect("admin may create accounts");
        }
        let request = TokenRequest {
            spec: Some(TokenRequestSpec {
                expiration_seconds: Some(3600),
                ..TokenRequestSpec::default()
            }),
            ..TokenRequest::default()
        };
        let answer = accounts
            .create_token_request(account, &PostParams::default(), &request)
            .await
            .expect("admin may request tokens");
        let token = answer.status.and_then(|status| status.token);
        token.expect("an answered request carries its token")
    }

    /// Writes a kubeconfig that uses `token`, with `namespace` as its default.
    pub(crate) fn kubeconfig_for_token(&self, token: &str, namespace: &str) -> PathBuf {
        let name = format!("kubeconfig-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let path = self.dir.join(name);
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "it",
            "clusters": [{"name": "it", "cluster":
                {"server": self.server, "certificate-authority": self.ca}}],
            "users": [{"name": "it", "user": {"token": token}}],
            "contexts": [{"name": "it", "context":
                {"cluster": "it", "user": "it", "namespace": namespace}}],
        });
        std::fs::write(&path, config.to_string()).expect("the control plane's directory is ours");
        path
    }

    /// Where the audit log ends now.
    pub(crate) fn audit_position(&self) -> u64 {
        audit::position(&self.audit_log)
    }

    /// The requests made since `position`. The server writes a line after it answered: await the
    /// line that you expect.
    pub(crate) fn audit_since(&self, position: u64) -> Vec<audit::Request> {
        audit::since(&self.audit_log, position)
    }

    /// Waits until the API server answers `/readyz` again.
    pub(crate) async fn wait_ready(&self) {
        wait_for("the API server is ready", Duration::from_mins(1), || async {
            let ready = ["get", "--raw", "/readyz", "--request-timeout=2s"];
            self.kubectl(&ready).status.success()
        })
        .await;
    }

    /// Stops the API server's process: connections stay open and fall silent.
    pub(crate) fn pause(&self) {
        self.command("pause");
    }

    /// Lets a paused API server run again.
    pub(crate) fn resume(&self) {
        self.command("continue");
    }

    /// Ends the API server at once; its data stay in etcd.
    pub(crate) fn kill(&self) {
        self.command("kill");
    }

    /// Starts the API server again (ending it first if it runs) and waits until it is ready.
    pub(crate) fn restart(&self) {
        self.command("restart");
    }

    /// Drops etcd's history: a watch from an older resource version is answered 410 Gone.
    pub(crate) fn compact(&self) {
        self.command("compact");
    }

    fn command(&self, command: &str) {
        let mut supervisor = self.supervisor.lock().unwrap_or_else(PoisonError::into_inner);
        supervisor.obey(command);
    }
}

async fn client_of(kubeconfig: &Path) -> kube::Client {
    let config = Kubeconfig::read_from(kubeconfig).expect("the fixture wrote this file");
    let config = kube::Config::from_custom_kubeconfig(config, &KubeConfigOptions::default())
        .await
        .expect("the fixture wrote this file");
    kube::Client::try_from(config).expect("the fixture's certificates are valid")
}
