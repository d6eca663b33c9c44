//! URLs in all their forms: what is called is what was judged.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use oauth_keeper::oauth::address::{AddressPolicy, check_url};
use url::{Host, Url};

const API_SERVER: [IpAddr; 1] = [IpAddr::V4(Ipv4Addr::new(10, 96, 0, 1))];

fn policy(deny_private: bool) -> AddressPolicy {
    AddressPolicy { deny_private, api_server: &API_SERVER, ..AddressPolicy::default() }
}

pub(crate) fn run(input: &[u8]) {
    for deny_private in [false, true] {
        if let Some(Ok(url)) = std::str::from_utf8(input).ok().map(Url::parse) {
            judge(&url, policy(deny_private));
        }
        if let Some(octets) = input.first_chunk::<4>() {
            hidden(Ipv4Addr::from(*octets), policy(deny_private));
        }
    }
}

fn judge(url: &Url, policy: AddressPolicy) {
    let verdict = check_url(url, policy);
    // Read again from its own text it is the same to everybody.
    let again = Url::parse(url.as_str()).unwrap();
    assert_eq!((check_url(&again, policy), again.host()), (verdict.clone(), url.host()), "{url}");
    if let Err(why) = verdict {
        assert!(why.len() <= 100, "{why}");
        return;
    }
    assert_eq!(url.scheme(), "https");
    match url.host().unwrap() {
        Host::Ipv4(v4) => assert!(is_ordinary(v4), "{url}"),
        Host::Ipv6(v6) => {
            assert!(!v6.is_loopback() && !v6.is_multicast() && !v6.is_unspecified(), "{url}");
        }
        // A resolver takes for an address what ends in a number.
        Host::Domain(name) => assert!(!ends_in_a_number(name), "{url}"),
    }
}

/// Of a metadata service, or of the API server.
const SPECIAL: [Ipv4Addr; 3] = [
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(168, 63, 129, 16),
    Ipv4Addr::new(10, 96, 0, 1),
];

/// By other means than those of the policy.
fn is_ordinary(v4: Ipv4Addr) -> bool {
    let is_local = v4.is_loopback() || v4.is_link_local() || v4.is_unspecified();
    let is_for_many = v4.is_multicast() || v4.is_broadcast();
    !is_local && !is_for_many && !SPECIAL.contains(&v4)
}

fn ends_in_a_number(name: &str) -> bool {
    let last = name.strip_suffix('.').unwrap_or(name).rsplit('.').next().unwrap_or_default();
    let hexadecimal = last.strip_prefix("0x").or_else(|| last.strip_prefix("0X"));
    (!last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit()))
        || hexadecimal.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// An address that is denied is denied inside of others too.
fn hidden(v4: Ipv4Addr, policy: AddressPolicy) {
    let [a, b, c, d] = v4.octets();
    let [high, low] = [u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])];
    let forms = [
        Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, high, low),
        Ipv6Addr::new(0, 0, 0, 0, 0xffff, 0, high, low),
        Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
        Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, high, low),
        Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1),
        Ipv6Addr::new(0x2001, 0, high, low, 0, 0, 0x1234, 0x5678),
        Ipv6Addr::new(0x2001, 0, 0x0808, 0x0808, 0, 0, !high, !low),
    ];
    if policy.denies(v4.into()).is_some() {
        for form in forms {
            assert!(policy.denies(form.into()).is_some(), "{v4} in {form}");
        }
    }
    let url = |host: String| Url::parse(&format!("https://{host}/")).unwrap();
    let plain = check_url(&url(v4.to_string()), policy);
    assert_eq!(plain.is_err(), policy.denies(v4.into()).is_some());
    for form in [
        u32::from(v4).to_string(),
        format!("0x{:x}", u32::from(v4)),
        format!("{a}.{b}.{}", u16::from_be_bytes([c, d])),
    ] {
        assert_eq!(check_url(&url(form), policy), plain, "{v4}");
    }
}
