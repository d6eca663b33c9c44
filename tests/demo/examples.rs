//! The files of `examples/`, pointed at the demo's own authorization server.

use std::path::Path;

use oauth_keeper_test_support::authorization_server::AuthorizationServer;
use oauth_keeper_test_support::signing_key::rsa_key;
use serde::Deserialize as _;
use serde_json::{Value, json};

/// An example, ready to be applied.
pub(crate) struct Example {
    /// The file's name.
    pub(crate) file: String,
    /// Its objects, in the demo's namespace.
    pub(crate) objects: Vec<Value>,
    /// What was put in place of the file's own values, for the reader.
    pub(crate) replaced: Vec<String>,
}

/// All of them that the server understands, by name of file.
pub(crate) fn load(
    folder: &Path,
    namespace: &str,
    server: &AuthorizationServer,
) -> Result<Vec<Example>, String> {
    let listed =
        std::fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut files: Vec<_> =
        listed.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    let examples: Result<Vec<_>, _> =
        files.iter().map(|file| read(file, namespace, server)).collect();
    Ok(examples?.into_iter().filter(Example::is_understood).collect())
}

/// The grants that the demo's own authorization server understands.
const UNDERSTOOD: [&str; 2] = ["refreshToken", "clientCredentials"];

impl Example {
    fn is_understood(&self) -> bool {
        let mut grants =
            self.objects.iter().filter_map(|object| object["spec"]["grant"].as_object());
        grants.all(|grant| grant.keys().all(|name| UNDERSTOOD.contains(&name.as_str())))
    }
}

fn read(file: &Path, namespace: &str, server: &AuthorizationServer) -> Result<Example, String> {
    let invalid = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
    let text = std::fs::read_to_string(file).map_err(|error| invalid(&error))?;
    let mut replaced = Vec::new();
    let mut objects = Vec::new();
    for document in serde_yaml_ng::Deserializer::from_str(&text) {
        let mut object = Value::deserialize(document).map_err(|error| invalid(&error))?;
        object["metadata"]["namespace"] = json!(namespace);
        match object["kind"].as_str() {
            Some("Secret") => replaced.extend(give_secrets(&mut object, server)),
            Some("OAuthCredential") => replaced.push(redirect(&mut object, server)),
            _ => return Err(invalid(&"neither a Secret nor an OAuthCredential")),
        }
        objects.push(object);
    }
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Example { file: name, objects, replaced })
}

/// Every token endpoint becomes the demo's, so that no request reaches a vendor.
fn redirect(credential: &mut Value, server: &AuthorizationServer) -> String {
    let endpoint = &mut credential["spec"]["provider"]["tokenEndpoint"];
    let ours = json!(server.token_endpoint());
    let theirs = std::mem::replace(endpoint, ours);
    format!("tokenEndpoint {}", theirs.as_str().unwrap_or("(none)"))
}

/// The server knows every client id; secrets and refresh tokens must be its own.
fn give_secrets(secret: &mut Value, server: &AuthorizationServer) -> Vec<String> {
    let name = secret["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let Some(values) = secret["stringData"].as_object_mut() else {
        return Vec::new();
    };
    let client = values.get("client_id").and_then(Value::as_str).map(|id| server.client_secret(id));
    let mut replaced = Vec::new();
    for (key, value) in values {
        *value = match (key.as_str(), &client) {
            ("client_secret", Some(client)) => json!(client),
            ("refresh_token", Some(_)) => json!(server.seed()),
            ("refresh_token", None) => json!(server.seed_public()),
            ("private_key", _) => json!(rsa_key()),
            _ => continue,
        };
        replaced.push(format!("{key} in the Secret {name}"));
    }
    replaced
}
