//! What goes wrong inside the store, before anybody outside is told.

use std::io::ErrorKind;

use super::Failed;

/// Something below the store failed.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    /// What was being done.
    pub(super) step: &'static str,
    /// What was said about it.
    pub(super) message: String,
    /// The content is not what was written, rather than the system refusing.
    pub(super) damage: bool,
}

/// Says during which step an error came up.
pub(super) trait During<T> {
    fn during(self, step: &'static str) -> Result<T, Fault>;
}

// === impl Fault ===

impl Fault {
    pub(super) fn new(step: &'static str, error: &redb::Error) -> Self {
        use redb::Error as E;
        let damage = match error {
            E::Io(error) => {
                matches!(error.kind(), ErrorKind::InvalidData | ErrorKind::UnexpectedEof)
            }
            E::Corrupted(_)
            | E::LockPoisoned(_)
            | E::TableTypeMismatch { .. }
            | E::TableIsMultimap(_)
            | E::TypeDefinitionChanged { .. }
            | E::TableDoesNotExist(_) => true,
            _ => false,
        };
        Self { step, message: error.to_string(), damage }
    }

    /// A record that must be usable is not.
    pub(super) fn damaged(step: &'static str, message: &str) -> Self {
        Self { step, message: message.to_owned(), damage: true }
    }

    pub(super) fn failed(self) -> Failed {
        Failed { step: self.step, message: self.message.into() }
    }
}

impl<T, E: Into<redb::Error>> During<T> for Result<T, E> {
    fn during(self, step: &'static str) -> Result<T, Fault> {
        self.map_err(|error| Fault::new(step, &error.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusing_system_is_no_damage() {
        let error = |kind: ErrorKind| Fault::new("read", &redb::Error::Io(kind.into())).damage;
        assert!(error(ErrorKind::UnexpectedEof));
        assert!(!error(ErrorKind::StorageFull));
        assert!(!error(ErrorKind::PermissionDenied));
    }
}
