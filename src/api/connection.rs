//! How a target is reached: headers, authentication, TLS.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ConfigMapKeyRef, SecretKeyRef, rules};

/// How the target is reached: extra headers, authentication and TLS. The environment's proxy settings are
/// never used.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::rule(
    "!has(self.auth) || self.auth.type == 'None' || !has(self.headers) || !self.headers.exists(h, h.name.lowerAscii() == 'authorization')",
    "set either auth or a header named Authorization, not both: auth writes that header itself"
))]
pub struct Connection {
    /// Extra request headers, at most 16, sent with every delivery and health check. Names are unique without
    /// regard to upper and lower case.
    #[schemars(length(max = 16))]
    #[x_kube(
        validation = rules::headers_unique(),
        merge_strategy = ListMerge::Map(vec!["name".into()])
    )]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<Header>,
    /// How Fanfare authenticates itself. Default: not at all, except where the target type has a credential of
    /// its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<Auth>,
    /// TLS settings of https addresses. Default: the system's certificate authorities.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsConfig>,
}

/// One request header. Needs exactly one of value and valueFrom.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::header_one_source(), validation = rules::header_no_inline_credential())]
pub struct Header {
    /// Name of the header, 1 to 256 characters. Refused, because Fanfare or HTTP itself sets them: Host,
    /// Content-Length, Content-Type, Transfer-Encoding, Connection, Expect, TE, Trailer, Upgrade, Keep-Alive,
    /// Proxy-Connection, Accept-Encoding and everything that begins with webhook-.
    #[schemars(length(max = 256))]
    #[x_kube(validation = rules::header_name(), validation = rules::header_allowed())]
    pub name: String,
    /// Value of the header: one line of at most 1024 printable ASCII characters. Everybody who may read this
    /// object can read it; headers that carry a credential (Authorization, Cookie, X-API-Key and the like)
    /// take valueFrom.
    #[schemars(length(max = 1024))]
    #[x_kube(validation = rules::header_value())]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Where the value comes from, for values that are secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_from: Option<HeaderSource>,
}

/// Source of a header's value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct HeaderSource {
    /// Secret key that holds the value. The Secret lies in the namespace of this object; line ends after the
    /// value are ignored.
    pub secret_key_ref: SecretKeyRef,
}

/// How Fanfare authenticates itself: a type and, beside it, the object of the same name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[x_kube(
    validation = rules::rule(
        "(self.type == 'Bearer') == has(self.bearer)",
        "set bearer exactly when type is Bearer: add bearer.tokenSecretRef, or remove bearer or change the type"
    ),
    validation = rules::rule(
        "(self.type == 'Basic') == has(self.basic)",
        "set basic exactly when type is Basic: add basic.usernameSecretRef and basic.passwordSecretRef, or remove basic or change the type"
    )
)]
pub struct Auth {
    /// Scheme: None, Bearer (a token) or Basic (user name and password).
    #[serde(rename = "type")]
    pub type_: AuthType,
    /// Bearer token, sent as "Authorization: Bearer". Only with type Bearer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bearer: Option<BearerAuth>,
    /// User name and password, sent as "Authorization: Basic". Only with type Basic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basic: Option<BasicAuth>,
}

/// Authentication schemes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(description = "")]
pub enum AuthType {
    /// None
    None,
    /// Bearer
    Bearer,
    /// Basic
    Basic,
}

/// Bearer token authentication.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct BearerAuth {
    /// Secret key that holds the token. The Secret lies in the namespace of this object; line ends after the
    /// token are ignored.
    pub token_secret_ref: SecretKeyRef,
}

/// HTTP Basic authentication (RFC 7617).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct BasicAuth {
    /// Secret key that holds the user name. The Secret lies in the namespace of this object; line ends after
    /// the name are ignored.
    pub username_secret_ref: SecretKeyRef,
    /// Secret key that holds the password. The Secret lies in the namespace of this object; line ends after
    /// the password are ignored.
    pub password_secret_ref: SecretKeyRef,
}

/// TLS settings: whom Fanfare trusts. At most one of caSecretRef and caConfigMapRef.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::rule(
    "!has(self.caSecretRef) || !has(self.caConfigMapRef)",
    "set at most one of caSecretRef and caConfigMapRef: put all certificates into one of them"
))]
pub struct TlsConfig {
    /// Secret key that holds the certificate authorities to trust, in PEM form, instead of the system's. The
    /// Secret lies in the namespace of this object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_secret_ref: Option<SecretKeyRef>,
    /// ConfigMap key that holds the certificate authorities to trust, in PEM form, instead of the system's. The
    /// ConfigMap lies in the namespace of this object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_config_map_ref: Option<ConfigMapKeyRef>,
}

// === impl Header ===

impl Header {
    /// Whether Fanfare or HTTP itself sets the header of this name, which is in lower case.
    #[must_use]
    pub fn is_reserved(name: &str) -> bool {
        rules::is_reserved_header(name)
    }
}
