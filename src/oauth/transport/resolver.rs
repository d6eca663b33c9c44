//! Names become addresses here, and each is judged before it is dialled.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use futures::future::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::oauth::address::AddressPolicy;

/// Asks for the addresses of a name.
pub(super) type Lookup =
    Arc<dyn Fn(String) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> + Send + Sync>;

/// A name that led to an address the policy denies.
#[derive(Debug, thiserror::Error)]
#[error("the host {host} of the endpoint resolves to {why}, which the operator does not call")]
pub(super) struct DeniedAddress {
    host: String,
    why: &'static str,
}

/// Hands on only checked addresses, so that the address checked is the one dialled.
#[derive(Clone)]
pub(super) struct CheckedResolver {
    pub(super) policy: AddressPolicy,
    /// The proxy's host, which the operator's own flag names.
    pub(super) proxy: Option<String>,
    pub(super) lookup: Lookup,
}

/// Asks the system.
pub(super) fn system() -> Lookup {
    Arc::new(|name| {
        Box::pin(async move { Ok(tokio::net::lookup_host((name, 0)).await?.collect()) })
    })
}

impl Resolve for CheckedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let Self { policy, proxy, lookup } = self.clone();
        Box::pin(async move {
            let is_proxy = proxy.as_deref() == Some(name.as_str());
            let found = lookup(name.as_str().to_owned()).await?;
            match found.iter().find_map(|address| policy.denies(address.ip())) {
                Some(why) if !is_proxy => {
                    Err(DeniedAddress { host: name.as_str().to_owned(), why }.into())
                }
                _ => Ok(Box::new(found.into_iter()) as Addrs),
            }
        })
    }
}
