//! Panics below the store. redb panics at some damages, and its destructors may panic again while the stack is
//! unwound: that would abort the process. So the first panic is caught, and told of before anything is unwound;
//! at the second the thread stands still for good, with all it holds, and others go on. It stands still inside the
//! hook of panics, so that nobody may replace that hook later.

use std::{
    any::Any,
    cell::{Cell, RefCell},
    io,
    panic::{self, AssertUnwindSafe, catch_unwind},
    sync::{Arc, Once, mpsc},
    thread::{self, JoinHandle},
};

use tracing::{Dispatch, dispatcher};

use super::{fault::Fault, watched::Watch};

thread_local! {
    /// Learns of every panic of this thread before anything is unwound.
    static WATCH: RefCell<Option<Arc<Watch>>> = const { RefCell::new(None) };
    /// Called before this thread stands still.
    static LAST_WORD: RefCell<Option<LastWord>> = const { RefCell::new(None) };
    /// This thread has panicked and nobody has caught it yet.
    static UNWINDING: Cell<bool> = const { Cell::new(false) };
}

type LastWord = Box<dyn Fn(Fault)>;

/// Runs what may meet damage that redb answers with a panic.
pub(super) fn guarded<T>(
    step: &'static str,
    run: impl FnOnce() -> Result<T, Fault>,
) -> Result<T, Fault> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let _ = UNWINDING.try_with(|unwinding| unwinding.set(false));
        Err(Fault::damaged(step, text(&*panic)))
    })
}

/// The same, while `watch` is told of damage in the moment of a panic: an abort can't take that back.
pub(super) fn guarded_and_told<T>(
    watch: &Arc<Watch>,
    step: &'static str,
    run: impl FnOnce() -> Result<T, Fault>,
) -> Result<T, Fault> {
    set_hook();
    let before = WATCH.with_borrow_mut(|place| place.replace(watch.clone()));
    let ran = guarded(step, run);
    WATCH.set(before);
    ran
}

/// Runs it on a thread of its own and waits. A thread that can't be unwound is left behind.
pub(super) fn apart<T: Send + 'static>(
    step: &'static str,
    run: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    let (tell, told) = mpsc::channel();
    let stuck = tell.clone();
    let last_word = move |fault: Fault| {
        let _ = stuck.send(Err(Fault { step, ..fault }));
    };
    let subscriber = dispatcher::get_default(Dispatch::clone);
    let run = move || {
        let ran = dispatcher::with_default(&subscriber, || guarded(step, run));
        // Whoever asked waits.
        let _ = tell.send(ran);
    };
    let no_thread = |error: io::Error| Fault { step, message: error.to_string(), damage: false };
    spawn("store-open", last_word, run).map_err(no_thread)?;
    told.recv().unwrap_or_else(|_| Err(Fault::damaged(step, "the thread ended without a word")))
}

/// A thread that says `last_word` and stands still where it would abort the process.
pub(super) fn spawn(
    name: &str,
    last_word: impl Fn(Fault) + Send + 'static,
    run: impl FnOnce() + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    set_hook();
    thread::Builder::new().name(name.to_owned()).spawn(move || {
        LAST_WORD.set(Some(Box::new(last_word)));
        run();
    })
}

fn set_hook() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let _ = WATCH.try_with(|watch| {
                let watch = watch.try_borrow().ok()?;
                watch.as_ref().map(|watch| watch.damaged())
            });
            before(info);
            let _ = LAST_WORD.try_with(|last_word| {
                if let Ok(last_word) = last_word.try_borrow()
                    && let Some(last_word) = &*last_word
                    && UNWINDING.replace(true)
                {
                    last_word(Fault::damaged("unwind", text(info.payload())));
                    loop {
                        thread::park();
                    }
                }
            });
        }));
    });
}

fn text(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("panic")
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
        let fault = guarded_and_told::<()>(&watch, "write", || {
            let _last = Last(&marked, &in_time);
            panic!("page 7")
        });
        assert!(fault.unwrap_err().damage && in_time.load(Ordering::Relaxed));
        marked.store(false, Ordering::Relaxed);
        guarded::<()>("write", || panic!("of somebody else")).unwrap_err();
        assert!(!marked.load(Ordering::Relaxed), "the file is told of no longer than it is used");
    }

    /// Panics while it is dropped.
    struct Rough;

    impl Drop for Rough {
        fn drop(&mut self) {
            panic!("page 8");
        }
    }

    fn panic_twice() -> Result<(), Fault> {
        let _rough = Rough;
        panic!("page 7");
    }

    /// In a process of its own: test binaries want the hook of panics back, which the thread left behind holds.
    /// Control: without the last word that process is aborted.
    #[test]
    fn panic_in_a_destructor_leaves_the_thread_behind_and_nothing_else() {
        const CHILD: &str = "FANFARE_PANICS_CHILD";
        if std::env::var_os(CHILD).is_some() {
            let fault = apart("open the file", panic_twice).unwrap_err();
            let right =
                fault.damage && (fault.step, &*fault.message) == ("open the file", "page 8");
            let goes_on = apart("open the file", || Ok(1)).is_ok_and(|one| one == 1);
            std::process::exit(i32::from(!(right && goes_on)));
        }
        let test =
            "store::panics::tests::panic_in_a_destructor_leaves_the_thread_behind_and_nothing_else";
        let child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture"])
            .env(CHILD, "1")
            .output()
            .unwrap();
        assert_eq!(child.status.code(), Some(0), "{child:?}");
    }

    /// Control: a thread that takes a caught panic for one that goes on stands still at the next.
    #[test]
    fn panic_after_one_that_was_caught_is_caught_too() {
        let twice = || {
            guarded::<()>("look", || panic!("page 7")).unwrap_err();
            panic!("page 9");
        };
        let fault = apart::<()>("open the file", twice).unwrap_err();
        assert_eq!((fault.step, &*fault.message), ("open the file", "page 9"));
    }
}
