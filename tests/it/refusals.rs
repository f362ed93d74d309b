//! What the API refuses, as data: one fault per object, with a part of the message that users then read.
//! The same table is fed to the real API server (`crd_server`) and to the validation of `--manifests`.

mod accepted;
mod mutation;
mod route;
mod target;

use fanfare::api::validate::{self, Violation};
use serde_json::{Value, json};

pub(crate) use accepted::accepted;
pub(crate) use mutation::mutations;

/// One object that must be refused.
pub(crate) struct Refusal {
    /// Name of the fault.
    pub(crate) name: &'static str,
    /// `PublishTarget` or `AlertRoute`.
    pub(crate) kind: &'static str,
    /// The spec.
    pub(crate) spec: fn() -> Value,
    /// The stored spec that the object would replace: for rules about changes.
    pub(crate) old: Option<fn() -> Value>,
    /// A part of the refusal's message that both validators print.
    pub(crate) message: &'static str,
}

/// A table of refusals as a function and, beside it, one test per row for the offline validator and one for the
/// real server.
macro_rules! refusals {
    ($kind:literal, $($name:ident: $spec:tt $(replaces $old:tt)? => $message:literal;)*) => {
        pub(crate) const ALL: &[crate::refusals::Refusal] = &[$(crate::refusals::Refusal {
            name: stringify!($name),
            kind: $kind,
            spec: || serde_json::json!($spec),
            old: crate::refusals::refusals!(@old $($old)?),
            message: $message,
        }),*];

        mod offline {
            $(
                #[test]
                fn $name() {
                    crate::refusals::refused_offline(super::ALL, stringify!($name));
                }
            )*
        }

        mod server {
            $(
                #[test]
                fn $name() {
                    crate::crd_server::refused(super::ALL, stringify!($name));
                }
            )*
        }
    };
    (@old) => { None };
    (@old $old:tt) => { Some(|| serde_json::json!($old)) };
}
pub(crate) use refusals;

impl Refusal {
    /// The row of a name.
    pub(crate) fn find(table: &'static [Self], name: &str) -> &'static Self {
        table.iter().find(|row| row.name == name).unwrap()
    }

    /// The whole object around a spec.
    pub(crate) fn object(&self, spec: fn() -> Value) -> Value {
        object(self.kind, &self.name.replace('_', "-"), &spec())
    }
}

/// An object of a kind.
pub(crate) fn object(kind: &str, name: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": "fanfare.dev/v1alpha1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": spec,
    })
}

/// What the offline validator says about an object.
pub(crate) fn offline(object: &Value, old: Option<&Value>) -> Result<(), Vec<Violation>> {
    match (object["kind"].as_str(), old) {
        (Some("PublishTarget"), None) => validate::validate_target(object).map(drop),
        (Some("PublishTarget"), Some(old)) => {
            validate::validate_target_update(object, old).map(drop)
        }
        _ => validate::validate_route(object).map(drop),
    }
}

pub(crate) fn refused_offline(table: &'static [Refusal], name: &str) {
    let row = Refusal::find(table, name);
    let old = row.old.map(|old| row.object(old));
    if let Some(old) = &old {
        assert_eq!(offline(old, None), Ok(()), "{name}: what it replaces");
    }
    let found = offline(&row.object(row.spec), old.as_ref()).expect_err("accepted");
    let text: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert!(
        text.iter().any(|text| text.contains(row.message)),
        "{name}: expected {:?} in {text:#?}",
        row.message
    );
    assert_eq!(found.len(), 1, "{name}: more than one fault: {text:#?}");
}
