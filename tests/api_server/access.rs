//! What the API server lets somebody do.

use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec,
};
use kube::Api;
use kube::api::PostParams;
use oauth_keeper_test_support::wait;

use crate::stage::{SOON, Stage};

/// A verb on a resource of the stage's namespace.
#[derive(Clone, Debug)]
pub struct Right {
    pub verb: String,
    pub group: String,
    /// With its subresource: `things/status`.
    pub resource: String,
    /// Empty for all.
    pub name: String,
}

impl Right {
    pub fn new(verb: &str, group: &str, resource: &str, name: &str) -> Self {
        let [verb, group, resource, name] = [verb, group, resource, name].map(str::to_owned);
        Self { verb, group, resource, name }
    }

    /// Waits until the API server goes by a role that was changed.
    pub async fn wait_until_allowed<E>(&self, stage: &Stage<E>, user: &str, allowed: bool) {
        wait::until("the API server goes by the role", SOON, || async {
            (self.is_allowed(stage, user).await == allowed).then_some(())
        })
        .await;
    }

    async fn is_allowed<E>(&self, stage: &Stage<E>, user: &str) -> bool {
        let (resource, subresource) =
            self.resource.split_once('/').unwrap_or((self.resource.as_str(), ""));
        let attributes = ResourceAttributes {
            namespace: Some(stage.namespace.clone()),
            verb: Some(self.verb.clone()),
            group: Some(self.group.clone()),
            resource: Some(resource.to_owned()),
            subresource: Some(subresource.to_owned()),
            name: Some(self.name.clone()),
            ..ResourceAttributes::default()
        };
        let review = SubjectAccessReview {
            spec: SubjectAccessReviewSpec {
                user: Some(user.to_owned()),
                resource_attributes: Some(attributes),
                ..SubjectAccessReviewSpec::default()
            },
            ..SubjectAccessReview::default()
        };
        let reviews: Api<SubjectAccessReview> = Api::all(stage.client.clone());
        let answer = reviews.create(&PostParams::default(), &review).await;
        let answer = answer.expect("an administrator may ask");
        answer.status.is_some_and(|status| status.allowed)
    }
}
