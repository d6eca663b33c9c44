//! Tokens of service accounts that are given for another: made by the API server for one exchange, and kept nowhere.

use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::Api;
use kube::api::PostParams;

use crate::api::Reason;
use crate::lifecycle::problem::Problem;
use crate::lifecycle::resolve::{Account, GivenFrom};
use crate::oauth::request::GrantInput;
use crate::oauth::secret::GivenToken;

use crate::controller::secrets::{API_TIMEOUT, brief};

use super::attempt::Exchange;

/// Puts in the tokens that are not in the source.
///
/// # Errors
/// `ServiceAccountTokenRefused`.
pub async fn mint(exchange: &Exchange<'_>, input: &mut GrantInput) -> Result<(), Problem> {
    let (GrantInput::TokenExchange(given), Some(terms)) = (input, &exchange.spec.exchange) else {
        return Ok(());
    };
    if let GivenFrom::ServiceAccount(account) = &terms.subject.from {
        given.subject.token = Some(token(exchange, account, "subjectToken").await?);
    }
    if let (Some(actor), Some(terms)) = (&mut given.actor, &terms.actor)
        && let GivenFrom::ServiceAccount(account) = &terms.from
    {
        actor.token = Some(token(exchange, account, "actorToken").await?);
    }
    Ok(())
}

async fn token(
    exchange: &Exchange<'_>,
    account: &Account<'_>,
    field: &str,
) -> Result<GivenToken, Problem> {
    let refused = |why: &str| {
        let message = format!(
            "no token of the ServiceAccount {} (spec.grant.tokenExchange.{field}.serviceAccount): {why}",
            account.name,
        );
        Problem::new(Reason::ServiceAccountTokenRefused, message)
    };
    let namespace = exchange.credential.metadata.namespace.as_deref().unwrap_or_default();
    let accounts: Api<ServiceAccount> = Api::namespaced(exchange.context.client.clone(), namespace);
    let request = TokenRequest {
        spec: TokenRequestSpec {
            audiences: vec![account.audience.to_owned()],
            expiration_seconds: i64::try_from(account.expiration.as_secs()).ok(),
            ..TokenRequestSpec::default()
        },
        ..TokenRequest::default()
    };
    let params = PostParams::default();
    let made = accounts.create_token_request(account.name, &params, &request);
    let made = match tokio::time::timeout(API_TIMEOUT, made).await {
        Ok(Ok(made)) => made,
        Ok(Err(kube::Error::Api(status))) if status.code == 403 => {
            let right = "; the chart gives that right with rbac.serviceAccountTokens";
            return Err(refused(&format!("{}{right}", brief(&status.message))));
        }
        Ok(Err(kube::Error::Api(status))) => return Err(refused(&brief(&status.message))),
        Ok(Err(_)) => {
            return Err(refused("the API server can't be reached, or its answer can't be read"));
        }
        Err(_) => return Err(refused("no answer from the API server")),
    };
    let token = made.status.map(|status| GivenToken::new(status.token));
    token.ok_or_else(|| refused("the API server's answer holds none"))
}
