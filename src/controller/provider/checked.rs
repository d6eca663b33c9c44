//! Providers that are objects of their own, as they were checked last: thousands of credentials go by one of them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kube::api::ObjectMeta;

use crate::api::provider::ProviderKind;
use crate::controller::index::{Name, named};
use crate::lifecycle::problem::Problem;
use crate::lifecycle::provider::Provider;
use crate::oauth::discovery::Metadata;

/// What was found of each.
#[derive(Default)]
pub struct Checked(Mutex<HashMap<(ProviderKind, Name), Known>>);

struct Known {
    uid: Option<String>,
    generation: Option<i64>,
    /// What its issuer published.
    document: Option<Arc<Metadata>>,
    found: Result<Provider<'static>, Problem>,
}

impl Known {
    fn is_of(&self, meta: &ObjectMeta, document: Option<&Metadata>) -> bool {
        self.uid == meta.uid
            && self.generation == meta.generation
            && self.document.as_deref() == document
    }
}

impl Checked {
    /// What was found, or is now where it is not the same object and document any more.
    ///
    /// # Errors
    /// Those of checking it.
    pub fn look(
        &self,
        kind: ProviderKind,
        meta: &ObjectMeta,
        document: Option<Arc<Metadata>>,
        check: impl FnOnce(Option<&Metadata>) -> Result<Provider<'static>, Problem>,
    ) -> Result<Provider<'static>, Problem> {
        let key = (kind, named(meta));
        if let Some(known) =
            self.lock().get(&key).filter(|known| known.is_of(meta, document.as_deref()))
        {
            return known.found.clone();
        }
        let found = check(document.as_deref());
        let (uid, generation) = (meta.uid.clone(), meta.generation);
        self.lock().insert(key, Known { uid, generation, document, found: found.clone() });
        found
    }

    /// Forgets one that changed or is gone.
    pub fn forget(&self, kind: ProviderKind, name: &Name) {
        self.lock().remove(&(kind, name.clone()));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(ProviderKind, Name), Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use serde_json::json;
    use url::Url;

    use super::*;
    use crate::api::Reason;

    #[test]
    fn one_is_checked_again_only_when_it_or_its_document_is_another() {
        let (checked, times) = (Checked::default(), Cell::new(0));
        let look = |uid: &str, generation, endpoint: Option<&str>| {
            let meta = ObjectMeta {
                name: Some("p".to_owned()),
                uid: Some(uid.to_owned()),
                generation: Some(generation),
                ..ObjectMeta::default()
            };
            let document = endpoint.map(|endpoint| {
                Arc::new(Metadata {
                    token_endpoint: Url::parse(endpoint).unwrap(),
                    mtls_token_endpoint: None,
                })
            });
            let found = checked.look(ProviderKind::OAuthProvider, &meta, document, |document| {
                times.set(times.get() + 1);
                let endpoint = document.map(|found| found.token_endpoint.as_str());
                let spec = json!({"tokenEndpoint": endpoint});
                Ok(Provider::of_object(serde_json::from_value(spec).unwrap()))
            });
            (found.unwrap().spec.token_endpoint.clone(), times.get())
        };
        let (a, b) = ("https://as.example/a", "https://as.example/b");
        assert_eq!(look("1", 1, Some(a)), (Some(a.to_owned()), 1));
        assert_eq!(look("1", 1, Some(a)), (Some(a.to_owned()), 1));
        assert_eq!(look("1", 1, Some(b)), (Some(b.to_owned()), 2));
        assert_eq!(look("1", 2, None), (None, 3));
        assert_eq!(look("2", 2, None), (None, 4), "made anew");
        checked.forget(ProviderKind::OAuthProvider, &(String::new(), "p".to_owned()));
        assert_eq!(look("2", 2, None), (None, 5));
    }

    #[test]
    fn what_is_wrong_with_one_is_kept_too() {
        let (checked, meta, times) = (Checked::default(), ObjectMeta::default(), Cell::new(0));
        for _ in 0..3 {
            let found = checked.look(ProviderKind::ClusterOAuthProvider, &meta, None, |_| {
                times.set(times.get() + 1);
                Err(Problem::new(Reason::SpecInvalid, "x".to_owned()))
            });
            assert!(found.is_err());
        }
        assert_eq!(times.get(), 1);
    }
}
