//! What a spec refers to: values of Secrets and ConfigMaps, read by somebody else.

use std::str;

use http::{HeaderValue, Uri};
use url::Url;

use crate::{
    api::{ConfigMapKeyRef, Reason, SecretKeyRef},
    registry::{Endpoint, Secret},
};

/// Longest address of a target.
const MAX_URL: usize = 2 * 1024;
/// Longest credential: a token, a password, a header's value.
const MAX_TEXT: usize = 16 * 1024;

/// Values of the Secrets and `ConfigMaps` of one namespace, already read: those that
/// [`PublishTargetSpec::secret_refs`](crate::api::PublishTargetSpec::secret_refs) and `config_map_refs` list.
pub trait Credentials {
    /// Content of one key of a Secret.
    ///
    /// # Errors
    /// [`Missing`] says why there is none.
    fn secret(&self, from: &SecretKeyRef) -> Result<&[u8], Missing>;

    /// Content of one key of a `ConfigMap`.
    ///
    /// # Errors
    /// [`Missing`] says why there is none.
    fn config_map(&self, from: &ConfigMapKeyRef) -> Result<&[u8], Missing>;

    /// Whom a role has to be bound to so that it may be read, as a flag of `kubectl create
    /// rolebinding`; `None` while it is not known.
    fn account(&self) -> Option<&str> {
        None
    }
}

/// Why a Secret or `ConfigMap` has no value for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// The object does not exist.
    NotFound,
    /// The object exists but lacks the key.
    KeyMissing,
    /// The operator may not read it.
    Forbidden,
    /// It could not be read just now (the API server is away); somebody tries again.
    Unavailable,
}

/// Why a spec does not compile.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) reason: Reason,
    pub(crate) message: String,
    pub(crate) permanent: bool,
}

/// Reads credentials for one object and words what is wrong with them: by name and key, never by value.
pub(crate) struct Reader<'a> {
    pub(crate) namespace: &'a str,
    pub(crate) credentials: &'a dyn Credentials,
}

// === impl Refusal ===

impl Refusal {
    /// Something in the spec that the API server could not see.
    pub(crate) fn spec(message: impl Into<String>) -> Self {
        Self { reason: Reason::InvalidSpec, message: message.into(), permanent: true }
    }

    /// Unusable content of a Secret or `ConfigMap`.
    pub(crate) fn content(message: String) -> Self {
        Self { reason: Reason::InvalidCredentials, message, permanent: true }
    }
}

// === impl Reader ===

