//! What `kubectl get` prints.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceColumnDefinition;

/// One column: heading, type, JSON path, description. Wide ones only show with `-o wide`.
struct Column(&'static str, &'static str, &'static str, &'static str);

const TARGET: &[Column] = &[
    Column("Type", "string", ".spec.type", "Kind of receiver"),
    Column(
        "Ready",
        "string",
        r#".status.conditions[?(@.type=="Ready")].status"#,
        "Accepted and usable",
    ),
    Column(
        "Healthy",
        "string",
        r#".status.conditions[?(@.type=="Healthy")].status"#,
        "The far end answers",
    ),
    Column(
        "Reason",
        "string",
        r#".status.conditions[?(@.type=="Healthy")].reason"#,
        "Why Healthy is what it is",
    ),
    Column(
        "Since",
        "date",
        ".status.health.since",
        "Time since the far end is as it is; empty while that is not known",
    ),
    AGE,
];

const TARGET_WIDE: &[Column] = &[
    Column("State", "string", ".status.health.state", "Healthy, Degraded, Unhealthy or Unknown"),
    Column(
        "Circuit",
        "string",
        ".status.circuit.state",
        "Closed, Open (nothing is sent) or HalfOpen",
    ),
    Column("Endpoint", "string", ".status.endpoint", "Host that the target points to"),
    Column("Suspended", "boolean", ".spec.suspend", "Held back by spec.suspend"),
    Column(
        "Message",
        "string",
        r#".status.conditions[?(@.type=="Healthy")].message"#,
        "What happened and how to fix it",
    ),
];

const ROUTE: &[Column] = &[
    Column("Scope", "string", ".spec.scope", "Which alerts the route sees; empty is Namespace"),
    Column(
        "Ready",
        "string",
        r#".status.conditions[?(@.type=="Ready")].status"#,
        "Accepted, with at least one target",
    ),
    Column("Targets", "string", ".status.targets.summary", "Healthy targets of all targets"),
    Column(
        "Healthy",
        "string",
        r#".status.conditions[?(@.type=="Healthy")].status"#,
        "Its targets answer",
    ),
    Column(
        "Reason",
        "string",
        r#".status.conditions[?(@.type=="Healthy")].reason"#,
        "Why Healthy is what it is",
    ),
    AGE,
];

const ROUTE_WIDE: &[Column] = &[
    Column(
        "Priority",
        "integer",
        ".spec.priority",
        "Order among the routes of the namespace; empty is 0",
    ),
    Column("Matchers", "string", ".status.matcherSummary", "Which alerts it takes"),
    Column("Suspended", "boolean", ".spec.suspend", "Muted by spec.suspend"),
    Column(
        "Message",
        "string",
        r#".status.conditions[?(@.type=="Ready")].message"#,
        "What is wrong and how to fix it",
    ),
];

const AGE: Column =
    Column("Age", "date", ".metadata.creationTimestamp", "Time since the object was created");

/// The columns of `kubectl get publishtargets`.
pub(super) fn of_target() -> Vec<CustomResourceColumnDefinition> {
    definitions(TARGET, TARGET_WIDE)
}

/// The columns of `kubectl get alertroutes`.
pub(super) fn of_route() -> Vec<CustomResourceColumnDefinition> {
    definitions(ROUTE, ROUTE_WIDE)
}

fn definitions(always: &[Column], wide: &[Column]) -> Vec<CustomResourceColumnDefinition> {
    let define = |column: &Column, priority| CustomResourceColumnDefinition {
        name: column.0.to_owned(),
        type_: column.1.to_owned(),
        json_path: column.2.to_owned(),
        description: Some(column.3.to_owned()),
        priority,
        format: None,
    };
    let always = always.iter().map(|column| define(column, None));
    let wide = wide.iter().map(|column| define(column, Some(1)));
    always.chain(wide).collect()
}
