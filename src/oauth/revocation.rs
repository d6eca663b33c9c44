//! The revocation request (RFC 7009 §2.1).

use url::Url;

use super::client_auth::ClientAuth;
use super::request::{TokenRequest, form_request};
use super::secret::RefreshToken;

/// Writes the request. Members come in the order `token`, `token_type_hint`, client.
pub fn revocation(endpoint: &Url, client: &ClientAuth, token: &RefreshToken) -> TokenRequest {
    let mut members = vec![("token", token.expose()), ("token_type_hint", "refresh_token")];
    members.extend(client.body_members());
    form_request(endpoint, client, &members)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::secret::ClientSecret;

    #[test]
    fn it_is_a_form_with_the_client_authenticated_as_at_the_token_endpoint() {
        let endpoint = Url::parse("https://as.example/revoke").unwrap();
        let post =
            ClientAuth::Post { client_id: "i".into(), client_secret: ClientSecret::new("s") };
        let request = revocation(&endpoint, &post, &RefreshToken::new("r/t"));
        assert_eq!(
            request.body.as_str(),
            "token=r%2Ft&token_type_hint=refresh_token&client_id=i&client_secret=s"
        );
        let basic = ClientAuth::Basic {
            client_id: "i".into(),
            client_secret: ClientSecret::new("s"),
            encoded: true,
        };
        let request = revocation(&endpoint, &basic, &RefreshToken::new("r"));
        assert_eq!(request.body.as_str(), "token=r&token_type_hint=refresh_token");
        assert!(request.headers.contains_key(http::header::AUTHORIZATION));
    }
}
