//! What goes wrong inside the store, before anybody outside is told.

use std::{
    cell::OnceCell,
    io::ErrorKind,
    panic::{self, AssertUnwindSafe, catch_unwind},
    sync::{Arc, Once},
};

use super::{Failed, watched::Watch};

thread_local! {
    /// Learns of a panic of this thread before anything is unwound.
    static WATCH: OnceCell<Arc<Watch>> = const { OnceCell::new() };
}

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

/// From now on a panic of this thread is damage from its first moment. redb's destructors may panic again
/// while the stack is unwound; that aborts the process, and the next start must know.
pub(super) fn watch_this_thread(watch: Arc<Watch>) {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let _ = WATCH.try_with(|watch| watch.get().inspect(|watch| watch.damaged()).is_some());
            before(info);
        }));
    });
    let _ = WATCH.try_with(|place| place.set(watch).is_ok());
}

/// Runs what may meet damage that redb answers with a panic.
pub(super) fn guarded<T>(
    step: &'static str,
    run: impl FnOnce() -> Result<T, Fault>,
) -> Result<T, Fault> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().map(ToString::to_string);
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        let message = text.unwrap_or_else(|| "panic".to_owned());
        Err(Fault { step, message, damage: true })
    })
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
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[test]
    fn panic_below_is_damage_with_its_message() {
        let fault = guarded::<()>("read", || panic!("page {}", 7)).unwrap_err();
        assert!(fault.damage);
        assert_eq!(fault.message, "page 7");
        assert_eq!(guarded("read", || Ok(1)).unwrap(), 1);
    }

    /// Says at the end whether the mark was there before.
    struct Last<'a>(&'a AtomicBool, &'a AtomicBool);

    impl Drop for Last<'_> {
        fn drop(&mut self) {
            self.1.store(self.0.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }

    #[test]
    fn panic_marks_the_file_before_anything_is_unwound() {
        let marked = Arc::new(AtomicBool::new(false));
        let mark = marked.clone();
        let on_damage = Box::new(move || mark.store(true, Ordering::Relaxed));
        let watch = Watch::new(Box::new(|_| {}), on_damage, Box::new(|| false));
        let in_time = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                watch_this_thread(watch);
                guarded::<()>("write", || {
                    let _last = Last(&marked, &in_time);
                    panic!("page 7")
                })
            });
        });
        assert!(in_time.load(Ordering::Relaxed));
    }

    #[test]
    fn refusing_system_is_no_damage() {
        let error = |kind: ErrorKind| Fault::new("read", &redb::Error::Io(kind.into())).damage;
        assert!(error(ErrorKind::UnexpectedEof));
        assert!(!error(ErrorKind::StorageFull));
        assert!(!error(ErrorKind::PermissionDenied));
    }
}
