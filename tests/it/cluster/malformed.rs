//! An object that was stored under an older, looser schema.

use fanfare::api::{Reason, TargetKey};

use super::rig::{PATIENT, Rig, webhook};
use crate::support::{controlplane::ControlPlane, wait::wait_for_value};

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_object_harms_only_itself_and_its_status_says_where() {
    let Some(plane) = ControlPlane::own() else { return };
    plane.install_crds();
    let namespace = plane.namespace("malformed").await;
    let strict = std::fs::read_to_string("crds/publishtargets.fanfare.dev.yaml").unwrap();
    let mut loose: serde_json::Value = serde_saphyr::from_str(&strict).unwrap();
    let schema = &mut loose["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    schema["properties"]["spec"] =
        serde_json::json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    loose["spec"]["versions"][0]["selectableFields"] = serde_json::json!([]);
    plane.apply("default", &loose.to_string());
    let poison = [
        ("unknown-type", r#"{"type": "Fax"}"#),
        ("wrong-type", r#"{"type": "Webhook", "webhook": {"url": ["a"]}}"#),
        ("no-type", r#"{"suspend": true}"#),
    ];
    for (name, spec) in poison {
        plane.apply(
            &namespace,
            &format!(
                "apiVersion: fanfare.dev/v1alpha1\nkind: PublishTarget\n\
                 metadata: {{name: {name}}}\nspec: {spec}\n"
            ),
        );
    }
    plane.kubectl_ok(&["apply", "--server-side", "--force-conflicts", "-f", "crds"]);
    plane.apply(&namespace, &webhook("good", "one"));

    let rig = Rig::start(&plane, &namespace).await;
    rig.complete().await;
    rig.accepts(&TargetKey::new(&namespace, "good"), 1, PATIENT).await;
    let client = plane.client().await;
    for (name, path) in
        [("unknown-type", "spec.type"), ("wrong-type", "spec.webhook.url"), ("no-type", "spec: ")]
    {
        let key = TargetKey::new(&namespace, name);
        let message = rig.rejects(&key, Reason::InvalidSpec, PATIENT).await;
        assert!(message.starts_with(path), "{message}");
        // The API server refuses every status of the other two: then an event tells it.
        if name == "unknown-type" {
            let status = super::rig::shows(&client, &key, ("Ready", "InvalidSpec"), PATIENT).await;
            assert!(status.to_string().contains(path), "{status}");
        } else {
            let note = event_about(&plane, &namespace, name).await;
            assert!(note.starts_with(path), "{note}");
        }
    }
    // Mending one is seen like any other change.
    plane.kubectl_ok(&["-n", &namespace, "delete", "ptgt", "no-type"]);
    plane.apply(&namespace, &webhook("no-type", "two"));
    rig.accepts(&TargetKey::new(&namespace, "no-type"), 1, PATIENT).await;
}

async fn event_about(plane: &ControlPlane, namespace: &str, name: &str) -> String {
    let told = wait_for_value(&format!("an event about {name}"), PATIENT, || async {
        let list = ["-n", namespace, "get", "events.events.k8s.io", "-o", "json"];
        let list: serde_json::Value = serde_json::from_str(&plane.kubectl_ok(&list)).unwrap();
        let mut events = list["items"].as_array().unwrap().iter();
        events.find(|event| event["regarding"]["name"] == name).cloned()
    })
    .await;
    assert_eq!(told["reason"], "InvalidSpec");
    told["note"].as_str().unwrap().to_owned()
}
