//! Which addresses may be dialled. Pure; the connector asks for every address, whatever its origin.
//!
//! Order: the denied sockets (the API server and ourselves), then the operator's deny list, then its allow list,
//! then the defaults. Private networks are allowed: targets live in clusters.

use std::{
    collections::HashSet,
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use ipnet::IpNet;

/// Which addresses may be dialled.
#[derive(Clone, Debug, Default)]
pub struct AddressPolicy {
    allow: Vec<IpNet>,
    deny: Vec<IpNet>,
    sockets: HashSet<SocketAddr>,
    /// Ports of our own on every address of this machine.
    ports: HashSet<u16>,
}

/// Why an address may not be dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blocked {
    /// `--deny-cidr`.
    DenyList,
    /// The API server, or one of our own listeners.
    OwnSocket,
    /// 127.0.0.0/8, `::1`.
    Loopback,
    /// 169.254.0.0/16, `fe80::/10`.
    LinkLocal,
    /// 224.0.0.0/4, `ff00::/8`.
    Multicast,
    /// 0.0.0.0/8, `::`.
    Unspecified,
    /// 255.255.255.255 and 240.0.0.0/4.
    Reserved,
    /// Where clouds serve credentials.
    Metadata,
    /// A tunnel whose far end can't be seen in the address (Teredo).
    Tunnel,
}

/// Metadata services outside of link-local: Azure, Alibaba, Oracle, AWS.
const METADATA: [IpAddr; 4] = [
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
];
/// Metadata services of AWS and others inside of link-local, named for a better message.
const LINK_LOCAL_METADATA: IpAddr = IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254));

// === impl AddressPolicy ===

impl AddressPolicy {
    /// A policy with `--allow-cidr` and `--deny-cidr`.
    #[must_use]
    pub fn new(allow: Vec<IpNet>, deny: Vec<IpNet>) -> Self {
        Self { allow, deny, ..Self::default() }
    }

    /// Denies these sockets whatever is allowed: the API server and our own listeners. An unspecified
    /// address (a listener on all interfaces) stands for every address of this machine.
    #[must_use]
    pub fn deny_sockets(mut self, sockets: impl IntoIterator<Item = SocketAddr>) -> Self {
        for socket in sockets {
            let ip = unwrap(socket.ip());
            if ip.is_unspecified() {
                self.ports.insert(socket.port());
            } else {
                self.sockets.insert(SocketAddr::new(ip, socket.port()));
            }
        }
        self
    }

    /// Whether `address` may be dialled.
    ///
    /// # Errors
    /// [`Blocked`] says why not.
    pub fn check(&self, address: SocketAddr) -> Result<(), Blocked> {
        let ip = address.ip();
        let inner = unwrap(ip);
        let port = address.port();
        let here = inner.is_loopback() && self.ports.contains(&port);
        if here || self.sockets.contains(&SocketAddr::new(inner, port)) {
            return Err(Blocked::OwnSocket);
        }
        let within =
            |list: &[IpNet]| list.iter().any(|net| net.contains(&ip) || net.contains(&inner));
        if within(&self.deny) {
            return Err(Blocked::DenyList);
        }
        if within(&self.allow) {
            return Ok(());
        }
        match inner {
            _ if METADATA.contains(&inner) || inner == LINK_LOCAL_METADATA => {
                Err(Blocked::Metadata)
            }
            IpAddr::V4(v4) => check_v4(v4),
            IpAddr::V6(v6) => check_v6(v6),
        }
    }

    /// Whether a connection, now that its own end is known, may be used: both ends on one address is
    /// this machine talking to itself, whichever of its addresses that is.
    pub(super) fn check_ends(&self, own: SocketAddr, far: SocketAddr) -> Result<(), Blocked> {
        let here = unwrap(own.ip()) == unwrap(far.ip()) && self.ports.contains(&far.port());
        if here { Err(Blocked::OwnSocket) } else { Ok(()) }
    }
}

