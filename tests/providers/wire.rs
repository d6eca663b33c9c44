//! Token requests as they are on the wire.

use std::net::SocketAddr;

use oauth_keeper_test_support::http_server::RecordedRequest;

/// All that was sent, as text.
pub(crate) fn sent(request: &RecordedRequest) -> String {
    let head = std::str::from_utf8(&request.head_bytes).expect("the head is UTF-8");
    format!("{head}{}", request.text())
}

/// All that a token request without an Authorization header has to be.
pub(crate) fn expected(path: &str, host: SocketAddr, content_type: &str, body: &str) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\n\
         accept: application/json\r\n\
         content-type: {content_type}\r\n\
         accept-encoding: identity\r\n\
         user-agent: oauth-keeper/{version}\r\n\
         host: {host}\r\n\
         content-length: {length}\r\n\
         \r\n\
         {body}"
    )
}

/// All that a call with a cookie has to be.
pub(crate) fn expected_call(path: &str, host: SocketAddr, cookie: &str) -> String {
    let version = env!("CARGO_PKG_VERSION");
    format!(
        "GET {path} HTTP/1.1\r\n\
         accept: application/json\r\n\
         cookie: {cookie}\r\n\
         accept-encoding: identity\r\n\
         user-agent: oauth-keeper/{version}\r\n\
         host: {host}\r\n\
         \r\n"
    )
}
