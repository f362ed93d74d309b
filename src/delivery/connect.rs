//! The connector: every address dialled passes the policy here, whatever it came from.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use futures::{StreamExt, stream::FuturesUnordered};
use http::Uri;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::{
    net::TcpStream,
    time::{Instant, timeout, timeout_at},
};
use tokio_rustls::TlsConnector;
use url::Host;

use super::{
    policy::{AddressPolicy, Blocked},
    resolve::{Resolve, ResolveError},
    stream::Stream,
    tls::TlsFault,
};

/// Time limit of the TCP connect, over all addresses of a name.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Time limit of the TLS handshake, for connections that nobody waits for any more.
const TLS_TIMEOUT: Duration = Duration::from_secs(10);
/// Head start of an address over the next one (RFC 8305).
const HEAD_START: Duration = Duration::from_millis(250);
/// Addresses of a name that are tried.
const MAX_ADDRESSES: usize = 16;

/// Opens connections for one set of TLS settings.
#[derive(Clone)]
pub(super) struct Connector {
    pub(super) resolver: Arc<dyn Resolve>,
    pub(super) policy: Arc<AddressPolicy>,
    /// `None` if the system has no certificate authorities.
    pub(super) tls: Option<Arc<ClientConfig>>,
}

/// Why there is no connection. Nothing of the request was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ConnectError {
    /// The address has no host that a connection can be made to.
    #[error("the address has no usable host")]
    Host,
    /// The name has no address.
    #[error("resolve the host's name")]
    Resolve(#[from] ResolveError),
    /// No address of the host may be dialled.
    #[error("the address policy forbids the address: {0}")]
    Blocked(Blocked),
    /// Refused, unreachable, or our own side.
    #[error("connect: {kind}")]
    Tcp {
        /// What the system said.
        kind: io::ErrorKind,
        /// Our own side is at fault: no descriptors, ports, memory, or way out.
        local: bool,
    },
    /// No answer to the connect.
    #[error("the connect was not answered in time")]
    TcpTimeout,
    /// The handshake failed.
    #[error("TLS handshake: {}", .0.words())]
    Tls(TlsFault),
    /// The handshake was not finished in time.
    #[error("the TLS handshake was not finished in time")]
    TlsTimeout,
    /// No certificate authorities to check the far end by.
    #[error("the system has no certificate authorities")]
    NoRoots,
}

// === impl Connector ===

impl Connector {
    /// Opens a connection to the host of `uri`, with TLS for https.
    pub(super) async fn open(&self, uri: &Uri) -> Result<Stream, ConnectError> {
        let secure = uri.scheme_str() == Some("https");
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let host = host(uri).ok_or(ConnectError::Host)?;
        let allowed = self.addresses(&host, port).await?;
        let tcp = dial(&allowed).await?;
        if let (Ok(own), Ok(far)) = (tcp.local_addr(), tcp.peer_addr()) {
            self.policy.check_ends(own, far).map_err(ConnectError::Blocked)?;
        }
        // Small requests wait for nothing; a socket that refuses the option works all the same.
        let _ = tcp.set_nodelay(true);
        if !secure {
            return Ok(Stream::plain(tcp));
        }
        let name = match host {
            Host::Domain(name) => {
                // A trailing dot is for the resolver; certificates are without.
                let name = name.trim_end_matches('.').to_owned();
                ServerName::try_from(name).map_err(|_| ConnectError::Host)?
            }
            Host::Ipv4(ip) => ServerName::from(IpAddr::V4(ip)),
            Host::Ipv6(ip) => ServerName::from(IpAddr::V6(ip)),
        };
        let config = self.tls.clone().ok_or(ConnectError::NoRoots)?;
        let handshake = TlsConnector::from(config).connect(name, tcp);
        let tls = timeout(TLS_TIMEOUT, handshake).await.map_err(|_| ConnectError::TlsTimeout)?;
        Ok(Stream::tls(tls.map_err(|error| ConnectError::Tls(TlsFault::of(&error)))?))
    }

    /// The addresses that may be dialled.
    async fn addresses(&self, host: &Host, port: u16) -> Result<Vec<SocketAddr>, ConnectError> {
        let found: Arc<[IpAddr]> = match host {
            Host::Ipv4(ip) => Arc::new([IpAddr::V4(*ip)]),
            Host::Ipv6(ip) => Arc::new([IpAddr::V6(*ip)]),
            Host::Domain(name) => self.resolver.resolve(name.as_str().into()).await?,
        };
        let mut allowed = Vec::with_capacity(found.len());
        let mut blocked = None;
        for ip in found.iter() {
            let address = SocketAddr::new(*ip, port);
            match self.policy.check(address) {
                Ok(()) => allowed.push(address),
                Err(why) => blocked = Some(why),
            }
        }
        match (allowed.is_empty(), blocked) {
            (false, _) => {
                allowed.truncate(MAX_ADDRESSES);
                Ok(alternate(allowed))
            }
            (true, Some(why)) => Err(ConnectError::Blocked(why)),
            (true, None) => Err(ResolveError::NotFound.into()),
        }
    }
}