fn check_v4(ip: Ipv4Addr) -> Result<(), Blocked> {
    match ip.octets() {
        [0, ..] => Err(Blocked::Unspecified),
        [127, ..] => Err(Blocked::Loopback),
        [169, 254, ..] => Err(Blocked::LinkLocal),
        [224..=239, ..] => Err(Blocked::Multicast),
        [240..=255, ..] => Err(Blocked::Reserved),
        _ => Ok(()),
    }
}

fn check_v6(ip: Ipv6Addr) -> Result<(), Blocked> {
    match ip.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => Err(Blocked::Unspecified),
        [0, 0, 0, 0, 0, 0, 0, 1] => Err(Blocked::Loopback),
        [0xff00..=0xffff, ..] => Err(Blocked::Multicast),
        // Link-local, and site-local, which took its place once.
        [0xfe80..=0xfeff, ..] => Err(Blocked::LinkLocal),
        [0x2001, 0, ..] => Err(Blocked::Tunnel),
        _ => Ok(()),
    }
}

/// The IPv4 address that an IPv6 address stands for: mapped, compatible, SIIT, NAT64 (both prefixes), 6to4,
/// ISATAP. Other addresses stay.
fn unwrap(ip: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = ip else { return ip };
    let segments = v6.segments();
    let v4 = |high: u16, low: u16| IpAddr::V4((u32::from(high) << 16 | u32::from(low)).into());
    match segments {
        // `::` and `::1` are addresses of their own, not compatible ones.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => ip,
        [0, 0, 0, 0, 0, 0 | 0xffff, ..]
        | [0, 0, 0, 0, 0xffff, 0, ..]
        | [0x64, 0xff9b, 0, 0, 0, 0, ..]
        // The local-use prefix may place the address elsewhere too; its common form is the /96.
        | [0x64, 0xff9b, 1, ..]
        | [.., 0 | 0x200, 0x5efe, _, _] => v4(segments[6], segments[7]),
        [0x2002, high, low, ..] => v4(high, low),
        _ => ip,
    }
}

// === impl Blocked ===

