//! Free loopback ports for servers that can't choose one themselves and say which.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::net::{Ipv4Addr, TcpListener};

/// Below the range from which the kernel takes ports of outgoing connections, so that a server
/// which is stopped for a while finds its port free when it comes back.
const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;

/// Ports that were free a moment ago, all different.
pub(crate) fn free<const N: usize>() -> [u16; N] {
    let random = RandomState::new().hash_one(std::process::id());
    let start = u16::try_from(random % u64::from(COUNT)).expect("smaller than the range");
    let mut candidates = (0..COUNT).map(|step| FIRST + (start + step) % COUNT);
    // All stay bound until the last is found.
    let listeners: [TcpListener; N] = std::array::from_fn(|_| {
        candidates
            .find_map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok())
            .expect("one of 12,000 ports is free")
    });
    listeners.map(|listener| {
        let address = listener.local_addr().expect("a bound socket has an address");
        address.port()
    })
}
