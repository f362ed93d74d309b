//! Names of objects: `namespace/name`.

use std::{fmt, str::FromStr, sync::Arc};

macro_rules! object_key {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name {
            /// Namespace of the object.
            pub namespace: Arc<str>,
            /// Name of the object.
            pub name: Arc<str>,
        }

        impl $name {
            /// The key of `namespace/name`. Two small allocations; clones are free of them.
            #[must_use]
            pub fn new(namespace: &str, name: &str) -> Self {
                Self { namespace: namespace.into(), name: name.into() }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}/{}", self.namespace, self.name)
            }
        }

        impl FromStr for $name {
            type Err = ParseKeyError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text.split_once('/') {
                    Some((namespace, name))
                        if !namespace.is_empty() && !name.is_empty() && !name.contains('/') =>
                    {
                        Ok(Self::new(namespace, name))
                    }
                    _ => Err(ParseKeyError),
                }
            }
        }
    };
}

object_key! {
    /// Identifies a `PublishTarget`.
    TargetKey
}
object_key! {
    /// Identifies an `AlertRoute`.
    RouteKey
}

/// The text is not `namespace/name`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not of the form namespace/name")]
pub struct ParseKeyError;
