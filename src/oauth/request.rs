//! The token request (RFC 6749 §4.4.2 and §6), byte for byte.

use http::HeaderMap;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use serde::ser::{Serialize, Serializer};
use url::Url;
use zeroize::Zeroizing;

use super::client_auth::ClientAuth;
use super::secret::RefreshToken;

/// How the body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyEncoding {
    /// `application/x-www-form-urlencoded`.
    Form,
    /// `application/json`, members in the order of the form.
    Json,
}

/// What is spent or shown for the token.
#[derive(Clone, Debug)]
pub enum GrantInput {
    /// RFC 6749 §6.
    RefreshToken(RefreshToken),
    /// RFC 6749 §4.4.
    ClientCredentials,
}

/// All that a token request is made of.
#[derive(Clone, Debug)]
pub struct TokenCall<'a> {
    /// The token endpoint.
    pub endpoint: &'a Url,
    /// The client.
    pub client: &'a ClientAuth,
    /// What is spent.
    pub grant: &'a GrantInput,
    /// The scopes asked for; none are sent when empty.
    pub scopes: &'a [String],
    /// How the body is written.
    pub encoding: BodyEncoding,
}

/// A request ready for the transport. Always a POST.
pub struct TokenRequest {
    /// Where to.
    pub endpoint: Url,
    /// `Accept`, `Content-Type` and, for Basic, `Authorization`.
    pub headers: HeaderMap,
    /// The body, wiped when dropped.
    pub body: Zeroizing<String>,
}

/// Writes the request. Members come in the order `grant_type`, client, `refresh_token`, `scope`.
pub fn build(call: &TokenCall<'_>) -> TokenRequest {
    let scope = call.scopes.join(" ");
    let mut members = Vec::with_capacity(5);
    members.push(("grant_type", grant_type(call.grant)));
    members.extend(call.client.body_members());
    if let GrantInput::RefreshToken(token) = call.grant {
        members.push(("refresh_token", token.expose()));
    }
    if !scope.is_empty() {
        members.push(("scope", &scope));
    }
    let (content_type, body) = match call.encoding {
        BodyEncoding::Form => (FORM, form(&members)),
        BodyEncoding::Json => ("application/json", json(&members)),
    };
    request(call.endpoint, call.client, content_type, body)
}

/// Writes a form for another endpoint of the authorization server.
pub(super) fn form_request(
    endpoint: &Url,
    client: &ClientAuth,
    members: &[(&str, &str)],
) -> TokenRequest {
    request(endpoint, client, FORM, form(members))
}

const FORM: &str = "application/x-www-form-urlencoded";

fn request(
    endpoint: &Url,
    client: &ClientAuth,
    content_type: &'static str,
    body: Zeroizing<String>,
) -> TokenRequest {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    if let Some(mut value) =
        client.authorization().and_then(|text| HeaderValue::try_from(text).ok())
    {
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    TokenRequest { endpoint: endpoint.clone(), headers, body }
}

fn grant_type(grant: &GrantInput) -> &'static str {
    match grant {
        GrantInput::RefreshToken(_) => "refresh_token",
        GrantInput::ClientCredentials => "client_credentials",
    }
}

fn form(members: &[(&str, &str)]) -> Zeroizing<String> {
    Zeroizing::new(
        url::form_urlencoded::Serializer::new(String::new()).extend_pairs(members).finish(),
    )
}

fn json(members: &[(&str, &str)]) -> Zeroizing<String> {
    struct Members<'a>(&'a [(&'a str, &'a str)]);
    impl Serialize for Members<'_> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_map(self.0.iter().copied())
        }
    }
    // Writing strings into a String can't fail.
    Zeroizing::new(serde_json::to_string(&Members(members)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::secret::ClientSecret;

    fn body(
        client: &ClientAuth,
        grant: &GrantInput,
        scopes: &[&str],
        encoding: BodyEncoding,
    ) -> String {
        let endpoint = Url::parse("https://as.example/token").unwrap();
        let scopes: Vec<String> = scopes.iter().map(ToString::to_string).collect();
        build(&TokenCall { endpoint: &endpoint, client, grant, scopes: &scopes, encoding })
            .body
            .to_string()
    }

    fn post() -> ClientAuth {
        ClientAuth::Post { client_id: "id".into(), client_secret: ClientSecret::new("s&e=c") }
    }

    #[test]
    fn refresh_with_the_client_in_a_form() {
        let grant = GrantInput::RefreshToken(RefreshToken::new("r/t"));
        assert_eq!(
            body(&post(), &grant, &[], BodyEncoding::Form),
            "grant_type=refresh_token&client_id=id&client_secret=s%26e%3Dc&refresh_token=r%2Ft"
        );
    }

    #[test]
    fn refresh_without_a_client_in_json() {
        let grant = GrantInput::RefreshToken(RefreshToken::new("r\"t"));
        assert_eq!(
            body(&ClientAuth::None { client_id: None }, &grant, &[], BodyEncoding::Json),
            r#"{"grant_type":"refresh_token","refresh_token":"r\"t"}"#
        );
    }

    #[test]
    fn client_credentials_with_scopes() {
        assert_eq!(
            body(&post(), &GrantInput::ClientCredentials, &["a", "b"], BodyEncoding::Form),
            "grant_type=client_credentials&client_id=id&client_secret=s%26e%3Dc&scope=a+b"
        );
    }

    #[test]
    fn basic_keeps_the_client_out_of_the_body() {
        let basic =
            ClientAuth::Basic { client_id: "id".into(), client_secret: ClientSecret::new("s") };
        assert_eq!(
            body(&basic, &GrantInput::ClientCredentials, &[], BodyEncoding::Form),
            "grant_type=client_credentials"
        );
    }
}
