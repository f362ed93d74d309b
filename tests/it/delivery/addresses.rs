//! The address policy on real connections: hostile addresses and names that change their mind. A listener
//! waits where each of them would lead; it must never hear anything.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use fanfare::{
    api::Reason,
    delivery::{AddressPolicy, Class, Resolve, ResolveError, Told},
    publish::{BoxFuture, ErrorType},
    registry::Endpoint,
};
use serde_json::json;
use tokio::net::TcpListener;

use super::fixture::{Values, client_with, failure, firing, loopback, send, try_target, webhook};
use crate::support::sink::Sink;

/// Knows a few names, each with its answers in turn; the last one stays.
struct Names(Vec<(&'static str, Vec<Vec<IpAddr>>, AtomicUsize)>);

impl Names {
    fn new(names: &[(&'static str, &[&[&str]])]) -> Arc<Self> {
        let parse = |answer: &&[&str]| answer.iter().map(|ip| ip.parse().unwrap()).collect();
        let names = names.iter().map(|(name, answers)| {
            (*name, answers.iter().map(parse).collect(), AtomicUsize::new(0))
        });
        Arc::new(Self(names.collect()))
    }
}

impl Resolve for Names {
    fn resolve(&self, host: Arc<str>) -> BoxFuture<'_, Result<Arc<[IpAddr]>, ResolveError>> {
        Box::pin(async move {
            let known = self.0.iter().find(|(name, ..)| *name == &*host);
            let (_, answers, asked) = known.ok_or(ResolveError::NotFound)?;
            let at = asked.fetch_add(1, Ordering::SeqCst).min(answers.len() - 1);
            Ok(answers[at].clone().into())
        })
    }
}

/// Ways to write an IPv4 address.
fn forms(ip: Ipv4Addr) -> Vec<String> {
    let [a, b, c, d] = ip.octets();
    let whole = u32::from(ip);
    let (high, low) = (whole >> 16, whole & 0xffff);
    vec![
        format!("{ip}"),
        format!("{ip}."),
        format!("{whole}"),
        format!("{whole:#x}"),
        format!("{whole:#X}").replace("0X", "0x000"),
        format!("0{whole:o}"),
        format!("{a:#x}.{b:#x}.{c:#x}.{d:#x}"),
        format!("0{a:o}.0{b:o}.0{c:o}.0{d:o}"),
        format!("{a:#x}.{b}.0{c:o}.{d}"),
        format!("{a}.{}", whole & 0x00ff_ffff),
        format!("{a}.{b}.{low}"),
        format!("%3{}{}", a.to_string().as_bytes()[0] - b'0', &ip.to_string()[1..]),
        format!("[::ffff:{ip}]"),
        format!("[::ffff:{high:x}:{low:x}]"),
        format!("[0:0:0:0:0:ffff:{high:x}:{low:x}]"),
        format!("[::{ip}]"),
        format!("[64:ff9b::{ip}]"),
        format!("[64:ff9b:1::{ip}]"),
        format!("[2002:{high:x}:{low:x}::1]"),
        format!("[::ffff:0:{ip}]"),
        format!("[fe80::5efe:{ip}]"),
    ]
}

const DENIED_V4: [[u8; 4]; 12] = [
    [127, 0, 0, 1],
    [127, 0, 0, 2],
    [127, 255, 255, 254],
    [0, 0, 0, 0],
    [0, 1, 2, 3],
    [169, 254, 169, 254],
    [169, 254, 0, 1],
    [168, 63, 129, 16],
    [100, 100, 100, 200],
    [192, 0, 0, 192],
    [224, 0, 0, 1],
    [255, 255, 255, 255],
];

const NAMED: [(&str, &[&[&str]]); 16] = [
    ("localhost", &[&["127.0.0.1", "::1"]]),
    ("a.localhost", &[&["127.0.0.1"]]),
    ("localtest.example", &[&["127.0.0.1"]]),
    ("dotted.example.", &[&["127.0.0.1"]]),
    ("v6.example", &[&["::1"]]),
    ("mapped.example", &[&["::ffff:127.0.0.1"]]),
    ("nat64.example", &[&["64:ff9b::7f00:1"]]),
    ("sixtofour.example", &[&["2002:7f00:1::1"]]),
    ("any.example", &[&["0.0.0.0"]]),
    ("any6.example", &[&["::"]]),
    ("metadata.google.internal", &[&["169.254.169.254"]]),
    ("azure.example", &[&["168.63.129.16"]]),
    ("aws6.example", &[&["fd00:ec2::254"]]),
    ("linklocal.example", &[&["fe80::1", "169.254.0.1"]]),
    ("many.example", &[&["127.0.0.1", "::1", "0.0.0.0", "169.254.169.254"]]),
    ("xn--bcher-kva.example", &[&["127.0.0.1"]]),
];

fn corpus(port: u16) -> Vec<String> {
    let mut hosts: Vec<String> =
        DENIED_V4.iter().flat_map(|octets| forms(Ipv4Addr::from(*octets))).collect();
    hosts.extend(NAMED.iter().map(|(name, _)| (*name).to_owned()));
    let odd = [
        "[::1]",
        "[0:0:0:0:0:0:0:1]",
        "[::]",
        "[0000::0001]",
        "[fe80::1]",
        "[fe80::1%25lo]",
        "[fe80::1%lo]",
        "[fec0::1]",
        "[ff02::1]",
        "[fd00:ec2::254]",
        "[2001:0:7f00:1::]",
        "[::1%25lo]",
        "LOCALHOST",
        "LocalHost.",
        "１２７.0.0.1",
        "127。0。0。1",
        "①②⑦.0.0.1",
        "localhost%00.example",
        "bücher.example",
        "user@127.0.0.1",
        "user:pass@127.0.0.1",
        "ok.example@127.0.0.1",
        "127.0.0.1#@ok.example",
        "127.0.0.1\\@ok.example",
        "%6c%6f%63%61%6c%68%6f%73%74",
        "[::ffff:7f00:1]",
        "0",
        "00",
        "0x0",
        "127.0.0.1%20",
    ];
    hosts.extend(odd.map(str::to_owned));
    let mut urls: BTreeSet<String> = hosts.iter().flat_map(|host| with_port(host, port)).collect();
    let whole = [
        "http:127.0.0.1",
        "http:/127.0.0.1",
        "http:///127.0.0.1",
        "//127.0.0.1/",
        "\thttp://127.0.0.1",
        "http://127.0.0.1 /",
        "http://\t127.0.0.1",
        "http://127.0.0.1\n",
        "file:///etc/passwd",
        "gopher://127.0.0.1/",
        "ftp://127.0.0.1/",
        "unix:///run/x.sock",
        "javascript:alert(1)",
        "http://",
        "http://:80/",
        "http://?",
    ];
    urls.extend(whole.map(str::to_owned));
    urls.into_iter().collect()
}

fn with_port(host: &str, port: u16) -> [String; 2] {
    [format!("http://{host}:{port}/"), format!("https://{host}:{port}/x")]
}

#[tokio::test]
async fn hostile_addresses_are_never_dialled() {
    let v4 = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let port = v4.local_addr().unwrap().port();
    // Machines without IPv6 have nothing to reach there either.
    let v6 = TcpListener::bind(("::1", port)).await.ok();
    let urls = corpus(port);
    assert!(urls.len() >= 200, "{}", urls.len());
    let client = client_with(AddressPolicy::default(), Names::new(&NAMED));
    let mut blocked = 0;
    for url in &urls {
        // As a Secret holds it, and as it would be if compiling let everything through.
        let values = Values::default().with("s/k", url);
        let spec = json!({
            "type": "Webhook",
            "webhook": {"urlSecretRef": {"name": "s", "key": "k"}},
            "delivery": {"timeout": "1s"},
            "healthCheck": {"timeout": "1s"},
        });
        let compiled = try_target(spec, &values).map(Arc::new);
        let mut raw = Arc::into_inner(webhook("http://x.example/")).unwrap();
        let endpoint = url.parse().ok().and_then(Endpoint::new);
        let raw = endpoint.map(|endpoint| {
            raw.endpoints = Box::new([endpoint]);
            Arc::new(raw)
        });
        for target in compiled.ok().into_iter().chain(raw) {
            let attempt = send(&client, &target, firing()).await;
            let failure = failure(&attempt);
            assert!(
                matches!(failure.error_type, ErrorType::Blocked | ErrorType::Dns),
                "{url:?}: {failure:?}"
            );
            assert_eq!(failure.told, Told::No, "{url:?}");
            assert!(client.probe(&target).await.verdict.is_err(), "{url:?}");
            blocked += usize::from(failure.error_type == ErrorType::Blocked);
        }
    }
    assert!(blocked >= 400, "{blocked} of {} were blocked, the others do not resolve", urls.len());
    let heard = tokio::select! {
        biased;
        _ = v4.accept() => true,
        Some(_) = async { Some(v6.as_ref()?.accept().await) } => true,
        () = std::future::ready(()) => false,
    };
    assert!(!heard, "something was dialled");
}

#[tokio::test]
async fn the_listener_of_the_corpus_would_hear_what_is_let_through() {
    let sink = Sink::start().await;
    let port = sink.address().port();
    let client = client_with(loopback(), Names::new(&NAMED));
    let hosts = ["127.0.0.1", "0x7f.1", "2130706433", "[::ffff:127.0.0.1]", "localtest.example"];
    for host in hosts {
        let target = webhook(&format!("http://{host}:{port}/"));
        assert_eq!(send(&client, &target, firing()).await.result, Ok(()), "{host}");
    }
    assert!(sink.connections() >= 3);
}

#[tokio::test]
async fn d03_a_name_that_moves_to_a_blocked_address_is_blocked() {
    let sink = Sink::start().await;
    let port = sink.address().port();
    let names = Names::new(&[("rebind.example", &[&["127.0.0.1"], &["127.0.0.2"], &["::1"]])]);
    let policy = AddressPolicy::new(vec!["127.0.0.1/32".parse().unwrap()], Vec::new());
    let client = client_with(policy, names);
    let target = webhook(&format!("http://rebind.example:{port}/"));
    assert_eq!(send(&client, &target, firing()).await.result, Ok(()));
    // The next target has another pool key, so that the name is asked again.
    for _ in 0..2 {
        let moved = webhook(&format!("https://rebind.example:{port}/"));
        let attempt = send(&client, &moved, firing()).await;
        let failure = failure(&attempt);
        assert_eq!(failure.reason, Reason::AddressBlocked);
        assert_eq!((failure.class, failure.error_type), (Class::RetrySlowly, ErrorType::Blocked));
    }
    assert_eq!(sink.connections(), 1);
}

#[tokio::test]
async fn of_several_addresses_only_the_allowed_ones_are_dialled() {
    let blocked = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = blocked.local_addr().unwrap().port();
    let allowed = TcpListener::bind(("127.0.0.3", port)).await.unwrap();
    let names = Names::new(&[("mixed.example", &[&["127.0.0.1", "127.0.0.3"]])]);
    let policy = AddressPolicy::new(vec!["127.0.0.3/32".parse().unwrap()], Vec::new());
    let client = client_with(policy, names);
    let target = webhook(&format!("http://mixed.example:{port}/"));
    tokio::select! {
        accepted = allowed.accept() => assert!(accepted.is_ok()),
        _ = blocked.accept() => panic!("the blocked address was dialled"),
        attempt = send(&client, &target, firing()) => panic!("{attempt:?}"),
    }
}

#[tokio::test]
async fn our_own_sockets_are_denied_whatever_is_allowed() {
    let (own, other) = (Sink::start().await, Sink::start().await);
    let policy = AddressPolicy::new(vec!["0.0.0.0/0".parse().unwrap()], Vec::new())
        .deny_sockets([own.address()]);
    let client = client_with(policy, Names::new(&NAMED));
    let attempt = send(&client, &webhook(&own.url("/")), firing()).await;
    let blocked = failure(&attempt);
    assert_eq!(blocked.error_type, ErrorType::Blocked);
    assert!(blocked.message.contains("Fanfare itself"), "{}", blocked.message);
    assert_eq!(send(&client, &webhook(&other.url("/")), firing()).await.result, Ok(()));
    assert_eq!(own.connections(), 0);
}

#[tokio::test]
async fn d01_d02_a_failing_resolver_is_a_local_fault_and_an_unknown_name_is_not() {
    struct Failing;
    impl Resolve for Failing {
        fn resolve(&self, _: Arc<str>) -> BoxFuture<'_, Result<Arc<[IpAddr]>, ResolveError>> {
            Box::pin(std::future::ready(Err(ResolveError::Failed)))
        }
    }
    let target = webhook("http://unknown.example/");
    let cases: [(Arc<dyn Resolve>, bool, Class); 2] =
        [(Arc::new(Failing), true, Class::Retry), (Names::new(&[]), false, Class::RetrySlowly)];
    for (resolver, local, class) in cases {
        let attempt = send(&client_with(loopback(), resolver), &target, firing()).await;
        assert_eq!(failure(&attempt).error_type, ErrorType::Dns);
        assert_eq!((failure(&attempt).class, failure(&attempt).local), (class, local));
        assert_eq!(attempt.sample.unwrap().verdict.unwrap_err().local, local);
    }
}

#[tokio::test]
async fn own_listener_on_every_address_hears_nothing_on_any_of_them() {
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let own = listener.local_addr().unwrap();
    let client = client_with(loopback().deny_sockets([own]), Names::new(&NAMED));
    // The address that this machine has towards others, if it has one. Nothing is sent.
    let outward = std::net::UdpSocket::bind("0.0.0.0:0").and_then(|socket| {
        socket.connect("192.0.2.1:9")?;
        Ok(socket.local_addr()?.ip().to_string())
    });
    let hosts = ["127.0.0.1", "127.0.0.2", "localhost"].map(str::to_owned).into_iter();
    for host in hosts.chain(outward.ok()) {
        let target = webhook(&format!("http://{host}:{}/", own.port()));
        let attempt = send(&client, &target, firing()).await;
        assert_eq!(failure(&attempt).error_type, ErrorType::Blocked, "{host}");
    }
}
