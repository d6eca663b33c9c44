//! Which network addresses a token request may go to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

/// What the operator's flags allow beyond https to ordinary addresses, and what they deny of these.
#[derive(Clone, Copy, Debug, Default)]
pub struct AddressPolicy {
    /// Plain http.
    pub allow_http: bool,
    /// Loopback addresses, for tests.
    pub allow_loopback: bool,
    /// Addresses of private networks, which are allowed as a rule: many an authorization server is in the cluster.
    pub deny_private: bool,
    /// Where the API server is.
    pub api_server: &'static [IpAddr],
}

/// Metadata services outside the link-local ranges: of Alibaba Cloud, of AWS over IPv6, of Azure's host.
const METADATA: [IpAddr; 3] = [
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
];

impl AddressPolicy {
    /// Why an address must not be dialled, if so. IPv4 addresses inside IPv6 ones are judged as themselves.
    pub fn denies(self, address: IpAddr) -> Option<&'static str> {
        let inside = embedded(address).into_iter().flatten();
        inside.chain([address]).find_map(|address| self.denies_this(address.to_canonical()))
    }

    fn denies_this(self, address: IpAddr) -> Option<&'static str> {
        if METADATA.contains(&address) {
            return Some("a metadata service");
        }
        if address.is_loopback() {
            return (!self.allow_loopback).then_some("a loopback address");
        }
        if self.api_server.iter().any(|own| own.to_canonical() == address) {
            return Some("the API server's address");
        }
        if address.is_unspecified() {
            return Some("an unspecified address");
        }
        if address.is_multicast() {
            return Some("a multicast address");
        }
        if is_link_local(address) {
            return Some("a link-local address");
        }
        if is_reserved(address) {
            return Some("a reserved address");
        }
        (self.deny_private && is_private(address)).then_some("a private address")
    }
}

fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        // Site-local ones, long given up, are no less local.
        IpAddr::V6(v6) => v6.is_unicast_link_local() || v6.segments()[0] & 0xffc0 == 0xfec0,
    }
}

fn is_reserved(address: IpAddr) -> bool {
    let IpAddr::V4(v4) = address else { return false };
    v4.octets()[0] == 0 || v4.octets()[0] >= 240
}

fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            // Shared by providers (RFC 6598), of protocols (RFC 6890), for benchmarks (RFC 2544).
            let special = (a == 100 && b & 0xc0 == 64)
                || (a == 192 && b == 0 && c == 0)
                || (a == 198 && b & 0xfe == 18);
            v4.is_private() || special
        }
        IpAddr::V6(v6) => v6.is_unique_local(),
    }
}

/// Why a URL may not be called, if so. Names are judged when they are resolved.
///
/// # Errors
/// What is wrong with it, to follow its name in a text.
pub fn check_url(url: &Url, policy: AddressPolicy) -> Result<(), String> {
    let literal = match url.host() {
        Some(Host::Ipv4(v4)) => Some(IpAddr::V4(v4)),
        Some(Host::Ipv6(v6)) => Some(IpAddr::V6(v6)),
        Some(Host::Domain(_)) => None,
        None => return Err("has no host".to_owned()),
    };
    match url.scheme() {
        "https" => {}
        "http" if policy.allow_http => {}
        "http" => return Err("is not https, and the operator runs without --allow-http".to_owned()),
        _ => return Err("is not https".to_owned()),
    }
    match literal.and_then(|address| policy.denies(address)) {
        Some(why) => Err(format!("is {why}, which the operator does not call")),
        None => Ok(()),
    }
}

