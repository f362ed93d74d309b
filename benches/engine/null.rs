//! What the engine is given instead of a network and a disk.

use std::{
    future::poll_fn,
    hint::{black_box, spin_loop},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Poll, Waker},
    thread::{self, JoinHandle, Thread},
    time::Duration,
};

use bytes::Bytes;
use fanfare::{
    alert::Notification,
    api::TargetKey,
    delivery::{Attempt, Transport, judged},
    dispatch::Queued,
    publish::BoxFuture,
    registry::Target,
    store::{
        AttemptRecord, DeadLetter, DeadLetterFilter, DeadLetterId, DeliveryFilter, Failed, Full,
        IdempotencyRecord, Op, Page, QueueId, QueueSize, Seq, Stats, Store,
    },
};
use http::{HeaderMap, StatusCode};
use tokio::{runtime::Runtime, sync::Notify, time::Instant};

/// Looks at an empty queue before a thread goes to sleep.
const PATIENCE: u32 = 20_000;

/// Waits once for the far end, which then answers 200. May spend CPU time before.
#[derive(Clone)]
pub(crate) struct Null {
    far: Arc<FarEnd>,
    work: Duration,
}

/// Wakes whoever waits, as the driver of sockets does.
pub(crate) struct FarEnd {
    waiting: Mutex<Vec<Waker>>,
    /// Whether anybody may wait: to look at that disturbs nobody.
    any: AtomicBool,
    bell: Bell,
}

enum Bell {
    Thread(Thread),
    Task(Notify),
}

/// A far end that is a thread of its own; it ends when this is dropped.
pub(crate) struct FarThread {
    pub(crate) far: Arc<FarEnd>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// A store that has nothing and keeps nothing.
#[derive(Debug, Default)]
pub(crate) struct Nowhere(AtomicU64);

/// A far end that is a task of the same runtime.
pub(crate) fn same_thread(runtime: &Runtime) -> Arc<FarEnd> {
    let far = Arc::new(FarEnd::new(Bell::Task(Notify::new())));
    let end = far.clone();
    runtime.spawn(async move {
        let mut taken = Vec::new();
        loop {
            if let Bell::Task(bell) = &end.bell {
                bell.notified().await;
            }
            end.wake(&mut taken);
        }
    });
    far
}

// === impl Null ===

impl Null {
    pub(crate) fn new(far: &Arc<FarEnd>, work: Duration) -> Self {
        Self { far: far.clone(), work }
    }
}

impl Transport for Null {
    async fn send(&self, target: &Arc<Target>, notification: &Arc<Notification>) -> Attempt {
        if !self.work.is_zero() {
            let started = Instant::now();
            while started.elapsed() < self.work {
                black_box(notification.members[0].alert.labels.fingerprint());
            }
        }
        let mut asked = false;
        poll_fn(|context| {
            if std::mem::replace(&mut asked, true) {
                return Poll::Ready(());
            }
            self.far.ask(context.waker().clone());
            Poll::Pending
        })
        .await;
        let answer = (StatusCode::OK, &HeaderMap::new(), &Bytes::new());
        judged(target, answer, notification.at, Duration::from_millis(1))
    }
}

// === impl FarEnd ===

impl FarEnd {
    fn new(bell: Bell) -> Self {
        Self { waiting: Mutex::default(), any: AtomicBool::new(false), bell }
    }

    fn ask(&self, waker: Waker) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.push(waker);
        let first = waiting.len() == 1;
        drop(waiting);
        if first {
            self.any.store(true, Ordering::Release);
            match &self.bell {
                Bell::Thread(thread) => thread.unpark(),
                Bell::Task(bell) => bell.notify_one(),
            }
        }
    }

    /// Wakes all that wait; answers whether there were any. `taken` is empty and keeps its memory.
    fn wake(&self, taken: &mut Vec<Waker>) -> bool {
        if !self.any.load(Ordering::Acquire) {
            return false;
        }
        self.any.store(false, Ordering::Relaxed);
        std::mem::swap(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner), taken);
        let any = !taken.is_empty();
        taken.drain(..).for_each(Waker::wake);
        any
    }
}

// === impl FarThread ===

impl FarThread {
    pub(crate) fn start() -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let (hand_over, far) = std::sync::mpsc::channel();
        let ends = over.clone();
        let thread = thread::spawn(move || {
            let far = Arc::new(FarEnd::new(Bell::Thread(thread::current())));
            if hand_over.send(far.clone()).is_err() {
                return;
            }
            let (mut taken, mut idle) = (Vec::new(), 0);
            while !ends.load(Ordering::Relaxed) {
                if far.wake(&mut taken) {
                    idle = 0;
                } else if idle < PATIENCE {
                    idle += 1;
                    spin_loop();
                } else {
                    idle = 0;
                    thread::park();
                }
            }
        });
        let far = far.recv().expect("the thread sends it first");
        Self { far, over, thread: Some(thread) }
    }
}

impl Drop for FarThread {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // It holds nothing that could be poisoned.
            let _ = thread.join();
        }
    }
}

// === impl Nowhere ===

fn nothing<T>() -> Page<T> {
    Page { items: Vec::new(), next: None }
}

impl Store for Nowhere {
    fn submit(&self, ops: Vec<Op>, _lazy: bool) -> Seq {
        drop(ops);
        Seq(self.0.fetch_add(1, Ordering::Relaxed) + 1)
    }

    fn durable(&self, _seq: Seq) -> BoxFuture<'_, Result<(), Failed>> {
        Box::pin(async { Ok(()) })
    }

    fn durable_seq(&self) -> Seq {
        Seq(self.0.load(Ordering::Relaxed))
    }

    fn failed(&self) -> BoxFuture<'_, Failed> {
        Box::pin(std::future::pending())
    }

    fn room(&self, _bytes: usize) -> Result<(), Full> {
        Ok(())
    }

    fn look_again(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }

    fn queues(&self) -> Vec<(TargetKey, Arc<str>, QueueSize)> {
        Vec::new()
    }

    fn queued(
        &self,
        _target: &TargetKey,
        _uid: &str,
        _after: Option<QueueId>,
        _limit: usize,
    ) -> Result<Vec<(QueueId, Queued)>, Failed> {
        Ok(Vec::new())
    }

    fn claim(&self, _target: &TargetKey, _uid: &Arc<str>, _id: QueueId) -> Result<bool, Failed> {
        Ok(false)
    }

    fn dead_letters(
        &self,
        _filter: &DeadLetterFilter,
    ) -> Result<Page<(DeadLetterId, DeadLetter)>, Failed> {
        Ok(nothing())
    }

    fn dead_letters_by_id(
        &self,
        _ids: &[DeadLetterId],
    ) -> Result<Vec<(DeadLetterId, DeadLetter)>, Failed> {
        Ok(Vec::new())
    }

    fn deliveries(&self, _filter: &DeliveryFilter) -> Result<Page<AttemptRecord>, Failed> {
        Ok(nothing())
    }

    fn idempotent(&self, _key: &str) -> Result<Option<IdempotencyRecord>, Failed> {
        Ok(None)
    }

    fn stats(&self) -> Stats {
        Stats::default()
    }
}
