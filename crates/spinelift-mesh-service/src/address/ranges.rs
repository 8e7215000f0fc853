//! Which addresses are not on the public internet: the one table.

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> IpNet {
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix))
}

const fn v6(segments: [u16; 8], prefix: u8) -> IpNet {
    let [a, b, c, d, e, f, g, h] = segments;
    IpNet::V6(Ipv6Net::new_assert(
        Ipv6Addr::new(a, b, c, d, e, f, g, h),
        prefix,
    ))
}

/// Ranges from which nothing is fetched, with the reason, after the IANA special-purpose
/// registries. The first match counts. What the registries call globally reachable in them
/// (anycast of PCP, TURN and the like) holds no images either.
#[rustfmt::skip]
const NOT_PUBLIC: [(IpNet, &str); 25] = [
    (v4(0, 0, 0, 0, 8), "an unspecified address"),
    (v4(10, 0, 0, 0, 8), "a private address"),
    (v4(100, 64, 0, 0, 10), "a carrier-grade NAT address"),
    (v4(127, 0, 0, 0, 8), "a loopback address"),
    (v4(169, 254, 0, 0, 16), "a link-local address"),
    (v4(172, 16, 0, 0, 12), "a private address"),
    (v4(192, 0, 0, 0, 24), "a protocol assignment"),
    (v4(192, 0, 2, 0, 24), "a documentation address"),
    (v4(192, 88, 99, 0, 24), "a 6to4 relay"),
    (v4(192, 168, 0, 0, 16), "a private address"),
    (v4(198, 18, 0, 0, 15), "a benchmarking address"),
    (v4(198, 51, 100, 0, 24), "a documentation address"),
    (v4(203, 0, 113, 0, 24), "a documentation address"),
    (v4(224, 0, 0, 0, 4), "a multicast address"),
    (v4(240, 0, 0, 0, 4), "a reserved address"),
    (v6([0, 0, 0, 0, 0, 0, 0, 1], 128), "a loopback address"),
    (v6([0, 0, 0, 0, 0, 0, 0, 0], 128), "an unspecified address"),
    (v6([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7), "a unique local address"),
    (v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10), "a link-local address"),
    (v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8), "a multicast address"),
    // Holds Teredo (2001::/32), which embeds IPv4 addresses, and ORCHID.
    (v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23), "a protocol assignment"),
    (v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32), "a documentation address"),
    (v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16), "a 6to4 address"),
    (v6([0x3ffe, 0, 0, 0, 0, 0, 0, 0], 16), "an address of the former 6bone"),
    (v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20), "a documentation address"),
];

/// All that is public in IPv6; whatever lies outside is refused without being listed: IPv4-
/// compatible and translated addresses, NAT64 for local use (64:ff9b:1::/48), discard-only,
/// site-local, segment routing.
const GLOBAL_UNICAST: IpNet = v6([0x2000, 0, 0, 0, 0, 0, 0, 0], 3);

/// Prefixes whose last 32 bits are an IPv4 address that is judged in their stead: a resolver may
/// answer with the first (mapped), and must with the second (NAT64) in IPv6-only networks.
const WRAPS_V4: [IpNet; 2] = [
    v6([0, 0, 0, 0, 0, 0xffff, 0, 0], 96),
    v6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96),
];

/// NAT64 for local use, where the IPv4 address stands at a place that the network chooses.
const LOCAL_NAT64: IpNet = v6([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48);

/// Where clouds hand out credentials: refused even to hosts that are allowed to be private.
#[rustfmt::skip]
const METADATA: [IpAddr; 15] = [
    // Amazon, Google, Microsoft and most others.
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
    // Amazon: ECS tasks, EKS pods, and the same over IPv6.
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 2)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 23)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23)),
    // Google: over IPv6, and the server beside each GKE node.
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 252)),
    // Alibaba; Azure, whose address looks public; Tencent.
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 0, 23)),
    // Oracle: over IPv6, and the former service.
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xc1, 0, 0, 0, 0, 0xa9fe, 0xa9fe)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    // Scaleway; OpenStack over IPv6.
    IpAddr::V4(Ipv4Addr::new(169, 254, 42, 42)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42)),
    IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0xa9fe, 0xa9fe)),
];

/// Why an address is not public; `None` if it is.
pub(super) fn not_public(address: IpAddr) -> Option<&'static str> {
    if is_metadata(address) {
        return Some("a cloud metadata address");
    }
    let address = unwrap_v4(address);
    let listed = NOT_PUBLIC.iter().find(|(net, _)| net.contains(&address));
    match (listed, address) {
        (Some((_, reason)), _) => Some(reason),
        (None, IpAddr::V6(_)) if !GLOBAL_UNICAST.contains(&address) => {
            Some("not a global unicast address")
        }
        (None, IpAddr::V6(v6)) if is_isatap(v6) => Some("an ISATAP address"),
        _ => None,
    }
}

