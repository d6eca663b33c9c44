//! helm, as a user runs it.

use std::path::Path;

use tokio::process::Command;

use crate::tools;

/// Its standard output, or what it said on standard error when it failed.
pub async fn run(kubeconfig: &Path, arguments: &[&str]) -> Result<String, String> {
    let helm = tools::installed("helm").await;
    let output = Command::new(&helm)
        .args(arguments)
        .env("KUBECONFIG", kubeconfig)
        .kill_on_drop(true)
        .output()
        .await
        .unwrap_or_else(|error| panic!("{} does not start: {error}", helm.display()));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(format!("helm {}: {}", arguments.join(" "), text(&output.stderr)))
    }
}
