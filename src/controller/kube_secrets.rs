//! Reads Secrets and `ConfigMaps` from the API server: `get` by name, never list or watch.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use k8s_openapi::{
    NamespaceResourceScope,
    api::core::v1::{ConfigMap, Secret},
};
use kube::{
    Client, Resource,
    api::{GetParams, Request},
};
use serde::de::DeserializeOwned;
use tracing::debug;

use super::source::{Material, MaterialId, MaterialKind, ReadError, SecretSource};

/// How long one read may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Reads Secrets and `ConfigMaps` from the API server.
#[derive(Clone)]
pub struct KubeSecrets {
    client: Client,
    account: Arc<OnceLock<Arc<str>>>,
}

// === impl KubeSecrets ===

impl KubeSecrets {
    /// Reads with the rights of `client`.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { client, account: Arc::default() }
    }

    async fn get(&self, id: &MaterialId) -> Result<Material, ReadError> {
        let MaterialId { kind, namespace, name } = id;
        match kind {
            MaterialKind::Secret => {
                let secret: Secret = self.read(namespace, name).await?;
                let data = secret.data.unwrap_or_default();
                Ok(data.into_iter().map(|(key, value)| (key, value.0)).collect())
            }
            MaterialKind::ConfigMap => {
                let map: ConfigMap = self.read(namespace, name).await?;
                let text = map.data.unwrap_or_default().into_iter();
                let binary = map.binary_data.unwrap_or_default().into_iter();
                Ok(text
                    .map(|(key, value)| (key, value.into_bytes()))
                    .chain(binary.map(|(key, value)| (key, value.0)))
                    .collect())
            }
        }
    }

    /// Reads one object. Not `Api::get`: that logs the whole answer, at warn, when it can't be parsed.
    async fn read<K>(&self, namespace: &str, name: &str) -> Result<K, ReadError>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + DeserializeOwned,
    {
        if !can_exist(name) {
            return Err(ReadError::NotFound);
        }
        let request = Request::new(K::url_path(&(), Some(namespace)));
        let request = request.get(name, &GetParams::default()).map_err(|_| ReadError::NotFound)?;
        let text = self.client.request_text(request).await.map_err(|error| match error {
            kube::Error::Api(status) if status.is_not_found() => ReadError::NotFound,
            kube::Error::Api(status) if status.is_forbidden() => {
                if let Some(account) = refused(&status.message) {
                    let _ = self.account.set(account.into());
                }
                ReadError::Forbidden
            }
            error => {
                debug!(name, error = %error, "Secret or ConfigMap not read");
                ReadError::Unavailable
            }
        })?;
        // The parser's message may quote the answer: it goes nowhere.
        serde_json::from_str(&text).map_err(|_| ReadError::Unavailable)
    }
}

impl SecretSource for KubeSecrets {
    fn read(
        &self,
        id: &MaterialId,
    ) -> impl Future<Output = Result<Material, ReadError>> + Send + 'static {
        let (source, id) = (self.clone(), id.clone());
        async move {
            match tokio::time::timeout(TIMEOUT, source.get(&id)).await {
                Ok(result) => result,
                Err(_) => Err(ReadError::Unavailable),
            }
        }
    }

    fn account(&self) -> Option<Arc<str>> {
        self.account.get().cloned()
    }
}

/// Who a refusal says we are, as a flag of `kubectl create rolebinding`.
fn refused(message: &str) -> Option<String> {
    let (_, rest) = message.split_once("User \"")?;
    let (user, _) = rest.split_once('"')?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:@".contains(&byte);
    if user.is_empty() || user.len() > 253 || !user.bytes().all(plain) {
        return None;
    }
    Some(match user.strip_prefix("system:serviceaccount:") {
        Some(account) => format!("--serviceaccount={account}"),
        None => format!("--user={user}"),
    })
}

/// Whether an object can have this name at all. The name becomes part of a URL: `../other/secrets/x`
/// or `x?watch=true` must not become another request.
fn can_exist(name: &str) -> bool {
    let allowed =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
    let ends_well = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    name.len() <= 253
        && name.bytes().all(allowed)
        && ends_well(name.bytes().next())
        && ends_well(name.bytes().last())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_who_was_refused() {
        let message = |user: &str| {
            format!(
                "secrets \"x\" is forbidden: User \"{user}\" cannot get resource \"secrets\" in API \
                 group \"\" in the namespace \"shop\""
            )
        };
        for (user, flag) in [
            ("system:serviceaccount:fanfare:operator", Some("--serviceaccount=fanfare:operator")),
            ("jane@example.com", Some("--user=jane@example.com")),
            ("", None),
            ("a; rm -rf /", None),
            ("$(reboot)", None),
        ] {
            assert_eq!(refused(&message(user)).as_deref(), flag, "{user}");
        }
        assert_eq!(refused("forbidden"), None);
    }

    #[test]
    fn a_name_never_becomes_another_request() {
        for name in ["slack", "slack.sre-1", "0"] {
            assert!(can_exist(name), "{name}");
        }
        for name in ["", ".", "..", "../x", "a/b", "a?watch=true", "a%2fb", "A", "a\n", "-a", "ä"]
        {
            assert!(!can_exist(name), "{name}");
        }
    }
}
