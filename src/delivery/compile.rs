//! From a spec to a target: pure, the same for every type.

use std::{collections::BTreeMap, sync::Arc};

use base64::{Engine, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue, header::AUTHORIZATION};

use super::{
    credentials::{Credentials, Reader, Refusal},
    vendor::{self, Address},
};
use crate::{
    api::{
        Auth, AuthType, Connection, Header, HealthState, NamespacesFrom, PublishTargetSpec,
        TargetKey,
    },
    registry::{
        Allowed, HealthPolicy, Live, Moment, ProbePlan, RejectedTarget, Secret, Target, TlsRoots,
    },
};

/// A `PublishTarget` object as it was read.
#[derive(Clone, Debug)]
pub struct Object {
    /// Its name.
    pub key: TargetKey,
    /// UID of the object.
    pub uid: Arc<str>,
    /// Generation of the object.
    pub generation: i64,
    /// Labels of the object.
    pub labels: Arc<BTreeMap<String, String>>,
    /// The spec.
    pub spec: Arc<PublishTargetSpec>,
}

/// What a spec and its credentials come to.
struct Parts {
    address: Address,
    tls_roots: Option<TlsRoots>,
    probe: Option<ProbePlan>,
}

/// Compiles a target. What moves (health, counters) begins anew; the registry gives a target that it
/// knows its former state.
///
/// # Errors
/// [`RejectedTarget`] says why the object is not usable; its message never holds a secret.
pub fn compile(
    object: Object,
    credentials: &dyn Credentials,
    now: Moment,
) -> Result<Target, Box<RejectedTarget>> {
    let reader = Reader { namespace: &object.key.namespace, credentials };
    let Parts { address, tls_roots, probe } = match parts(&object.spec, &reader) {
        Ok(parts) => parts,
        Err(refusal) => return Err(Box::new(rejected(object, refusal))),
    };
    let Object { key, uid, generation, labels, spec } = object;
    let max_in_flight = spec.max_in_flight();
    Ok(Target {
        key,
        uid,
        generation,
        labels,
        kind: spec.type_,
        endpoints: address.endpoints.into(),
        method: address.method,
        headers: address.headers,
        body_credential: address.body_credential,
        tls_roots,
        timeout: spec.delivery_timeout(),
        max_in_flight,
        policy: spec.delivery_policy(),
        health: health_policy(&spec),
        probe,
        allowed: allowed(&spec),
        live: Live::new(max_in_flight, now),
        spec,
    })
}

fn rejected(object: Object, refusal: Refusal) -> RejectedTarget {
    RejectedTarget {
        key: object.key,
        uid: object.uid,
        generation: object.generation,
        kind: Some(object.spec.type_),
        labels: object.labels,
        allowed: allowed(&object.spec),
        policies: Some((object.spec.delivery_policy(), health_policy(&object.spec))),
        reason: refusal.reason,
        message: refusal.message,
        suspended: object.spec.suspend,
        health: HealthState::Unknown,
        permanent: refusal.permanent,
    }
}

fn parts(spec: &PublishTargetSpec, reader: &Reader) -> Result<Parts, Refusal> {
    let vendor = vendor::of(spec.type_);
    let connection = spec.connection.as_deref();
    let mut address = vendor.address(spec, reader)?;
    add_headers(&mut address.headers, connection, reader)?;
    let tls_roots = tls_roots(connection, reader)?;
    let probe = super::probe::plan(spec, vendor)?;
    Ok(Parts { address, tls_roots, probe })
}

