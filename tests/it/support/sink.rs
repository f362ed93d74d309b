//! A real HTTP/1.1 receiver on 127.0.0.1 that records what it gets and misbehaves on request.
//!
//! It speaks on the raw socket, so that a test can ask for answers that no HTTP library gives.

mod answer;
mod ledger;
mod schedule;
mod tls;
mod wire;

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite, BufReader};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_rustls::TlsAcceptor;

pub(crate) use answer::{Answer, Fault};
pub(crate) use ledger::{Entry, Ledger};
pub(crate) use schedule::When;
pub(crate) use tls::Authority;

use schedule::Plan;

use super::wait::wait_for;

/// A receiver; dropping it closes its port and its connections.
pub(crate) struct Sink {
    address: SocketAddr,
    scheme: &'static str,
    shared: Arc<Shared>,
    _server: JoinSet<()>,
}

/// One request as it came in.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) method: String,
    /// With its query.
    pub(crate) path: String,
    /// Names in lower case, in the order of arrival.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// When its last byte arrived.
    pub(crate) at: Instant,
    /// Counts this receiver's connections from 1: equal numbers shared one connection.
    pub(crate) connection: usize,
}

struct Shared {
    state: Mutex<State>,
    /// Answers that are held wait for this to become true.
    released: watch::Sender<bool>,
}

#[derive(Default)]
struct State {
    received: Vec<Received>,
    ledger: Vec<Entry>,
    /// Only the ledger is kept, for runs with more requests than memory.
    lean: bool,
    plans: Vec<Plan>,
    connections: usize,
    running: usize,
    most_running: usize,
    default: Answer,
    by_path: HashMap<String, Answer>,
    once: VecDeque<Answer>,
}

// === impl Sink ===

impl Sink {
    /// Starts a receiver that answers 200 to everything.
    pub(crate) async fn start() -> Self {
        Self::serve(None).await
    }

    /// The same over TLS, with a certificate of `authority` for `127.0.0.1` and `localhost`.
    pub(crate) async fn start_tls(authority: &Authority) -> Self {
        Self::serve(Some(authority.acceptor())).await
    }

    async fn serve(tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has free ports");
        Self::on(listener, tls)
    }

    fn on(listener: TcpListener, tls: Option<TlsAcceptor>) -> Self {
        let address = listener.local_addr().expect("a bound listener has an address");
        let shared =
            Arc::new(Shared { state: Mutex::default(), released: watch::Sender::new(false) });
        let mut server = JoinSet::new();
        let scheme = if tls.is_some() { "https" } else { "http" };
        server.spawn(accept(listener, tls, Arc::clone(&shared)));
        Self { address, scheme, shared, _server: server }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of `path`, which begins with `/`.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.address)
    }

    /// From now on every request gets this answer (unless its path or the queue says otherwise).
    pub(crate) fn answer(&self, answer: Answer) {
        self.state().default = answer;
    }

    /// From now on requests for this path (without its query) get this answer.
    pub(crate) fn answer_at(&self, path: &str, answer: Answer) {
        self.state().by_path.insert(path.to_owned(), answer);
    }

    /// The next request gets this answer; several queue up and come before all others.
    pub(crate) fn answer_once(&self, answer: Answer) {
        self.state().once.push_back(answer);
    }

    /// From now on requests for which `when` holds get this answer, before what [`Sink::answer`] says. The first of
    /// several plans that holds decides.
    pub(crate) fn plan(&self, when: When, answer: Answer) {
        self.state().plans.push(Plan::new(when, answer));
    }

    /// Drops all plans.
    pub(crate) fn heal(&self) {
        self.state().plans.clear();
    }

    /// From now on requests are kept in the ledger alone.
    pub(crate) fn keep_ledger_only(&self) {
        self.state().lean = true;
    }

    /// What was told so far, in order of arrival.
    pub(crate) fn ledger(&self) -> Ledger {
        Ledger(self.state().ledger.clone())
    }

    /// Lets all answers with [`Fault::Held`] go, the waiting and the coming ones.
    pub(crate) fn release(&self) {
        self.shared.released.send_replace(true);
    }

    /// Everything received so far.
    pub(crate) fn received(&self) -> Vec<Received> {
        self.state().received.clone()
    }

    /// Forgets what was received.
    pub(crate) fn clear(&self) {
        self.state().received.clear();
        self.state().ledger.clear();
    }

    /// Connections accepted so far.
    pub(crate) fn connections(&self) -> usize {
        self.state().connections
    }

    /// The greatest number of requests that were being answered at one time.
    pub(crate) fn most_concurrent(&self) -> usize {
        self.state().most_running
    }

    /// Waits until at least `count` requests are in, and answers all of them.
    pub(crate) async fn wait_received(&self, count: usize, within: Duration) -> Vec<Received> {
        let what = format!("{count} requests at {}", self.address);
        wait_for(&what, within, || async { self.state().received.len() >= count }).await;
        self.received()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state()
    }
}

