use super::*;
use crate::oauth::client_auth::BasicForm;
use crate::oauth::client_auth::Client;
use crate::oauth::jwt::{Algorithm, KeyNames, SigningKey};
use crate::oauth::jwt_bearer::{Audience, Place};
use crate::oauth::secret::{Assertion, ClientSecret, GivenToken};
use crate::oauth::token_exchange::{ACCESS_TOKEN_TYPE, JWT_TYPE, TypedToken};

fn written(
    client: &ClientAuth,
    grant: &GrantInput,
    scopes: &[&str],
    style: &RequestStyle,
) -> TokenRequest {
    let endpoint = Url::parse("https://as.example/token?tenant=1").unwrap();
    let scopes: Vec<String> = scopes.iter().map(ToString::to_string).collect();
    let wanted = Wanted { scopes: &scopes, ..Wanted::default() };
    build(&TokenCall { endpoint: &endpoint, client, grant, wanted, style })
}

fn body(client: &ClientAuth, grant: &GrantInput, scopes: &[&str], style: &RequestStyle) -> String {
    written(client, grant, scopes, style).body.to_string()
}

fn post() -> ClientAuth {
    ClientAuth::Post { client_id: "id".into(), client_secret: ClientSecret::new("s&e=c") }
}

fn refresh(token: &str) -> GrantInput {
    GrantInput::RefreshToken(RefreshToken::new(token))
}

fn json_style() -> RequestStyle {
    RequestStyle { encoding: Encoding::Json, ..RequestStyle::default() }
}

#[test]
fn refresh_with_the_client_in_a_form() {
    assert_eq!(
        body(&post(), &refresh("r/t"), &[], &RequestStyle::default()),
        "grant_type=refresh_token&client_id=id&client_secret=s%26e%3Dc&refresh_token=r%2Ft"
    );
}

#[test]
fn refresh_without_a_client_in_json() {
    assert_eq!(
        body(&ClientAuth::None { client_id: None }, &refresh("r\"t"), &[], &json_style()),
        r#"{"grant_type":"refresh_token","refresh_token":"r\"t"}"#
    );
}

#[test]
fn client_credentials_with_scopes() {
    assert_eq!(
        body(&post(), &GrantInput::ClientCredentials, &["a", "b"], &RequestStyle::default()),
        "grant_type=client_credentials&client_id=id&client_secret=s%26e%3Dc&scope=a+b"
    );
}

#[test]
fn basic_keeps_the_client_out_of_the_body() {
    let basic = ClientAuth::Basic {
        client_id: "id".into(),
        client_secret: ClientSecret::new("s"),
        form: BasicForm::Encoded,
    };
    assert_eq!(
        body(&basic, &GrantInput::ClientCredentials, &[], &RequestStyle::default()),
        "grant_type=client_credentials"
    );
}

#[test]
fn the_query_takes_everything_where_the_server_wants_it_there() {
    let style =
        RequestStyle { method: Method::Get, encoding: Encoding::Query, ..RequestStyle::default() };
    let request = written(&post(), &refresh("r/t"), &[], &style);
    assert_eq!(
        request.endpoint.as_str(),
        "https://as.example/token?tenant=1&grant_type=refresh_token&client_id=id&client_secret=s%26e%3Dc&refresh_token=r%2Ft"
    );
    assert_eq!(request.body.as_str(), "");
    assert!(!request.headers.contains_key(CONTENT_TYPE));
}

