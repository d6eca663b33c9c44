//! Where the state of a credential is.

use crate::api::OAuthCredential;

/// Name of the state Secret of a credential.
pub fn name(credential: &str) -> String {
    format!("{credential}-oauth-state")
}

/// Where the state of a credential is.
#[derive(Clone, Debug)]
pub struct Place {
    /// Namespace.
    pub namespace: String,
    /// Name of the state Secret.
    pub name: String,
    /// Name of the credential.
    pub credential: String,
}

impl Place {
    /// Of a credential.
    pub fn of(credential: &OAuthCredential) -> Self {
        let credential_name = credential.metadata.name.clone().unwrap_or_default();
        Self {
            namespace: credential.metadata.namespace.clone().unwrap_or_default(),
            name: name(&credential_name),
            credential: credential_name,
        }
    }
}
