//! Rights and pod of the rendered chart.

use clap::Parser as _;
use fanfare::config::Config;
use serde_json::{Value, json};

use super::{Bed, NAMESPACE, SETS, of_kind, only};

#[test]
fn no_rule_has_a_wildcard() {
    let Some(bed) = Bed::programs() else { return };
    for set in SETS {
        for (role, rule) in rules(&bed.render(set, &[])) {
            assert!(!rule.to_string().contains('*'), "{set}: {role}: {rule}");
            assert!(rule["verbs"].is_array() && rule["resources"].is_array(), "{set}: {rule}");
        }
    }
}

#[test]
fn secrets_are_read_by_name_in_listed_namespaces_only() {
    let Some(bed) = Bed::programs() else { return };
    for (set, namespaces) in [
        ("default", vec![NAMESPACE]),
        ("namespaced", vec!["team-a", "team-b"]),
        ("no-volume", vec![]),
        ("everything", vec![NAMESPACE, "team-a", "team-b"]),
    ] {
        let objects = bed.render(set, &[]);
        let mut found = Vec::new();
        for (role, rule) in rules(&objects) {
            if rule["resources"].to_string().contains("secrets") {
                assert!(role.starts_with("Role "), "{set}: {role} reads Secrets");
                assert_eq!(rule["verbs"], json!(["get"]), "{set}: {role}");
                found.push(role.split(' ').nth(1).unwrap().to_owned());
            }
        }
        assert_eq!(found, namespaces, "{set}");
    }
}

#[test]
fn namespaced_mode_creates_nothing_for_the_cluster() {
    let Some(bed) = Bed::programs() else { return };
    let objects = bed.render("namespaced", &[]);
    for object in &objects {
        let namespace = &object["metadata"]["namespace"];
        assert!(namespace.is_string(), "{} is cluster-wide", object["kind"]);
    }
    let watched = "--watch-namespace=team-a,team-b";
    assert!(args(&objects).contains(&watched.to_owned()));
    assert!(!args(&objects).iter().any(|arg| arg.starts_with("--cluster-route")));
    let alone = bed.render("default", &["--set", "rbac.mode=namespaced"]);
    assert!(args(&alone).contains(&format!("--watch-namespace={NAMESPACE}")));
    assert!(of_kind(&alone, "ClusterRole").is_empty());
}

#[test]
fn rights_on_objects_stay_within_the_watched_namespaces() {
    let Some(bed) = Bed::programs() else { return };
    let objects = bed.render("no-volume", &[]);
    for (role, rule) in rules(&objects) {
        let ours = rule["apiGroups"] == json!(["fanfare.dev"]);
        let admin = role.ends_with("-view") || role.ends_with("-edit");
        assert!(!ours || admin || role.starts_with("Role "), "{role}: {rule}");
    }
    let cluster = of_kind(&objects, "ClusterRoleBinding");
    assert_eq!(cluster.len(), 1, "namespaces are read for allowedRoutes");
    let blind = bed.render("no-volume", &["--set", "rbac.readNamespaces=false"]);
    assert!(of_kind(&blind, "ClusterRoleBinding").is_empty());
}

#[test]
fn lease_is_written_by_its_name_only() {
    let Some(bed) = Bed::programs() else { return };
    let objects = bed.render("everything", &[]);
    let lease: Vec<_> = rules(&objects)
        .into_iter()
        .filter(|(_, rule)| rule["resources"] == json!(["leases"]))
        .collect();
    assert_eq!(lease.len(), 2);
    for (role, rule) in lease {
        assert!(role.starts_with(&format!("Role {NAMESPACE} ")), "{role}");
        let named = rule["resourceNames"] == json!(["fanfare-lease"]);
        assert_eq!(named, rule["verbs"] != json!(["create"]), "{rule}");
    }
}

#[test]
fn every_binding_binds_the_releases_account_to_a_role_that_exists() {
    let Some(bed) = Bed::programs() else { return };
    for set in SETS {
        let objects = bed.render(set, &[]);
        let account = &only(&objects, "ServiceAccount")["metadata"]["name"];
        let pod = &only(&objects, "StatefulSet")["spec"]["template"]["spec"];
        assert_eq!(&pod["serviceAccountName"], account, "{set}");
        for kind in ["RoleBinding", "ClusterRoleBinding"] {
            for binding in of_kind(&objects, kind) {
                let subject =
                    json!([{"kind": "ServiceAccount", "name": account, "namespace": NAMESPACE}]);
                assert_eq!(binding["subjects"], subject, "{set}");
                let role = &binding["roleRef"];
                let exists = objects.iter().any(|object| {
                    object["kind"] == role["kind"]
                        && object["metadata"]["name"] == role["name"]
                        && object["metadata"]["namespace"] == binding["metadata"]["namespace"]
                });
                assert!(exists, "{set}: no {role}");
            }
        }
    }
}

