//! Where the API server is: no token request goes there, since it would come from inside.

use std::net::{IpAddr, SocketAddr};

/// The addresses of the API server, as the kubeconfig and the pod's environment know it. Kept to the end of the process.
pub async fn addresses(url: &http::Uri) -> &'static [IpAddr] {
    let service = std::env::var("KUBERNETES_SERVICE_HOST").ok();
    let mut found = Vec::new();
    for host in url.host().map(ToOwned::to_owned).into_iter().chain(service) {
        let host = host.trim_matches(['[', ']']);
        match tokio::net::lookup_host((host, 0)).await {
            Ok(addresses) => found.extend(addresses.map(|address: SocketAddr| address.ip())),
            Err(error) => {
                tracing::warn!(host, %error, "the API server's name can't be looked up; token endpoints at its address are not refused");
            }
        }
    }
    found.sort_unstable();
    found.dedup();
    Vec::leak(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_is_itself() {
        let own = |url: &'static str| async move { addresses(&url.parse().unwrap()).await };
        assert!(own("https://192.0.2.7:6443/").await.contains(&"192.0.2.7".parse().unwrap()));
        assert!(own("https://[2001:db8::7]:6443/").await.contains(&"2001:db8::7".parse().unwrap()));
    }
}
