//! Helm, as a user runs it.

use std::path::Path;

use tokio::process::Command;

use crate::tools;

/// One of the two lines that users have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Helm {
    /// Applies on the client's side.
    Three,
    /// Applies on the server's side, but for releases that Helm 3 made.
    Four,
}

impl Helm {
    /// Its standard output, or what it said on standard error when it failed.
    pub async fn run(self, kubeconfig: &Path, arguments: &[&str]) -> Result<String, String> {
        let tool = match self {
            Self::Three => "helm-3",
            Self::Four => "helm",
        };
        let helm = tools::installed(tool).await;
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
            Err(format!("{tool} {}: {}", arguments.join(" "), text(&output.stderr)))
        }
    }
}

/// The newer one.
pub async fn run(kubeconfig: &Path, arguments: &[&str]) -> Result<String, String> {
    Helm::Four.run(kubeconfig, arguments).await
}
