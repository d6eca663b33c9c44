//! How much may be under way.

/// How much may be under way at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shares {
    /// Requests in all.
    pub(super) all: usize,
    /// Those of one namespace.
    pub(super) of_a_namespace: usize,
    /// Those at one host.
    pub(super) of_a_host: usize,
    /// Those of one namespace at one host.
    pub(super) of_a_lane: usize,
    /// Exchanges of one namespace at one host, those that wait for a commit included.
    pub(super) exchanges: usize,
}