/// Whether a cloud's metadata service answers there, or would behind some translation of
/// addresses: which of them a network has cannot be known.
pub(super) fn is_metadata(address: IpAddr) -> bool {
    METADATA.contains(&address)
        || match address {
            IpAddr::V4(_) => false,
            IpAddr::V6(v6) => embedded(v6).any(|v4| METADATA.contains(&IpAddr::V4(v4))),
        }
}

fn unwrap_v4(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) if WRAPS_V4.iter().any(|net| net.contains(&address)) => v4_at(v6, 12).into(),
        other => other,
    }
}

/// Every IPv4 address that an IPv6 address may stand for.
fn embedded(address: Ipv6Addr) -> impl Iterator<Item = Ipv4Addr> {
    let segments = address.segments();
    // Mapped, NAT64, compatible and translated (::a.b.c.d, ::ffff:0:a.b.c.d), ISATAP.
    let last = WRAPS_V4
        .iter()
        .any(|net| net.contains(&IpAddr::V6(address)))
        || segments[..4] == [0; 4]
        || is_isatap(address);
    let [.., a, b, c, d] = address.octets();
    let teredo = segments[..2] == [0x2001, 0];
    // Teredo flips the bits of the client's address, and also holds the server's.
    let client = teredo.then(|| Ipv4Addr::new(!a, !b, !c, !d));
    let server = teredo.then(|| v4_at(address, 4));
    let six_to_four = (segments[0] == 0x2002).then(|| v4_at(address, 2));
    // RFC 6052: after a prefix of 48, 56, 64 or 96 bits, the octet 8 left out.
    let octets = address.octets();
    let nat64 = LOCAL_NAT64.contains(&IpAddr::V6(address)).then(|| {
        [
            [6, 7, 9, 10],
            [7, 9, 10, 11],
            [9, 10, 11, 12],
            [12, 13, 14, 15],
        ]
        .map(|places| Ipv4Addr::from(places.map(|place| octets[place])))
    });
    let last = last.then(|| v4_at(address, 12));
    [last, client, server, six_to_four]
        .into_iter()
        .flatten()
        .chain(nat64.into_iter().flatten())
}

/// Whether the interface part is made of an IPv4 address after the scheme of ISATAP.
fn is_isatap(address: Ipv6Addr) -> bool {
    // The first octet may say that the address is unique or of a group.
    let [.., scheme, mark, _, _] = address.segments();
    scheme & !0x0300 == 0 && mark == 0x5efe
}

fn v4_at(address: Ipv6Addr, start: usize) -> Ipv4Addr {
    let octets = address.octets();
    Ipv4Addr::from([0, 1, 2, 3].map(|place| octets[start + place]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_are_not_public_are_told_apart() {
        for refused in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.255",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.51.100.7",
            "203.0.113.9",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::7f00:1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:0:4136:e378:8000:63bf:3fff:fdd2",
            "2001:db8::1",
            "2002:7f00:1::",
            "2002:808:808::1",
            "2606:4700::5efe:7f00:1",
            "2606:4700::200:5efe:a00:1",
            "64:ff9b:1::808:808",
            "::ffff:0:127.0.0.1",
            "::ffff:0:8.8.8.8",
            "100:0:0:1::1",
            "3ffe::1",
            "3fff::1",
            "4000::1",
            "5f00::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            let address: IpAddr = refused.parse().expect(refused);
            assert!(not_public(address).is_some(), "{refused}");
        }
        for public in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "223.255.255.255",
            "2606:4700:4700::1111",
            "2a00:1450:4001::1",
            "::ffff:8.8.8.8",
            "64:ff9b::808:808",
            "2606:4700::5eff:7f00:1",
        ] {
            let address: IpAddr = public.parse().expect(public);
            assert_eq!(not_public(address), None, "{public}");
        }
    }

    #[test]
    fn metadata_is_recognised_in_every_guise() {
        for text in [
            "169.254.169.254",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "169.254.170.23",
            "168.63.129.16",
            "fd00:ec2::23",
            "fd20:ce::254",
            "fd00:c1::a9fe:a9fe",
            "fe80::a9fe:a9fe",
            "100.100.100.200",
            "::169.254.169.254",
            "::ffff:0:169.254.169.254",
            "2002:a9fe:a9fe::1",
            "2001:0:a9fe:a9fe::1",
            // Teredo: the client's address with every bit flipped.
            "2001::5601:5601",
            "2606:4700::5efe:a9fe:a9fe",
            "fe80::200:5efe:a9fe:a9fe",
            // NAT64 for local use, at each place that the address may stand.
            "64:ff9b:1:a9fe:a9:fe00::",
            "64:ff9b:1:00a9:00fe:a9fe::",
            "64:ff9b:1:0:a9:fea9:fe00:0",
            "64:ff9b:1::a9fe:a9fe",
        ] {
            assert!(is_metadata(text.parse().expect(text)), "{text}");
        }
        for text in ["127.0.0.1", "10.0.0.1", "fd00::1", "::1", "::ffff:10.0.0.1"] {
            assert!(!is_metadata(text.parse().expect(text)), "{text}");
        }
    }
}
