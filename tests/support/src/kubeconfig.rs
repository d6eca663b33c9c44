//! Kubeconfig files. JSON is YAML, so no YAML is written by hand.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::certificates::Identity;

/// Who connects.
pub(crate) enum User<'a> {
    Certificate(&'a Identity),
    Token(&'a str),
}

/// A kubeconfig with one context, with everything inline.
pub(crate) fn render(server: &str, authority: &str, user: &User<'_>, namespace: &str) -> String {
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": {
            "server": server,
            "certificate-authority-data": STANDARD.encode(authority),
        }}],
        "users": [{"name": "test", "user": credentials(user)}],
        "contexts": [{"name": "test", "context": {
            "cluster": "test", "user": "test", "namespace": namespace,
        }}],
        "current-context": "test",
    });
    format!("{config:#}\n")
}

fn credentials(user: &User<'_>) -> Value {
    match user {
        User::Certificate(identity) => json!({
            "client-certificate-data": STANDARD.encode(&identity.certificate),
            "client-key-data": STANDARD.encode(&identity.key),
        }),
        User::Token(token) => json!({ "token": token }),
    }
}
