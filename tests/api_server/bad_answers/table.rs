//! Bad answers, each with what the credential says of it.

use oauth_keeper_test_support::http_server::Answer;
use serde_json::{Value, json};

/// A row: the credential's name, whether it spends a refresh token, the answer, the reason, and words of the message.
pub struct Row {
    pub name: &'static str,
    pub spends: bool,
    pub answer: Answer,
    pub reason: &'static str,
    pub words: &'static str,
}

/// What the server wrote is never repeated, so this must not show.
pub const SERVER_TEXT: &str = "words-of-the-server";

pub fn all() -> Vec<Row> {
    let unknown = unknown_outcomes().chain(unknown_to_who_spends());
    let plain = no_token_responses().chain(failures());
    unknown.chain(plain).chain(refusals()).chain(limits()).collect()
}

type Columns = (&'static str, Answer, &'static str);

/// Of a credential that spends a refresh token.
fn rows<const N: usize>(
    reason: &'static str,
    rows: [Columns; N],
) -> impl Iterator<Item = Row> + use<N> {
    rows.into_iter().map(move |(name, answer, words)| Row {
        name,
        spends: true,
        answer,
        reason,
        words,
    })
}

/// Of one that spends nothing.
fn plain_rows<const N: usize>(
    reason: &'static str,
    columns: [Columns; N],
) -> impl Iterator<Item = Row> + use<N> {
    rows(reason, columns).map(|row| Row { spends: false, ..row })
}

fn html(status: u16) -> Answer {
    Answer::body(status, "text/html", format!("<html>{SERVER_TEXT}</html>"))
}

fn token_response(body: &Value) -> Answer {
    Answer::json(200, body)
}

fn error(status: u16, code: &str) -> Answer {
    Answer::json(status, &json!({"error": code, "error_description": SERVER_TEXT}))
}

fn unknown_outcomes() -> impl Iterator<Item = Row> {
    let whole = token_response(&json!({"access_token": "a", "expires_in": 60}));
    let all_but_the_last = whole.bytes().len() - 1;
    let lost = "the connection was lost before an answer came";
    let cut = "the answer (200) broke off before its end";
    rows(
        "ExchangeOutcomeUnknown",
        [
            ("closed", Answer::close(), lost),
            ("cut-head", whole.clone().cut_after(10), lost),
            ("cut-body", whole.cut_after(all_but_the_last), cut),
        ],
    )
}

/// With rotation the token may have been replaced by a server that answers so.
fn unknown_to_who_spends() -> impl Iterator<Item = Row> {
    let no_token = token_response(&json!({"expires_in": 60}));
    let redirect = Answer::status(307).header("Location", "/other");
    rows(
        "ExchangeOutcomeUnknown",
        [
            ("spent-html", html(200), "answered 200, but with no JSON object"),
            ("spent-no-token", no_token, "without a usable access_token"),
            ("spent-500", html(500), "the authorization server answered 500"),
            ("spent-503", html(503), "the authorization server answered 503"),
            ("spent-redirect", redirect, "a redirect (307), which is not followed"),
        ],
    )
}

fn no_token_responses() -> impl Iterator<Item = Row> {
    let no_object = "the token endpoint answered 200, but with no JSON object";
    let no_token = "without a usable access_token";
    let large = Answer::body(200, "text/plain", vec![b' '; 300_000]);
    let redirect = Answer::status(307).header("Location", "/other");
    plain_rows(
        "ResponseInvalid",
        [
            ("html", html(200), no_object),
            ("array", token_response(&json!([])), no_object),
            ("no-token", token_response(&json!({"expires_in": 60})), no_token),
            ("no-text", token_response(&json!({"access_token": 5})), no_token),
            ("no-header", token_response(&json!({"access_token": "a\r\nX: y"})), no_token),
            ("large", large, "the answer is larger than 256 KiB"),
            ("redirect", redirect, "a redirect (307), which is not followed"),
        ],
    )
}

fn failures() -> impl Iterator<Item = Row> {
    let later = html(503).header("Retry-After", "90");
    plain_rows(
        "ServerError",
        [
            ("500", html(500), "the authorization server answered 500"),
            ("503", later, "the authorization server answered 503"),
        ],
    )
}

fn limits() -> impl Iterator<Item = Row> {
    let busy = error(400, "temporarily_unavailable");
    let limit = html(429).header("Retry-After", "120");
    let limited = rows("RateLimited", [("429", limit, "the authorization server answered 429")]);
    limited.chain(rows("ServerError", [("busy", busy, "the authorization server answered 400")]))
}

fn refusals() -> impl Iterator<Item = Row> {
    let dead = error(200, "bad_refresh_token");
    let token = rows(
        "RefreshTokenRejected",
        [
            ("dead", dead, "answered 200 with error bad_refresh_token"),
            ("grant", error(400, "invalid_grant"), "answered 400 with error invalid_grant"),
            ("401", html(401), "answered 401 without an OAuth error code"),
        ],
    );
    let invalid_client = error(401, "invalid_client");
    let client = rows(
        "ClientRejected",
        [("client", invalid_client, "answered 401 with error invalid_client")],
    );
    let strange = error(400, SERVER_TEXT);
    let request = rows(
        "RequestRejected",
        [
            ("scope", error(200, "invalid_scope"), "answered 200 with error invalid_scope"),
            ("strange", strange, "answered 400 with error that is not in RFC 6749"),
            ("404", html(404), "answered 404 without an OAuth error code"),
        ],
    );
    token.chain(client).chain(request)
}
