//! What there is, as the CRD lists it, and what it refuses.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::LazyLock;

use serde_json::{Value, json};

/// Changes of a credential that the API server refuses, by its words.
pub(crate) type RefusedCases = BTreeMap<String, Vec<Value>>;

/// Of a credential's `spec`; it takes a while to write.
static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
    let files = oauth_keeper::docs::crd_files().unwrap();
    let (_, text) = files.iter().find(|(name, _)| name == "oauthcredentials.yaml").unwrap();
    let definition: Value = serde_yaml_ng::from_str(text).unwrap();
    definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"].clone()
});

fn provider(pointer: &str) -> BTreeSet<String> {
    let values = &SCHEMA["properties"]["provider"]["properties"].pointer(pointer).unwrap()["enum"];
    // That a field may be left out is one of the values in some of them.
    let texts = values.as_array().unwrap().iter().filter_map(Value::as_str);
    texts.map(ToOwned::to_owned).collect()
}

/// The grants.
pub(crate) fn grants() -> BTreeSet<String> {
    let grants = SCHEMA["properties"]["grant"]["properties"].as_object().unwrap();
    grants.keys().cloned().collect()
}

/// The methods of client authentication, in all their forms. Who proves nothing may have a name or none.
pub(crate) fn authentications() -> BTreeSet<String> {
    let methods = provider("/clientAuthentication/properties/method");
    let encodings = provider("/clientAuthentication/properties/basicEncoding");
    let forms = methods.into_iter().flat_map(|method| match method.as_str() {
        "ClientSecretBasic" => encodings.iter().map(|form| format!("{method}, {form}")).collect(),
        "None" => vec!["None".to_owned(), "None, unnamed".to_owned()],
        _ => vec![method],
    });
    forms.collect()
}

/// Such a one in words of the CRD.
pub(crate) fn authentication(name: &str) -> Value {
    match name {
        "None, unnamed" => json!({"method": "None"}),
        "PrivateKeyJwt" => json!({
            "method": name, "algorithm": "EdDSA", "keyId": "k1", "audience": "https://as.example/token",
        }),
        "ClientSecretJwt" => json!({"method": name, "audience": "https://as.example/token"}),
        _ => match name.split_once(", ") {
            Some((method, form)) => json!({"method": method, "basicEncoding": form}),
            None => json!({"method": name}),
        },
    }
}

/// Where the members of a request go; GET has no body.
pub(crate) fn ways() -> BTreeSet<String> {
    let methods = provider("/request/properties/method");
    assert_eq!(methods, ["GET", "POST"].map(str::to_owned).into());
    let encodings = provider("/request/properties/encoding").into_iter();
    encodings.chain(["Query by GET".to_owned()]).collect()
}

/// Such a way in words of the CRD.
pub(crate) fn way(name: &str) -> Value {
    match name.strip_suffix(" by GET") {
        Some(encoding) => json!({"encoding": encoding, "method": "GET"}),
        None => json!({"encoding": name}),
    }
}

/// The table by which a real API server is asked.
pub(crate) fn refused_cases() -> RefusedCases {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/api_server/crd/refused.yaml");
    serde_yaml_ng::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// That a rule of the CRD has these words, and that a real API server is asked for them, with this grant and a provider
/// like that.
pub(crate) fn assert_refused(cases: &RefusedCases, grant: &str, provider: &Value, words: &str) {
    let rules = SCHEMA["x-kubernetes-validations"].as_array().unwrap();
    assert!(rules.iter().any(|rule| rule["message"] == words), "no rule says: {words}");
    let (field, wanted) = provider.as_object().unwrap().iter().next().unwrap();
    let tried = cases.get(words).into_iter().flatten().any(|case| {
        let spec = &case["spec"];
        let given = spec["provider"][field].as_object();
        let fits =
            given.is_some_and(|given| given.iter().all(|(key, value)| wanted[key] == *value));
        spec["grant"].get(grant).is_some() && fits
    });
    assert!(tried, "refused.yaml has no case of {grant} with {wanted}");
}