/// The IPv4 addresses inside a v4-mapped, v4-translated, v4-compatible, NAT64, 6to4 or Teredo one.
fn embedded(address: IpAddr) -> [Option<IpAddr>; 2] {
    let IpAddr::V6(v6) = address else { return [None; 2] };
    let v4 = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        Some(IpAddr::V4(Ipv4Addr::new(a, b, c, d)))
    };
    match v6.segments() {
        [0, 0, 0, 0, 0, 0, 0, _] => [None; 2],
        // NAT64 of one's own (RFC 8215), with a prefix of 48 or 56 bits (RFC 6052 §2.2).
        [0x64, 0xff9b, 1, first, second, third, 0, 0] => {
            let [[_, b], [_, c], [d, e]] = [first, second, third].map(u16::to_be_bytes);
            [
                v4(first, u16::from_be_bytes([c, d])),
                v4(u16::from_be_bytes([b, c]), u16::from_be_bytes([d, e])),
            ]
        }
        // The same with one of 64 bits, or of 96.
        [0x64, 0xff9b, 1, _, first, second, third, 0] => {
            let [[_, a], [b, c], [d, _]] = [first, second, third].map(u16::to_be_bytes);
            [v4(u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])), v4(third, 0)]
        }
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x64, 0xff9b, 1, _, _, _, high, low]
        | [0x2002, high, low, ..] => [v4(high, low), None],
        [0x2001, 0, server_high, server_low, _, _, high, low] => {
            [v4(server_high, server_low), v4(!high, !low)]
        }
        _ => [None; 2],
    }
}

#[cfg(test)]
mod forms;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ordinary_addresses_pass() {
        let policy = AddressPolicy::default();
        for denied in [
            "127.0.0.1",
            "127.9.9.9",
            "::1",
            "169.254.169.254",
            "fe80::1",
            "0.0.0.0",
            "::",
            "224.0.0.1",
            "ff02::1",
            "255.255.255.255",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1:a9fe:a9:fe00::",
            "64:ff9b:1:1a9:fe:a9fe::",
            // 100.100.100.200 by one prefix, and nothing forbidden by the other of the same shape.
            "64:ff9b:1:6464:64:c800::",
            "64:ff9b:1::64:6464:c800:0",
            "64:ff9b:1::a9:fea9:fe00:0",
            "64:ff9b:1::a9fe:a9fe",
            "2002:a9fe:a9fe::",
            "::169.254.169.254",
            "fd00:ec2::254",
            "100.100.100.200",
            "0.1.2.3",
            "240.0.0.1",
        ] {
            assert!(policy.denies(denied.parse().unwrap()).is_some(), "{denied}");
        }
        for allowed in [
            "93.184.216.34",
            "10.0.0.1",
            "192.168.1.1",
            "2606:2800:220:1::1",
            "fd12::1",
            "64:ff9b:1:5db8:d8:2200::",
            "64:ff9b:1:15d:b8:d822::",
            "64:ff9b:1::5d:b8d8:2200:0",
            "64:ff9b:1::5db8:d822",
        ] {
            assert_eq!(policy.denies(allowed.parse().unwrap()), None, "{allowed}");
        }
    }

    #[test]
    fn loopback_can_be_allowed_and_nothing_else_with_it() {
        let policy = AddressPolicy { allow_loopback: true, ..AddressPolicy::default() };
        assert_eq!(policy.denies("127.0.0.1".parse().unwrap()), None);
        assert_eq!(policy.denies("::ffff:127.0.0.1".parse().unwrap()), None);
        assert!(policy.denies("169.254.169.254".parse().unwrap()).is_some());
    }

    fn denied(url: &str) -> Option<String> {
        check_url(&Url::parse(url).unwrap(), AddressPolicy::default()).err()
    }

    #[test]
    fn urls_are_judged_by_scheme_and_literal_address() {
        assert_eq!(denied("https://as.example/token"), None);
        assert!(denied("http://as.example/token").unwrap().contains("--allow-http"));
        for address in [
            "https://127.0.0.1/t",
            "https://[::1]/t",
            "https://2130706433/t",
            "https://0x7f.1/t",
            "https://169.254.169.254/",
        ] {
            assert!(denied(address).is_some(), "{address}");
        }
    }
}
