//! A workload's call to the API, with what it finds in the target.

use std::time::Duration;

use oauth_keeper_test_support::wait;
use reqwest::StatusCode;
use reqwest::header::{AUTHORIZATION, COOKIE, HeaderName};

/// Longer than any token lives that a test waits for.
const LIMIT: Duration = Duration::from_secs(60);

/// The status of a GET with that `Authorization` header.
pub(crate) async fn get(url: &str, authorization: &str) -> StatusCode {
    get_with(url, AUTHORIZATION, authorization).await
}

/// The status of a GET with that `Cookie` header.
pub(crate) async fn get_with_cookie(url: &str, cookie: &str) -> StatusCode {
    get_with(url, COOKIE, cookie).await
}

async fn get_with(url: &str, name: HeaderName, value: &str) -> StatusCode {
    let client = reqwest::Client::builder().no_proxy().build();
    let request = client.expect("a client can be made").get(url).header(name, value);
    request.send().await.expect("the API answers").status()
}

/// Waits until the API refuses that header.
pub(crate) async fn until_refused(url: &str, authorization: &str) {
    wait::until_ok("the API answers 401", LIMIT, || async {
        match get(url, authorization).await {
            StatusCode::UNAUTHORIZED => Ok(()),
            status => Err(status),
        }
    })
    .await;
}
