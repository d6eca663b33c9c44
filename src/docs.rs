//! What the program prints for the repository: the CRDs and the table of conditions. Tests hold the files against it.

use std::fmt::Write;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use strum::IntoEnumIterator;

use crate::api::{ClusterOAuthProvider, OAuthCredential, OAuthProvider, Reason};

/// The CRDs, each with the plural of its kind.
fn definitions() -> [(&'static str, CustomResourceDefinition); 3] {
    [
        ("oauthcredentials", OAuthCredential::crd()),
        ("oauthproviders", OAuthProvider::crd()),
        ("clusteroauthproviders", ClusterOAuthProvider::crd()),
    ]
}

/// The files of the folder `crds`: name and content.
///
/// # Errors
/// When a schema can't be written, which the tests exclude.
pub fn crd_files() -> Result<Vec<(String, String)>, String> {
    let files = definitions().into_iter().map(|(plural, definition)| {
        let text = serde_yaml_ng::to_string(&definition).map_err(|error| error.to_string())?;
        Ok((format!("{plural}.yaml"), text))
    });
    files.collect()
}

/// All CRDs, one YAML document each.
///
/// # Errors
/// When a schema can't be written, which the tests exclude.
pub fn crds() -> Result<String, String> {
    let texts: Vec<String> = crd_files()?.into_iter().map(|(_, text)| text).collect();
    Ok(texts.join("---\n"))
}

const HEAD: &str = "\
# Conditions

<!-- Written by `oauth-keeper docs`. -->

Every `OAuthCredential` has the condition `Ready`: True while the target holds an access token that is known to be good.
`Reconciling` and `Stalled` are there only while they are True. `Stalled` means that nothing gets better until somebody
acts; a token that is in the target stays there and `Ready` stays True until it expires.

The reason is the same in all conditions of a credential, in `status.failure.reason`, in Events and in the label `reason`
of the metrics. It has one of these classes:

| class | what happens |
| --- | --- |
| well | nothing is wrong |
| passing | tried again after 5 seconds, doubling to 10 minutes; at once after a change |
| configuration | `Stalled`; nothing is sent until the credential or one of its Secrets changes |
| refused | `Stalled`; tried again every hour, and at once after a change |
| sign-in | `Stalled`; nothing is sent until a new refresh token is in the source |

| reason | class | what it means | what to do |
| --- | --- | --- | --- |
";

/// `docs/conditions.md`.
pub fn conditions() -> String {
    let mut page = String::from(HEAD);
    for reason in Reason::iter() {
        // Writing into a String can't fail.
        let _ = writeln!(
            page,
            "| `{reason}` | {} | {} | {} |",
            reason.class(),
            reason.meaning(),
            reason.remedy()
        );
    }
    page
}