/// The host as browsers read it: `0x7f.1`, `2130706433` and `127.0.0.1.` are addresses, not names.
fn host(uri: &Uri) -> Option<Host> {
    let host = uri.host()?;
    // Without an interface: a zone would choose a way around the policy.
    Host::parse(host).ok()
}

/// Alternates between the families, beginning with that of the first address.
fn alternate(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (ours, others): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == first);
    let mut others = others.into_iter();
    let mut mixed = Vec::new();
    for address in ours {
        mixed.push(address);
        mixed.extend(others.next());
    }
    mixed.extend(others);
    mixed
}

/// Connects to the first address that answers, each with a head start over the next.
async fn dial(addresses: &[SocketAddr]) -> Result<TcpStream, ConnectError> {
    let deadline = Instant::now() + CONNECT_TIMEOUT;
    let mut rest = addresses.iter();
    let mut running = FuturesUnordered::new();
    let mut failed: Option<io::Error> = None;
    loop {
        if let Some(address) = rest.next() {
            running.push(TcpStream::connect(*address));
        }
        let next =
            if rest.len() == 0 { deadline } else { deadline.min(Instant::now() + HEAD_START) };
        match timeout_at(next, running.next()).await {
            Ok(Some(Ok(tcp))) => return Ok(tcp),
            // What the far end did says more than what our side lacks.
            Ok(Some(Err(error))) => {
                failed = Some(failed.filter(|_| is_local(&error)).unwrap_or(error));
            }
            Ok(None) => {
                let none = || io::Error::from(io::ErrorKind::AddrNotAvailable);
                let error = failed.unwrap_or_else(none);
                return Err(ConnectError::Tcp { kind: error.kind(), local: is_local(&error) });
            }
            Err(_) if Instant::now() >= deadline => return Err(ConnectError::TcpTimeout),
            Err(_) => {}
        }
    }
}

/// Whether the error says that our own side is at fault.
fn is_local(error: &io::Error) -> bool {
    // ENFILE, EMFILE, ENOBUFS: the standard library has no kinds for them.
    let exhausted = matches!(error.raw_os_error(), Some(23 | 24 | 105));
    let kinds = matches!(
        error.kind(),
        io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::NetworkDown
            | io::ErrorKind::AddrNotAvailable
            | io::ErrorKind::OutOfMemory
    );
    exhausted || kinds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_forms_of_an_address_are_addresses() {
        for text in ["http://2130706433/", "http://0x7f.1/", "http://0177.0.0.1/", "http://127.1/"]
        {
            let uri: Uri = text.parse().unwrap();
            assert_eq!(host(&uri), Some(Host::Ipv4([127, 0, 0, 1].into())), "{text}");
        }
        let uri: Uri = "http://127.0.0.1./".parse().unwrap();
        assert_eq!(host(&uri), Some(Host::Ipv4([127, 0, 0, 1].into())));
    }

    #[test]
    fn what_our_own_side_lacks_is_told_from_what_the_far_end_does() {
        // EMFILE, ENFILE, ENOBUFS, ENOMEM, ENETUNREACH, ENETDOWN, EADDRNOTAVAIL
        for code in [24, 23, 105, 12, 101, 100, 99] {
            assert!(is_local(&io::Error::from_raw_os_error(code)), "{code}");
        }
        // ECONNREFUSED, ECONNRESET, EHOSTUNREACH, ETIMEDOUT
        for code in [111, 104, 113, 110] {
            assert!(!is_local(&io::Error::from_raw_os_error(code)), "{code}");
        }
    }

    #[test]
    fn families_alternate() {
        let at = |text: &str| SocketAddr::new(text.parse().unwrap(), 1);
        let mixed = alternate(vec![at("::1"), at("::2"), at("::3"), at("1.1.1.1")]);
        assert_eq!(mixed, [at("::1"), at("1.1.1.1"), at("::2"), at("::3")]);
    }

    #[tokio::test]
    async fn a_refused_address_does_not_hide_the_next() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let good = listener.local_addr().unwrap();
        let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let bad = closed.local_addr().unwrap();
        drop(closed);
        assert!(dial(&[bad, good]).await.is_ok());
        let refused = ConnectError::Tcp { kind: io::ErrorKind::ConnectionRefused, local: false };
        assert_eq!(dial(&[bad]).await.unwrap_err(), refused);
    }
}