impl Reader<'_> {
    /// A credential: UTF-8, one line, not empty. Line breaks at the end are cut off: `kubectl create
    /// secret --from-file` and `echo` leave them.
    pub(crate) fn text(&self, from: &SecretKeyRef) -> Result<&str, Refusal> {
        let bytes = self.credentials.secret(from).map_err(|why| self.secret_missing(from, why))?;
        let name = self.name(from);
        let text = str::from_utf8(bytes)
            .map_err(|_| Refusal::content(format!("{name} is not UTF-8 text; store plain text")))?
            .trim_end_matches(['\r', '\n']);
        if text.is_empty() {
            return Err(Refusal::content(format!("{name} is empty; store the value there")));
        }
        if text.len() > MAX_TEXT {
            return Err(Refusal::content(format!("{name} is longer than {MAX_TEXT} bytes")));
        }
        Ok(text)
    }

    /// A credential without white space: a token or key.
    pub(crate) fn token(&self, from: &SecretKeyRef) -> Result<Secret, Refusal> {
        let text = self.text(from)?.trim();
        if text.contains(|c: char| c.is_whitespace() || c.is_control()) || text.is_empty() {
            let name = self.name(from);
            let message = format!("{name} contains white space; store the bare token there");
            return Err(Refusal::content(message));
        }
        Ok(Secret::new(text.to_owned()))
    }

    /// A value for a request header, marked sensitive.
    pub(crate) fn header(&self, from: &SecretKeyRef) -> Result<HeaderValue, Refusal> {
        let mut value = HeaderValue::from_str(self.text(from)?).map_err(|_| {
            let name = self.name(from);
            Refusal::content(format!(
                "{name} can't be sent in a header: it holds line breaks, control or non-ASCII characters"
            ))
        })?;
        value.set_sensitive(true);
        Ok(value)
    }

    /// An address that a Secret holds.
    pub(crate) fn address(&self, from: &SecretKeyRef) -> Result<Url, Refusal> {
        let name = self.name(from);
        parse_url(self.text(from)?.trim())
            .map_err(|wrong| Refusal::content(format!("{name} is not a usable URL: {wrong}")))
    }

    /// Certificate authorities in a Secret.
    pub(crate) fn ca_secret(&self, from: &SecretKeyRef) -> Result<&str, Refusal> {
        let bytes = self.credentials.secret(from).map_err(|why| self.secret_missing(from, why))?;
        pem(bytes, &self.name(from))
    }

    /// Certificate authorities in a `ConfigMap`.
    pub(crate) fn ca_config_map(&self, from: &ConfigMapKeyRef) -> Result<&str, Refusal> {
        let bytes =
            self.credentials.config_map(from).map_err(|why| self.config_map_missing(from, why))?;
        pem(bytes, &format!("key {} of ConfigMap {}/{}", from.key, self.namespace, from.name))
    }

    /// How messages call a Secret's key.
    pub(crate) fn name(&self, from: &SecretKeyRef) -> String {
        format!("key {} of Secret {}/{}", from.key, self.namespace, from.name)
    }

    fn secret_missing(&self, from: &SecretKeyRef, why: Missing) -> Refusal {
        let (namespace, name, key) = (self.namespace, &from.name, &from.key);
        let (reason, message) = match why {
            Missing::NotFound => (
                Reason::SecretNotFound,
                format!(
                    "Secret {namespace}/{name} does not exist; create it: kubectl -n {namespace} create \
                     secret generic {name} --from-literal={key}=VALUE"
                ),
            ),
            Missing::KeyMissing => (
                Reason::SecretKeyMissing,
                format!(
                    "Secret {namespace}/{name} has no key {key}; add it: kubectl -n {namespace} patch \
                     secret {name} -p '{{\"stringData\":{{\"{key}\":\"VALUE\"}}}}'"
                ),
            ),
            Missing::Forbidden => (Reason::SecretForbidden, self.forbidden("secrets")),
            Missing::Unavailable => (
                Reason::Pending,
                format!("Secret {namespace}/{name} could not be read yet; it is tried again"),
            ),
        };
        Refusal { reason, message, permanent: false }
    }

    fn config_map_missing(&self, from: &ConfigMapKeyRef, why: Missing) -> Refusal {
        let (namespace, name, key) = (self.namespace, &from.name, &from.key);
        let (reason, message) = match why {
            Missing::NotFound => (
                Reason::ConfigMapNotFound,
                format!(
                    "ConfigMap {namespace}/{name} does not exist; create it: kubectl -n {namespace} \
                     create configmap {name} --from-file={key}=ca.crt"
                ),
            ),
            Missing::KeyMissing => (
                Reason::ConfigMapKeyMissing,
                format!(
                    "ConfigMap {namespace}/{name} has no key {key}; add the key, or name another"
                ),
            ),
            Missing::Forbidden => (Reason::ConfigMapForbidden, self.forbidden("configmaps")),
            Missing::Unavailable => (
                Reason::Pending,
                format!("ConfigMap {namespace}/{name} could not be read yet; it is tried again"),
            ),
        };
        Refusal { reason, message, permanent: false }
    }

    fn forbidden(&self, what: &str) -> String {
        const UNKNOWN: &str = "--serviceaccount=FANFARE_NAMESPACE:FANFARE_SERVICEACCOUNT";
        let (namespace, account) = (self.namespace, self.credentials.account().unwrap_or(UNKNOWN));
        format!(
            "the operator may not read {what} in namespace {namespace}; grant it: kubectl -n {namespace} create \
             role fanfare-{what} --verb=get --resource={what} && kubectl -n {namespace} create rolebinding \
             fanfare-{what} --role=fanfare-{what} {account}"
        )
    }
}

/// Checks PEM text of certificate authorities.
fn pem<'a>(bytes: &'a [u8], name: &str) -> Result<&'a str, Refusal> {
    let text = str::from_utf8(bytes).ok().filter(|text| super::tls::roots(text).is_ok());
    text.ok_or_else(|| {
        Refusal::content(format!(
            "{name} holds no usable certificate authority; store certificates in PEM form \
             (-----BEGIN CERTIFICATE-----)"
        ))
    })
}

/// Parses an address; an error says what is wrong without repeating the address.
pub(crate) fn parse_url(text: &str) -> Result<Url, &'static str> {
    if text.len() > MAX_URL {
        return Err("it is longer than 2048 bytes");
    }
    if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err("it contains white space");
    }
    let url = Url::parse(text).map_err(|_| "write it as https://host/path")?;
    // The parser forgives what other parsers read as another host.
    let authority = text.split_once("://").map_or("", |(_, rest)| rest);
    if !matches!(url.scheme(), "http" | "https")
        || authority.starts_with('/')
        || text.contains('\\')
    {
        return Err("it must begin with http:// or https:// and a host, and hold no backslash");
    }
    if authority.is_empty() {
        return Err("write it as https://host/path");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("it carries a user name or password; use spec.connection.auth instead");
    }
    Ok(url)
}

/// An endpoint from a checked address.
pub(crate) fn endpoint(mut url: Url) -> Result<Endpoint, Refusal> {
    url.set_fragment(None);
    let uri: Option<Uri> = url.as_str().parse().ok();
    uri.and_then(Endpoint::new).ok_or_else(|| {
        Refusal::spec(
            "the target's address can't be used in a request; write it as https://host/path",
        )
    })
}

/// Adds segments to a path, with or without a slash at its end.
pub(crate) fn extend_path(url: &mut Url, segments: &[&str]) {
    let mut path = url.path_segments_mut().expect("http and https addresses have a path");
    path.pop_if_empty().extend(segments);
}