/// Adds the connection's own headers and its authentication.
fn add_headers(
    headers: &mut HeaderMap,
    connection: Option<&Connection>,
    reader: &Reader,
) -> Result<(), Refusal> {
    let Some(connection) = connection else { return Ok(()) };
    for header in &connection.headers {
        let name: HeaderName = header.name.parse().map_err(|_| {
            Refusal::spec(
                "a name in spec.connection.headers is not a header name; use letters, digits and -",
            )
        })?;
        if Header::is_reserved(name.as_str()) {
            let message = format!(
                "header {name} is set by Fanfare itself; remove it from spec.connection.headers"
            );
            return Err(Refusal::spec(message));
        }
        let value = match (&header.value, &header.value_from) {
            (_, Some(from)) => reader.header(&from.secret_key_ref)?,
            (Some(value), None) => HeaderValue::from_str(value).map_err(|_| {
                Refusal::spec(format!(
                    "the value of header {name} holds line breaks or control characters; remove them"
                ))
            })?,
            (None, None) => HeaderValue::from_static(""),
        };
        headers.insert(name, value);
    }
    if let Some(auth) = &connection.auth
        && let Some(value) = authorization(auth, reader)?
    {
        headers.insert(AUTHORIZATION, value);
    }
    Ok(())
}

fn authorization(auth: &Auth, reader: &Reader) -> Result<Option<HeaderValue>, Refusal> {
    match auth.type_ {
        AuthType::None => Ok(None),
        AuthType::Bearer => {
            let bearer = auth.bearer.as_ref().ok_or_else(|| {
                Refusal::spec("spec.connection.auth.type is Bearer: set auth.bearer.tokenSecretRef")
            })?;
            bearer_header(&reader.token(&bearer.token_secret_ref)?).map(Some)
        }
        AuthType::Basic => {
            let basic = auth.basic.as_ref().ok_or_else(|| {
                Refusal::spec(
                    "spec.connection.auth.type is Basic: set auth.basic.usernameSecretRef and passwordSecretRef",
                )
            })?;
            let user = reader.text(&basic.username_secret_ref)?;
            let password = reader.text(&basic.password_secret_ref)?;
            if user.contains(':') {
                let name = reader.name(&basic.username_secret_ref);
                return Err(Refusal::content(format!(
                    "{name} contains a colon, which Basic authentication does not allow in user names"
                )));
            }
            let encoded = STANDARD.encode(format!("{user}:{password}"));
            let value = sensitive(&format!("Basic {encoded}"));
            let value = value.ok_or_else(|| Refusal::spec("the Basic credentials are too long"))?;
            Ok(Some(value))
        }
    }
}

/// `Authorization: Bearer`, marked sensitive.
pub(super) fn bearer_header(token: &Secret) -> Result<HeaderValue, Refusal> {
    sensitive(&format!("Bearer {}", token.expose())).ok_or_else(|| {
        Refusal::content("the bearer token holds characters that a header can't carry".to_owned())
    })
}

fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn tls_roots(
    connection: Option<&Connection>,
    reader: &Reader,
) -> Result<Option<TlsRoots>, Refusal> {
    let Some(tls) = connection.and_then(|connection| connection.tls.as_ref()) else {
        return Ok(None);
    };
    let text = match (&tls.ca_secret_ref, &tls.ca_config_map_ref) {
        (Some(from), _) => reader.ca_secret(from)?,
        (None, Some(from)) => reader.ca_config_map(from)?,
        (None, None) => return Ok(None),
    };
    Ok(Some(TlsRoots(text.into())))
}

fn health_policy(spec: &PublishTargetSpec) -> HealthPolicy {
    let check = spec.effective_health_check();
    HealthPolicy {
        interval: check.interval(),
        unhealthy_interval: check.unhealthy_interval(),
        timeout: check.timeout(),
        unhealthy_threshold: check.unhealthy_threshold(),
        healthy_threshold: check.healthy_threshold(),
        degraded_latency: check.degraded_latency(),
        skip_if_delivered_within: check.skip_if_delivered_within(),
    }
}

fn allowed(spec: &PublishTargetSpec) -> Allowed {
    match spec.allowed_from() {
        NamespacesFrom::Same => Allowed::Same,
        NamespacesFrom::All => Allowed::All,
        NamespacesFrom::Selector => {
            let selector =
                spec.allowed_routes.as_ref().and_then(|routes| routes.namespaces.selector.as_ref());
            // A selector that is missing selects nothing: the own namespace stays.
            selector.map_or(Allowed::Same, |it| Allowed::Selector(it.match_labels.clone()))
        }
    }
}
