//! What there is in a cluster.

use std::collections::BTreeSet;

use oauth_keeper_test_support::control_plane::ControlPlane;

/// What comes and goes by itself, or is made in passing.
const PASSING: [&str; 3] = ["events", "events.events.k8s.io", "componentstatuses"];

/// The names of all objects there are, each with its kind and namespace.
pub async fn of(control_plane: &ControlPlane) -> BTreeSet<String> {
    let kinds = control_plane.kubectl(&["api-resources", "--verbs=list", "--output=name"]).await;
    let kinds: Vec<&str> = kinds.lines().filter(|kind| !PASSING.contains(kind)).collect();
    let template = "--output=go-template={{range .items}}{{.kind}} \
                    {{with .metadata.namespace}}{{.}}/{{end}}{{.metadata.name}}{{\"\\n\"}}{{end}}";
    let kinds = kinds.join(",");
    let listed = control_plane.kubectl(&["get", &kinds, "--all-namespaces", template]).await;
    listed.lines().map(str::to_owned).collect()
}
