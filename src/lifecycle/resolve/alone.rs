//! A provider by itself, before any credential uses it.

use std::sync::LazyLock;

use crate::api::credential::OAuthCredentialSpec;
use crate::lifecycle::problem::Problem;
use crate::lifecycle::provider::Provider;
use crate::oauth::address::AddressPolicy;

use super::resolve;

/// Whatever can't be used of a provider keeps even this from being used with it.
static SMALLEST: LazyLock<Option<OAuthCredentialSpec>> = LazyLock::new(|| {
    let spec =
        serde_json::json!({"provider": {}, "source": {"name": "s"}, "target": {"name": "t"}});
    serde_json::from_value(spec).ok()
});

/// Looks for what can't be used in a provider, whichever credential uses it.
///
/// # Errors
/// The reason and the field at fault, in the words of an object of its own.
pub fn check(provider: &Provider<'_>, policy: AddressPolicy) -> Result<(), Problem> {
    let Some(credential) = SMALLEST.as_ref() else { return Ok(()) };
    let checked = resolve(credential, provider, policy);
    checked.map(|_| ()).map_err(|problem| {
        let problem = provider.published(problem);
        Problem { message: problem.message.replace("spec.provider.", "spec."), ..problem }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::Reason;

    #[test]
    fn a_provider_is_judged_in_words_of_its_own_fields() {
        let checked = |value| {
            let problem = check(
                &Provider::of_object(serde_json::from_value(value).unwrap()),
                AddressPolicy::default(),
            );
            problem.map_err(|problem| (problem.reason, problem.message))
        };
        assert_eq!(checked(json!({"tokenEndpoint": "https://as.example/t"})), Ok(()));
        let (reason, message) =
            checked(json!({"tokenEndpoint": "http://as.example/t"})).unwrap_err();
        assert_eq!(reason, Reason::EndpointDenied);
        assert!(message.starts_with("spec.tokenEndpoint "), "{message}");
    }
}
