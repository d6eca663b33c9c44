//! Documents of issuers.

use oauth_keeper::oauth::address::{AddressPolicy, check_url};
use oauth_keeper::oauth::discovery::{issuer, places, read};

use url::Url;

use super::{answer, lines};
use crate::corpus::CANARY;

pub(crate) fn run(input: &[u8]) {
    let ([status, name], body) = lines::<2>(input);
    if let Ok(url) = issuer(name) {
        for place in places(&url) {
            let server = |url: &Url| {
                (url.scheme().to_owned(), url.host_str().map(str::to_owned), url.port())
            };
            assert_eq!(server(&place), server(&url));
            assert!(
                place.query().is_none()
                    && place.fragment().is_none()
                    && place.username().is_empty()
            );
        }
    }
    let raw = answer(status.parse().unwrap_or(200), body);
    let open = AddressPolicy { allow_http: true, allow_loopback: true, ..AddressPolicy::default() };
    for policy in [AddressPolicy::default(), open] {
        match read(&raw, name, policy) {
            Ok(metadata) => {
                let endpoint = metadata.token_endpoint;
                assert_eq!(raw.status, 200);
                assert!(check_url(&endpoint, policy).is_ok(), "{endpoint}");
                assert!(!name.starts_with("https:") || endpoint.scheme() == "https");
                assert!(endpoint.fragment().is_none() && endpoint.password().is_none());
            }
            Err(why) => assert!(!why.contains(CANARY) && why.len() <= 300, "{why}"),
        }
    }
}
