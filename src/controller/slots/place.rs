//! Where requests go, and for whom.

use std::sync::Arc;

/// A namespace and a host.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) namespace: Arc<str>,
    pub(super) host: Arc<str>,
}

impl Place {
    /// That of a namespace at a host.
    pub(super) fn new(namespace: &str, host: &str) -> Self {
        Self { namespace: namespace.into(), host: host.into() }
    }

    /// A number from 0 to 1 that is always the same for one place.
    pub(super) fn fraction(&self) -> f64 {
        fraction(self.namespace.bytes().chain([b'/']).chain(self.host.bytes()))
    }
}

/// A number from 0 to 1 that is always the same for the same bytes (FNV-1a).
pub(super) fn fraction(bytes: impl Iterator<Item = u8>) -> f64 {
    let hash = bytes
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    f64::from(hash) / f64::from(u32::MAX)
}
