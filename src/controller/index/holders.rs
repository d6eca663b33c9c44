//! Which credential holds which refresh token, by the token's name: the way to find two that would spend the same.

use std::collections::HashMap;

use crate::lifecycle::plan::SecretFacts;

use super::Name;

/// The credentials whose states hold refresh tokens, by the tokens' names.
#[derive(Debug, Default)]
pub struct Holders(HashMap<String, Vec<Name>>);

impl Holders {
    /// Takes in a Secret's.
    pub fn add(&mut self, namespace: &str, facts: &SecretFacts) {
        for (token, credential) in held_by(facts) {
            let name = (namespace.to_owned(), credential.to_owned());
            self.0.entry(token.to_owned()).or_default().push(name);
        }
    }

    /// The first by name that holds one of these.
    pub fn first_of(&self, tokens: &[String]) -> Option<&Name> {
        tokens.iter().filter_map(|token| self.0.get(token)).flatten().min()
    }

    /// Takes out a Secret's.
    pub fn remove(&mut self, namespace: &str, facts: &SecretFacts) {
        for (token, credential) in held_by(facts) {
            let Some(names) = self.0.get_mut(token) else { continue };
            let same = |name: &Name| name.0 == namespace && name.1 == credential;
            if let Some(at) = names.iter().position(same) {
                names.swap_remove(at);
            }
            if names.is_empty() {
                self.0.remove(token);
            }
        }
    }
}

/// The names of a state's tokens, the newest and the seed, with the credential.
fn held_by(facts: &SecretFacts) -> impl Iterator<Item = (&str, &str)> {
    let newest = facts.holds.as_deref();
    let seed = facts.record.as_deref().and_then(|record| record.lineage.as_deref());
    // Only states name what they hold; a target has the same lineage.
    let tokens = newest.into_iter().chain(seed.filter(|_| newest.is_some()));
    tokens.zip(std::iter::repeat(facts.credential.as_deref().unwrap_or_default()))
}
