use std::process::{Command, Stdio};
use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::api::Api;

use crate::support::controlplane::ControlPlane;
use crate::support::wait::{wait_for, wait_for_value};

const WITHIN: Duration = Duration::from_secs(10);

#[tokio::test]
async fn namespaces_are_unique_and_real() {
    let Some(plane) = ControlPlane::shared() else {
        return;
    };
    let (one, two) = (plane.namespace("unique").await, plane.namespace("unique").await);
    assert_ne!(one, two);
    let namespaces: Api<Namespace> = Api::all(plane.client().await);
    assert!(namespaces.get(&one).await.is_ok());
    assert!(plane.kubectl_ok(&["get", "namespace", &two, "-o", "name"]).contains(&two));
}

#[tokio::test]
async fn kubectl_tells_what_the_server_refused() {
    let Some(plane) = ControlPlane::shared() else {
        return;
    };
    let output = plane.kubectl_with(
        &["apply", "-f", "-"],
        "{apiVersion: v1, kind: Nothing, metadata: {name: x}}",
    );
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("no matches for kind"));
}

#[tokio::test]
async fn service_account_has_no_rights_of_its_own() {
    let Some(plane) = ControlPlane::shared() else {
        return;
    };
    let namespace = plane.namespace("rights").await;
    let token = plane.token(&namespace, "nobody").await;
    let client = plane.client_for_token(&token).await;
    let maps: Api<ConfigMap> = Api::namespaced(client, &namespace);
    let refused = maps.get("any").await.expect_err("nothing was granted");
    let kube::Error::Api(status) = refused else { panic!("not an API error: {refused}") };
    assert_eq!(status.code, 403);
    assert!(status.message.contains(&format!("system:serviceaccount:{namespace}:nobody")));
}

#[tokio::test]
async fn service_account_uses_what_is_granted_and_the_audit_log_shows_it() {
    let Some(plane) = ControlPlane::shared() else {
        return;
    };
    let namespace = plane.namespace("granted").await;
    let token = plane.token(&namespace, "reader").await;
    let reader = format!("--serviceaccount={namespace}:reader");
    let within = ["-n", &namespace];
    let role = ["create", "role", "reader", "--verb=get", "--resource=configmaps"];
    plane.kubectl_ok(&[&within[..], &role].concat());
    let bind = ["create", "rolebinding", "reader", "--role=reader", &reader];
    plane.kubectl_ok(&[&within[..], &bind].concat());
    plane.apply(&namespace, "{apiVersion: v1, kind: ConfigMap, metadata: {name: seen}}");
    let maps: Api<ConfigMap> = Api::namespaced(plane.client_for_token(&token).await, &namespace);
    let start = plane.audit_position();
    // The authorizer learns of a new binding by a watch.
    wait_for("the grant works", WITHIN, || async { maps.get("seen").await.is_ok() }).await;

    let user = format!("system:serviceaccount:{namespace}:reader");
    let seen = wait_for_value("the audit line", WITHIN, || async {
        plane
            .audit_since(start)
            .into_iter()
            .find(|request| request.user == user && request.code == 200)
    })
    .await;
    assert_eq!(
        (seen.verb.as_str(), seen.resource.as_str(), seen.name.as_str()),
        ("get", "configmaps", "seen")
    );
    assert_eq!((seen.group.as_str(), seen.subresource.as_str()), ("", ""));
    assert_eq!((&seen.namespace, seen.stage.as_str()), (&namespace, "ResponseComplete"));
    assert!(seen.uri.ends_with("/configmaps/seen") && !seen.user_agent.contains("kubectl"));
}

#[tokio::test]
async fn faults_come_and_go_on_command() {
    let Some(plane) = ControlPlane::own() else {
        return;
    };
    let asks =
        |timeout: &'static str| plane.kubectl(&["get", "ns", "default", timeout]).status.success();
    assert!(asks("--request-timeout=5s"));

    plane.pause();
    assert!(!asks("--request-timeout=1s"), "a paused server is silent");
    plane.resume();
    plane.wait_ready().await;

    plane.kubectl_ok(&["create", "namespace", "survivor"]);
    plane.kill();
    assert!(!asks("--request-timeout=1s"), "a killed server is gone");
    plane.restart();
    assert!(plane.kubectl_ok(&["get", "ns"]).contains("survivor"), "etcd kept its data");
    plane.compact();
}

#[tokio::test]
async fn compacted_history_is_gone_for_a_watch() {
    let Some(plane) = ControlPlane::own() else {
        return;
    };
    let version =
        plane.kubectl_ok(&["get", "ns", "default", "-o", "jsonpath={.metadata.resourceVersion}"]);
    plane.kubectl_ok(&["create", "configmap", "later"]);
    plane.compact();
    plane.restart();
    let path = format!("/api/v1/namespaces?watch=1&timeoutSeconds=1&resourceVersion={version}");
    let answer = plane.kubectl_ok(&["get", "--raw", &path]);
    assert!(answer.contains("410"), "{answer}");
}

#[tokio::test]
async fn servers_end_with_the_fixture() {
    let Some(plane) = ControlPlane::own() else {
        return;
    };
    let (dir, server) = (plane.dir.clone(), plane.server.clone());
    drop(plane);
    assert!(!dir.exists());
    let address = server.trim_start_matches("https://").to_owned();
    assert!(std::net::TcpStream::connect(address).is_err());
}

#[tokio::test]
async fn tools_are_built() {
    let Some(plane) = ControlPlane::shared() else {
        return;
    };
    for (tool, ask) in [("helm", "version"), ("amtool", "--version"), ("kubeconform", "-v")] {
        let status = plane.tool(tool).arg(ask).stdout(Stdio::null()).stderr(Stdio::null()).status();
        assert!(status.is_ok_and(|status| status.success()), "{tool} {ask}");
    }
}

/// Where the servers are not built, tests say so and pass; they never pass in silence.
#[test]
fn missing_control_plane_is_said_loudly() {
    let me = std::env::current_exe().expect("the test binary has a path");
    let output = Command::new(me)
        .args(["--exact", "testbed::plane::tools_are_built"])
        .env_remove("FANFARE_CONTROLPLANE_BIN")
        .output()
        .expect("the test binary runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        said.contains(
            "SKIP: testbed::plane::tools_are_built: needs a control plane (run make test)"
        ),
        "{said}"
    );
}