// === impl Received ===

impl Received {
    /// The first header of this name (in lower case).
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("not JSON ({error}): {}", self.text()))
    }
}

// === impl Shared ===

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records a request and says how to answer it, and as which entry of the ledger.
    fn take(&self, request: Received) -> (Answer, usize) {
        let entry = Entry::of(&request);
        let mut state = self.state();
        state.running += 1;
        state.most_running = state.most_running.max(state.running);
        let planned = state.plans.iter_mut().find_map(|plan| plan.answer(&entry.group).cloned());
        let once = state.once.pop_front();
        let path = request.path.split('?').next().unwrap_or_default();
        let answer = once
            .or(planned)
            .or_else(|| state.by_path.get(path).cloned())
            .unwrap_or_else(|| state.default.clone());
        if !state.lean {
            state.received.push(request);
        }
        state.ledger.push(entry);
        (answer, state.ledger.len() - 1)
    }

    fn answered(&self, entry: usize, status: Option<u16>) {
        if let Some(entry) = self.state().ledger.get_mut(entry) {
            entry.answered = status;
            entry.accepted = status.is_some_and(|status| (200..300).contains(&status));
        }
    }
}

/// A port that refuses connections and that nobody else gets meanwhile.
pub(crate) struct DeadPort {
    address: SocketAddr,
    socket: TcpSocket,
}

// === impl DeadPort ===

impl DeadPort {
    pub(crate) fn reserve() -> Self {
        let socket = TcpSocket::new_v4().expect("the machine has sockets left");
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("loopback has free ports");
        let address = socket.local_addr().expect("a bound socket has an address");
        Self { address, socket }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// A receiver begins to listen here.
    pub(crate) fn come_alive(self) -> Sink {
        let listener = self.socket.listen(1024).expect("the port is ours");
        Sink::on(listener, None)
    }
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let number = {
            let mut state = shared.state();
            state.connections += 1;
            state.connections
        };
        connections.spawn(connection(stream, tls.clone(), Arc::clone(&shared), number));
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    shared: Arc<Shared>,
    number: usize,
) {
    let _ = stream.set_nodelay(true);
    // An error means that the client went away: nobody is left to hear of it.
    let _ = match tls {
        None => converse(stream, &shared, number, |stream| stream).await,
        Some(tls) => match tls.accept(stream).await {
            Ok(stream) => converse(stream, &shared, number, |stream| stream.get_ref().0).await,
            Err(refused) => Err(refused),
        },
    };
}

/// Serves one connection until either side is done with it.
async fn converse<S, T>(stream: S, shared: &Shared, number: usize, tcp: T) -> std::io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: Fn(&S) -> &TcpStream,
{
    let mut stream = BufReader::new(stream);
    while let Some(request) = wire::read_request(&mut stream, number).await? {
        let head_only = request.method == "HEAD";
        let (answer, entry) = shared.take(request);
        let _running = Running(shared);
        if answer.fault == Fault::Held {
            let mut released = shared.released.subscribe();
            let _ = released.wait_for(|released| *released).await;
        }
        if answer.fault == Fault::Reset {
            return tcp(stream.get_ref()).set_zero_linger();
        }
        sleep(answer.delay).await;
        // Before it is written: whoever has read the answer finds it in the ledger.
        let status = answer.fault.gets_out().then_some(answer.status);
        shared.answered(entry, status);
        let written = wire::write_answer(stream.get_mut(), &answer, head_only).await;
        shared.answered(entry, status.filter(|_| written.is_ok()));
        let goes_on = written?;
        if !goes_on {
            break;
        }
    }
    Ok(())
}

/// One request that is being answered.
struct Running<'a>(&'a Shared);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.state().running -= 1;
    }
}
