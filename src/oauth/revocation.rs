//! The revocation request (RFC 7009 §2.1).

use url::Url;

use super::client_auth::ClientAuth;
use super::request::{RequestStyle, TokenRequest, form_request};
use super::secret::RefreshToken;

/// Writes the request. Members come in the order `token`, `token_type_hint`, client. It is a form whatever token requests
/// are; of their style it has the headers, and the names of what says who the client is.
pub fn revocation(
    endpoint: &Url,
    client: &ClientAuth,
    token: &RefreshToken,
    style: &RequestStyle,
) -> TokenRequest {
    let mut members = vec![("token", token.expose()), ("token_type_hint", "refresh_token")];
    let client_members = client.body_members().into_iter().filter(|(name, _)| !style.omits(name));
    members.extend(client_members.map(|(name, value)| (style.name(name), value)));
    let mut request = form_request(endpoint, client, &members);
    request.headers.extend(style.headers.clone());
    request
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::client_auth::BasicForm;
    use crate::oauth::request::Encoding;
    use crate::oauth::secret::ClientSecret;

    #[test]
    fn it_is_a_form_with_the_client_authenticated_as_at_the_token_endpoint() {
        let endpoint = Url::parse("https://as.example/revoke").unwrap();
        let post =
            ClientAuth::Post { client_id: "i".into(), client_secret: ClientSecret::new("s") };
        let usual = RequestStyle::default();
        let request = revocation(&endpoint, &post, &RefreshToken::new("r/t"), &usual);
        assert_eq!(
            request.body.as_str(),
            "token=r%2Ft&token_type_hint=refresh_token&client_id=i&client_secret=s"
        );
        let basic = ClientAuth::Basic {
            client_id: "i".into(),
            client_secret: ClientSecret::new("s"),
            form: BasicForm::Encoded,
        };
        let request = revocation(&endpoint, &basic, &RefreshToken::new("r"), &usual);
        assert_eq!(request.body.as_str(), "token=r&token_type_hint=refresh_token");
        assert!(request.headers.contains_key(http::header::AUTHORIZATION));
    }

    #[test]
    fn of_the_style_of_token_requests_it_has_headers_and_names_of_the_client() {
        let mut headers = http::HeaderMap::new();
        headers.insert("x-version", http::HeaderValue::from_static("7"));
        let style = RequestStyle {
            encoding: Encoding::Json,
            headers,
            parameters: [("mode".to_owned(), "offline".to_owned())].into(),
            names: [("client_id".to_owned(), "client_key".to_owned())].into(),
            omitted: ["client_secret".to_owned()].into(),
            ..RequestStyle::default()
        };
        let client =
            ClientAuth::Post { client_id: "i".into(), client_secret: ClientSecret::new("s") };
        let endpoint = Url::parse("https://as.example/revoke").unwrap();
        let request = revocation(&endpoint, &client, &RefreshToken::new("r"), &style);
        assert_eq!(request.body.as_str(), "token=r&token_type_hint=refresh_token&client_key=i");
        assert_eq!(request.headers["x-version"], "7");
        assert_eq!(request.headers["content-type"], "application/x-www-form-urlencoded");
    }
}