#[test]
fn pod_is_locked_down_and_probed() {
    let Some(bed) = Bed::programs() else { return };
    for set in SETS {
        let objects = bed.render(set, &[]);
        let pod = &only(&objects, "StatefulSet")["spec"]["template"]["spec"];
        let container = &pod["containers"][0];
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
        assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
        assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true);
        assert_eq!(container["securityContext"]["capabilities"]["drop"], json!(["ALL"]));
        for (probe, path) in
            [("startupProbe", "/livez"), ("livenessProbe", "/livez"), ("readinessProbe", "/readyz")]
        {
            assert_eq!(container[probe]["httpGet"], json!({"path": path, "port": "admin"}));
        }
        let grace = args(&objects)
            .iter()
            .find_map(|arg| arg.strip_prefix("--shutdown-grace=")?.strip_suffix('s')?.parse().ok());
        assert!(pod["terminationGracePeriodSeconds"].as_i64() > grace, "{set}");
        for (name, path) in [("POD_NAMESPACE", "metadata.namespace"), ("POD_NAME", "metadata.name")]
        {
            let field = json!({"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}});
            assert!(container["env"].as_array().unwrap().contains(&field), "{set}");
        }
    }
}

#[test]
fn api_is_on_loopback_unless_it_is_exposed_with_a_token() {
    let Some(bed) = Bed::programs() else { return };
    for (set, listen) in [("default", "127.0.0.1"), ("exposed-api", "0.0.0.0")] {
        let objects = bed.render(set, &[]);
        let exposed = listen == "0.0.0.0";
        assert!(args(&objects).contains(&format!("--api-listen={listen}:9094")), "{set}");
        let file = "--api-token-file=/etc/fanfare/api-token/token".to_owned();
        assert_eq!(args(&objects).contains(&file), exposed, "{set}");
        let ports = |object: &Value| object.to_string().contains("\"name\":\"api\"");
        assert_eq!(ports(only(&objects, "StatefulSet")), exposed, "{set}");
        assert_eq!(ports(of_kind(&objects, "Service")[0]), exposed, "{set}");
    }
}

#[test]
fn what_is_immutable_never_depends_on_labels_or_versions() {
    let Some(bed) = Bed::programs() else { return };
    let fixed = |args: &[&str]| {
        let objects = bed.render("default", args);
        let spec = &only(&objects, "StatefulSet")["spec"];
        ["selector", "volumeClaimTemplates", "serviceName", "podManagementPolicy"]
            .map(|field| spec[field].clone())
    };
    assert!(fixed(&[]).iter().all(|field| !field.is_null()));
    let changed = ["--set", "commonLabels.a=b", "--set", "podLabels.c=d", "--set", "image.tag=v9"];
    assert_eq!(fixed(&[]), fixed(&changed));
}

#[test]
fn image_is_named_by_registry_repository_and_digest_or_tag() {
    let Some(bed) = Bed::programs() else { return };
    let image = |set: &str, args: &[&str]| {
        let objects = bed.render(set, args);
        let pod = &only(&objects, "StatefulSet")["spec"]["template"]["spec"];
        pod["containers"][0]["image"].as_str().unwrap().to_owned()
    };
    let built = concat!("fanfare:", env!("CARGO_PKG_VERSION"));
    assert_eq!(image("default", &[]), built, "what make image builds");
    let tagged = ["--set", "image.registry=registry.example/team,image.tag=v9"];
    assert_eq!(image("default", &tagged), "registry.example/team/fanfare:v9");
    let digest = format!("registry.example/alerting/fanfare@sha256:{}", "a".repeat(64));
    assert_eq!(image("everything", &[]), digest);
}

#[test]
fn own_labels_cannot_be_replaced() {
    let Some(bed) = Bed::programs() else { return };
    for object in bed.render("everything", &[]) {
        let labels = &object["metadata"]["labels"];
        if object["kind"] != "CustomResourceDefinition" {
            assert_eq!(labels["app.kubernetes.io/name"], "fan", "{object}");
            assert_eq!(labels["team"], "sre", "{object}");
        }
    }
}

#[test]
fn program_takes_the_arguments_of_every_value_set() {
    let Some(bed) = Bed::programs() else { return };
    for set in SETS {
        let given = args(&bed.render(set, &[]));
        assert_eq!(given[0], "run", "{set}");
        let run = Run::try_parse_from(given).unwrap_or_else(|error| panic!("{set}: {error}"));
        run.config.check().unwrap_or_else(|error| panic!("{set}: {error}"));
    }
}

/// `fanfare run`, as far as its flags go.
#[derive(clap::Parser)]
struct Run {
    #[command(flatten)]
    config: Config,
}

/// Every rule with the kind, namespace and name of its role.
fn rules(objects: &[Value]) -> Vec<(String, Value)> {
    let mut all = Vec::new();
    for object in objects {
        let metadata = &object["metadata"];
        let word = |value: &Value| value.as_str().unwrap_or("-").to_owned();
        for rule in object["rules"].as_array().into_iter().flatten() {
            let role = [&object["kind"], &metadata["namespace"], &metadata["name"]].map(word);
            all.push((role.join(" "), rule.clone()));
        }
    }
    assert!(!all.is_empty(), "no role was rendered");
    all
}

/// The arguments of the container.
fn args(objects: &[Value]) -> Vec<String> {
    let pod = &only(objects, "StatefulSet")["spec"]["template"]["spec"];
    let args = pod["containers"][0]["args"].as_array().unwrap();
    args.iter().map(|arg| arg.as_str().unwrap().to_owned()).collect()
}