#[test]
fn members_are_renamed_left_out_and_added() {
    let pairs = |pairs: &[(&str, &str)]| {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    let style = RequestStyle {
        names: pairs(&[("client_id", "client_key")]),
        omitted: ["client_secret".to_owned()].into(),
        parameters: pairs(&[("b", "2"), ("a", "1")]),
        grant_type: Some("renew".to_owned()),
        scope_separator: ",".to_owned(),
        ..RequestStyle::default()
    };
    assert_eq!(
        body(&post(), &refresh("r"), &["x", "y"], &style),
        "grant_type=renew&client_key=id&refresh_token=r&scope=x%2Cy&a=1&b=2"
    );
}

#[test]
fn headers_of_the_server_stand_beside_ours() {
    let mut style = RequestStyle::default();
    style.headers.insert("notion-version", HeaderValue::from_static("2022-06-28"));
    let request = written(&post(), &refresh("r"), &[], &style);
    assert_eq!(request.headers["notion-version"], "2022-06-28");
    assert_eq!(request.headers[CONTENT_TYPE], FORM);
    assert_eq!(request.headers[ACCEPT], "application/json");
}

#[test]
fn an_audience_and_resources_are_named() {
    let endpoint = Url::parse("https://as.example/token").unwrap();
    let resources = ["https://a.example".to_owned(), "https://b.example".to_owned()];
    let wanted = Wanted { audience: Some("api"), resources: &resources, ..Wanted::default() };
    let client = ClientAuth::None { client_id: None };
    let grant = GrantInput::ClientCredentials;
    let body = |style| {
        let style = &style;
        build(&TokenCall { endpoint: &endpoint, client: &client, grant: &grant, wanted, style })
            .body
    };
    assert_eq!(
        body(RequestStyle::default()).as_str(),
        "grant_type=client_credentials&audience=api&resource=https%3A%2F%2Fa.example&resource=https%3A%2F%2Fb.example"
    );
    assert_eq!(
        body(json_style()).as_str(),
        r#"{"grant_type":"client_credentials","audience":"api","resource":["https://a.example","https://b.example"]}"#
    );
}

#[test]
fn assertions_of_client_and_grant() {
    let client =
        ClientAuth::Assertion { client_id: "id".into(), assertion: Assertion::new("h.c.s") };
    let key = SigningKey::of_secret(Algorithm::HS256, &ClientSecret::new("s")).unwrap();
    let grant = GrantInput::JwtBearer(Box::new(JwtBearer {
        issuer: "i".into(),
        subject: None,
        audience: Audience::TokenEndpoint,
        lifetime_seconds: 60,
        claims: std::collections::BTreeMap::default(),
        key,
        names: KeyNames::default(),
        place: Place::Member,
        assertion: Some(Assertion::new("H.C.S")),
    }));
    let proof = "client_id=id&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion=h.c.s";
    assert_eq!(
        body(&client, &refresh("r"), &["a"], &RequestStyle::default()),
        format!("grant_type=refresh_token&{proof}&refresh_token=r&scope=a")
    );
    assert_eq!(
        body(&client, &GrantInput::ClientCredentials, &[], &RequestStyle::default()),
        format!("grant_type=client_credentials&{proof}")
    );
    let none = ClientAuth::None { client_id: None };
    let grant_type = "urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer";
    assert_eq!(
        body(&none, &grant, &["a"], &RequestStyle::default()),
        format!("grant_type={grant_type}&assertion=H.C.S&scope=a")
    );
    assert_eq!(
        body(&client, &grant, &[], &RequestStyle::default()),
        format!("grant_type={grant_type}&{proof}&assertion=H.C.S")
    );
    assert_eq!(
        body(&none, &grant, &[], &json_style()),
        r#"{"grant_type":"urn:ietf:params:oauth:grant-type:jwt-bearer","assertion":"H.C.S"}"#
    );
}

#[test]
fn a_password_goes_with_its_user_name() {
    let grant = GrantInput::Password { username: "a b".into(), password: Password::new("p&w") };
    assert_eq!(
        body(
            &ClientAuth::None { client_id: Some("id".into()) },
            &grant,
            &["a"],
            &RequestStyle::default()
        ),
        "grant_type=password&client_id=id&username=a+b&password=p%26w&scope=a"
    );
    let names = [("username".to_owned(), "login".to_owned())].into();
    let style = RequestStyle { names, ..json_style() };
    assert_eq!(
        body(&ClientAuth::None { client_id: None }, &grant, &[], &style),
        r#"{"grant_type":"password","login":"a b","password":"p&w"}"#
    );
}

fn exchange(subject: Option<&str>, actor: Option<&str>) -> GrantInput {
    let typed = |token: Option<&str>, token_type: &str| TypedToken {
        token: token.map(GivenToken::new),
        token_type: token_type.to_owned(),
    };
    GrantInput::TokenExchange(Box::new(TokenExchange {
        subject: typed(subject, ACCESS_TOKEN_TYPE),
        actor: actor.map(|actor| typed(Some(actor), JWT_TYPE)),
        requested_type: Some(JWT_TYPE.to_owned()),
    }))
}

/// The request of RFC 8693 §2.3, whose client stands in a header there.
#[test]
fn the_example_of_token_exchange() {
    let endpoint = Url::parse("https://as.example.com/as/token.oauth2").unwrap();
    let resources = ["https://backend.example.com/api".to_owned()];
    let mut grant = exchange(Some("accVkjcJyb4BWCxGsndESCJQbdFMogUC5PbRDqceLTC"), None);
    if let GrantInput::TokenExchange(exchange) = &mut grant {
        exchange.requested_type = None;
    }
    let client = ClientAuth::None { client_id: None };
    let wanted = Wanted { resources: &resources, ..Wanted::default() };
    let style = RequestStyle::default();
    let call =
        TokenCall { endpoint: &endpoint, client: &client, grant: &grant, wanted, style: &style };
    assert_eq!(
        build(&call).body.as_str(),
        "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange\
         &subject_token=accVkjcJyb4BWCxGsndESCJQbdFMogUC5PbRDqceLTC\
         &subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token\
         &resource=https%3A%2F%2Fbackend.example.com%2Fapi"
    );
}

#[test]
fn who_acts_for_whom_is_told() {
    assert_eq!(
        body(
            &ClientAuth::None { client_id: None },
            &exchange(Some("s"), Some("a")),
            &["x"],
            &json_style()
        ),
        concat!(
            r#"{"grant_type":"urn:ietf:params:oauth:grant-type:token-exchange","#,
            r#""subject_token":"s","subject_token_type":"urn:ietf:params:oauth:token-type:access_token","#,
            r#""requested_token_type":"urn:ietf:params:oauth:token-type:jwt","#,
            r#""actor_token":"a","actor_token_type":"urn:ietf:params:oauth:token-type:jwt","scope":"x"}"#,
        )
    );
}

#[test]
fn a_fingerprint_changes_with_what_the_request_takes_from_the_source() {
    let of = |grant: &GrantInput| grant.fingerprint(&Client::Fixed(post()), b"salt");
    let password = |username: &str, password: &str| GrantInput::Password {
        username: username.into(),
        password: Password::new(password),
    };
    let client = Client::Fixed(post()).fingerprint(b"salt");
    assert_eq!(of(&GrantInput::ClientCredentials), client);
    assert_eq!(of(&refresh("r")), client);
    let all = [
        client,
        of(&password("a", "b")),
        of(&password("a", "c")),
        of(&password("c", "b")),
        of(&exchange(Some("s"), None)),
        of(&exchange(Some("t"), None)),
        of(&exchange(Some("s"), Some("a"))),
        of(&exchange(None, Some("a"))),
    ];
    let different: std::collections::BTreeSet<_> = all.iter().collect();
    assert_eq!(different.len(), all.len());
    assert_eq!(of(&password("a", "b")), of(&password("a", "b")));
}

#[test]
fn what_is_secret_in_a_request_is_known_in_each_form_it_was_sent_in() {
    let basic = |form| ClientAuth::Basic {
        client_id: "the-client".into(),
        client_secret: ClientSecret::new("p&ss of-mine"),
        form,
    };
    let assertion = ClientAuth::Assertion {
        client_id: "the-client".into(),
        assertion: Assertion::new("eyJhbGci.eyJpc3Mi.c2lnbmF0dXJl"),
    };
    let password = GrantInput::Password {
        username: "the-user".into(),
        password: Password::new("hunter2 hunter2"),
    };
    for (client, grant, style, echo) in [
        (basic(BasicForm::Plain), refresh("r"), json_style(), "dGhlLWNsaWVudDpwJnNzIG9mLW1pbmU="),
        (
            basic(BasicForm::Encoded),
            refresh("r"),
            json_style(),
            "dGhlLWNsaWVudDpwJTI2c3Mrb2YtbWluZQ==",
        ),
        (post(), refresh("a/refresh/token"), RequestStyle::default(), "a%2Frefresh%2Ftoken"),
        (post(), password, RequestStyle::default(), "ter2,hunte"),
        (post(), GrantInput::ClientCredentials, RequestStyle::default(), "s%26e%3Dc"),
        (assertion, GrantInput::ClientCredentials, RequestStyle::default(), "Jpc3Mi.c2lnbmF0"),
    ] {
        let request = written(&client, &grant, &["contacts.read"], &style);
        let body = serde_json::json!({"access_token": "a", "scope": ["contacts.read", "the-client", echo]});
        let style = crate::oauth::response::ResponseStyle::default();
        let raw = crate::oauth::response::RawResponse {
            status: 200,
            retry_after: None,
            received_at: jiff::Timestamp::UNIX_EPOCH,
            ending: crate::oauth::response::Ending::Whole,
            body: Zeroizing::new(body.to_string().into_bytes()),
            set_cookies: Vec::new(),
        };
        let mut set = crate::oauth::response::parse(&raw, &style, false).unwrap();
        assert_eq!(set.scopes.len(), 3, "{echo}");
        set.hide_sent(&request.sent);
        assert_eq!(set.scopes, ["contacts.read", "the-client"], "{echo}");
    }
}
