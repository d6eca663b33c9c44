//! Free loopback ports for servers that can't choose one themselves and say which.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Below the range from which the kernel takes ports of outgoing connections, so that a server
/// which is stopped for a while finds its port free when it comes back.
const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;

/// The next to try. Counted on and never back: what was given out once may be unbound just now,
/// before its server starts or while it is stopped. It starts somewhere else in each process, as
/// two suites may run at once.
static NEXT: LazyLock<AtomicU64> =
    LazyLock::new(|| AtomicU64::new(RandomState::new().hash_one(std::process::id()) >> 1));

/// Ports that were free a moment ago, none of which this process has given out before.
pub(crate) fn free<const N: usize>() -> [u16; N] {
    std::array::from_fn(|_| {
        (0..COUNT)
            .map(|_| candidate(NEXT.fetch_add(1, Ordering::Relaxed)))
            .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
            .expect("one of 12,000 ports is free")
    })
}

fn candidate(number: u64) -> u16 {
    let step = u16::try_from(number % u64::from(COUNT)).expect("smaller than the range");
    FIRST + step
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::thread;

    use super::*;

    #[test]
    fn no_port_is_given_out_twice() {
        let callers: Vec<_> =
            (0..8).map(|_| thread::spawn(|| [(); 50].map(|()| free::<3>()))).collect();
        let ports: Vec<u16> =
            callers.into_iter().flat_map(|caller| caller.join().unwrap().concat()).collect();
        let different: HashSet<u16> = ports.iter().copied().collect();
        assert_eq!(different.len(), ports.len());
    }
}