impl fmt::Display for Blocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DenyList => "it is on the deny list (--deny-cidr)",
            Self::OwnSocket => "it is the API server or Fanfare itself",
            Self::Loopback => "loopback addresses are denied (--allow-cidr opens them)",
            Self::LinkLocal => "link-local addresses are denied (--allow-cidr opens them)",
            Self::Multicast => "multicast addresses are denied",
            Self::Unspecified => "it is not the address of a host",
            Self::Reserved => "reserved addresses are denied",
            Self::Metadata => "cloud metadata addresses are denied",
            Self::Tunnel => "Teredo addresses are denied",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SocketAddr {
        SocketAddr::new(text.parse().unwrap(), 443)
    }

    fn nets(list: &[&str]) -> Vec<IpNet> {
        list.iter().map(|net| net.parse().unwrap()).collect()
    }

    #[test]
    fn defaults_deny_what_is_never_a_target() {
        let policy = AddressPolicy::default();
        let table = [
            ("127.0.0.1", Blocked::Loopback),
            ("127.255.255.254", Blocked::Loopback),
            ("::1", Blocked::Loopback),
            ("::ffff:127.0.0.1", Blocked::Loopback),
            ("::127.0.0.1", Blocked::Loopback),
            ("64:ff9b::7f00:1", Blocked::Loopback),
            ("64:ff9b:1::7f00:1", Blocked::Loopback),
            ("2002:7f00:1::", Blocked::Loopback),
            ("::ffff:0:127.0.0.1", Blocked::Loopback),
            ("fe80::5efe:7f00:1", Blocked::Loopback),
            ("2001:db8::200:5efe:7f00:1", Blocked::Loopback),
            ("169.254.1.1", Blocked::LinkLocal),
            ("fe80::1", Blocked::LinkLocal),
            ("fec0::1", Blocked::LinkLocal),
            ("169.254.169.254", Blocked::Metadata),
            ("::ffff:169.254.169.254", Blocked::Metadata),
            ("2002:a9fe:a9fe::1", Blocked::Metadata),
            ("168.63.129.16", Blocked::Metadata),
            ("100.100.100.200", Blocked::Metadata),
            ("192.0.0.192", Blocked::Metadata),
            ("fd00:ec2::254", Blocked::Metadata),
            ("0.0.0.0", Blocked::Unspecified),
            ("0.1.2.3", Blocked::Unspecified),
            ("::", Blocked::Unspecified),
            ("::ffff:0.0.0.0", Blocked::Unspecified),
            ("224.0.0.1", Blocked::Multicast),
            ("239.255.255.255", Blocked::Multicast),
            ("ff02::1", Blocked::Multicast),
            ("255.255.255.255", Blocked::Reserved),
            ("240.0.0.1", Blocked::Reserved),
            ("2001:0:4136:e378::", Blocked::Tunnel),
        ];
        for (text, why) in table {
            assert_eq!(policy.check(at(text)), Err(why), "{text}");
        }
    }

    #[test]
    fn private_and_public_addresses_pass() {
        let policy = AddressPolicy::default();
        for text in ["10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "1.1.1.1", "fd00::1"] {
            assert_eq!(policy.check(at(text)), Ok(()), "{text}");
        }
        for text in ["2606:4700::1111", "64:ff9b::101:101", "2002:101:101::", "::ffff:10.0.0.1"] {
            assert_eq!(policy.check(at(text)), Ok(()), "{text}");
        }
    }

    #[test]
    fn deny_beats_allow_beats_defaults() {
        let policy =
            AddressPolicy::new(nets(&["127.0.0.0/8", "10.0.0.0/8"]), nets(&["10.1.0.0/16"]));
        assert_eq!(policy.check(at("127.0.0.1")), Ok(()));
        assert_eq!(policy.check(at("::ffff:127.0.0.1")), Ok(()));
        assert_eq!(policy.check(at("10.1.2.3")), Err(Blocked::DenyList));
        assert_eq!(policy.check(at("64:ff9b::a01:203")), Err(Blocked::DenyList));
        assert_eq!(policy.check(at("::1")), Err(Blocked::Loopback));
    }

    #[test]
    fn own_sockets_are_denied_whatever_is_allowed() {
        let policy = AddressPolicy::new(nets(&["0.0.0.0/0", "::/0"]), Vec::new())
            .deny_sockets([at("10.96.0.1")]);
        assert_eq!(policy.check(at("10.96.0.1")), Err(Blocked::OwnSocket));
        assert_eq!(policy.check(at("::ffff:10.96.0.1")), Err(Blocked::OwnSocket));
        assert_eq!(policy.check("10.96.0.1:80".parse().unwrap()), Ok(()));
    }

    #[test]
    fn listener_on_every_address_is_denied_on_each_of_them() {
        let policy = AddressPolicy::new(nets(&["0.0.0.0/0", "::/0"]), Vec::new())
            .deny_sockets([at("0.0.0.0")]);
        for text in ["127.0.0.1", "127.0.0.2", "127.255.255.254", "::1", "::ffff:127.9.9.9"] {
            assert_eq!(policy.check(at(text)), Err(Blocked::OwnSocket), "{text}");
        }
        let far = at("10.0.0.7");
        assert_eq!(policy.check(far), Ok(()), "not known before it is connected");
        let own = "10.0.0.7:50000".parse().unwrap();
        assert_eq!(policy.check_ends(own, far), Err(Blocked::OwnSocket));
        assert_eq!(policy.check_ends("10.0.0.8:50000".parse().unwrap(), far), Ok(()));
        assert_eq!(policy.check_ends(own, "10.0.0.7:80".parse().unwrap()), Ok(()));
    }
}
