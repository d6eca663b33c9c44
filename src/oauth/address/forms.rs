//! The many ways to write an address: each is refused, or is called as what it is.

use std::net::IpAddr;

use url::Url;

use super::{AddressPolicy, check_url};

const API_SERVER: [IpAddr; 1] = [IpAddr::V4(std::net::Ipv4Addr::new(10, 96, 0, 1))];

fn policy(deny_private: bool) -> AddressPolicy {
    AddressPolicy { deny_private, api_server: &API_SERVER, ..AddressPolicy::default() }
}

/// What becomes of a URL: the host that is looked up or dialled, or nothing when it is refused.
fn called(text: &str, policy: AddressPolicy) -> Option<String> {
    let url = Url::parse(text).ok()?;
    check_url(&url, policy).ok()?;
    url.host_str().map(ToOwned::to_owned)
}

/// Refused whatever the operator's flags say.
const REFUSED: [&str; 68] = [
    // Loopback.
    "https://127.0.0.1/t",
    "https://127.0.0.1:8443/t",
    "https://127.0.0.1./t",
    "https://127.1/t",
    "https://127.0.1/t",
    "https://2130706433/t",
    "https://017700000001/t",
    "https://0x7f000001/t",
    "https://0x7f.0x0.0x0.0x1/t",
    "https://0177.0.0.1/t",
    "https://0177.0x0.0.1/t",
    "https://127.255.255.254/t",
    "https://１２７.０.０.１/t",
    "https://127。0。0。1/t",
    "https://127．0．0．1/t",
    "https://127%2e0%2e0%2e1/t",
    "https://%31%32%37.0.0.1/t",
    "https://①②⑦.0.0.1/t",
    "https://[::1]/t",
    "https://[0:0:0:0:0:0:0:1]/t",
    "https://[0000::0001]:443/t",
    "https://[::ffff:127.0.0.1]/t",
    "https://[::ffff:7f00:1]/t",
    "https://[::127.0.0.1]/t",
    "https://[64:ff9b::127.0.0.1]/t",
    "https://[64:ff9b:1::127.0.0.1]/t",
    "https://[64:ff9b:1:7f00:0:100::]/t",
    "https://[2002:7f00:1::]/t",
    "https://[::ffff:0:127.0.0.1]/t",
    "https://[2001:0:1:1::80ff:fffe]/t",
    // Nobody's.
    "https://0/t",
    "https://0.0.0.0/t",
    "https://0.1.2.3/t",
    "https://[::]/t",
    "https://[::ffff:0.0.0.0]/t",
    "https://255.255.255.255/t",
    "https://240.0.0.1/t",
    "https://4294967295/t",
    // Link-local and metadata.
    "https://169.254.169.254/latest/meta-data/",
    "https://169.254.169.254./t",
    "https://2852039166/t",
    "https://0xa9fea9fe/t",
    "https://0xa9.0xfe.0xa9.0xfe/t",
    "https://0251.0376.0251.0376/t",
    "https://025177524776/t",
    "https://169.254.43518/t",
    "https://169.16689662/t",
    "https://[::ffff:169.254.169.254]/t",
    "https://[::ffff:a9fe:a9fe]/t",
    "https://[64:ff9b::a9fe:a9fe]/t",
    "https://[64:ff9b:1::a9fe:a9fe]/t",
    "https://[2002:a9fe:a9fe::1]/t",
    "https://[fe80::1]/t",
    "https://[febf::1]/t",
    "https://[fec0::1]/t",
    "https://[fd00:ec2::254]/t",
    "https://100.100.100.200/t",
    "https://168.63.129.16/t",
    // Multicast.
    "https://224.0.0.1/t",
    "https://239.255.255.250/t",
    "https://[ff02::1]/t",
    // The API server.
    "https://10.96.0.1/t",
    "https://0xa600001/t",
    "https://[::ffff:10.96.0.1]:6443/t",
    // No https, or no host.
    "http://as.example/t",
    "ftp://as.example/t",
    "file:///etc/passwd",
    "https://999.0.0.1/t",
];

/// Refused where private networks are denied, else called.
const PRIVATE: [&str; 10] = [
    "https://10.0.0.1/t",
    "https://167772161/t",
    "https://172.16.0.1/t",
    "https://172.31.255.255/t",
    "https://192.168.1.1/t",
    "https://100.64.0.1/t",
    "https://[fd12::1]/t",
    "https://[fc00::1]/t",
    "https://[::ffff:192.168.1.1]/t",
    "https://[64:ff9b::10.0.0.1]/t",
];

/// Called, and as whom. Names are judged again when they are looked up.
const CALLED: [(&str, &str); 14] = [
    ("https://as.example/t", "as.example"),
    ("https://AS.Example:443/t", "as.example"),
    ("https://as.example./t", "as.example."),
    ("https://as。example/t", "as.example"),
    ("https://ａｓ.example/t", "as.example"),
    ("https://127.0.0.1@as.example/t", "as.example"),
    ("https://as.example:pass@as2.example/t", "as2.example"),
    ("https://as.example\\@127.0.0.1/t", "as.example"),
    ("https://as.example/@127.0.0.1", "as.example"),
    ("https://as.example#@127.0.0.1", "as.example"),
    ("https:as.example/t", "as.example"),
    ("https://127.0.0.1.nip.example/t", "127.0.0.1.nip.example"),
    ("https://localhost/t", "localhost"),
    ("https://93.184.216.34/t", "93.184.216.34"),
];

#[test]
fn each_form_is_refused_or_called_as_what_it_is() {
    for deny_private in [false, true] {
        let policy = policy(deny_private);
        for url in REFUSED {
            assert_eq!(called(url, policy), None, "{url}");
        }
        for url in PRIVATE {
            assert_eq!(called(url, policy).is_none(), deny_private, "{url}");
        }
        for (url, host) in CALLED {
            assert_eq!(called(url, policy).as_deref(), Some(host), "{url}");
        }
    }
}
