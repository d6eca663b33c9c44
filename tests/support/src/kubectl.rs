//! kubectl, for what is easier said to it than to a client.

use std::path::Path;
use std::process::Stdio;

use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

/// Its standard output, or what it said on standard error when it failed.
pub(crate) async fn run(
    program: &Path,
    kubeconfig: &Path,
    arguments: &[&str],
    input: &str,
) -> Result<String, String> {
    let cache = kubeconfig.with_extension("cache");
    let mut child = Command::new(program)
        .arg("--cache-dir")
        .arg(cache)
        .args(arguments)
        .env("KUBECONFIG", kubeconfig)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap_or_else(|error| panic!("{} does not start: {error}", program.display()));
    let mut stdin = child.stdin.take().expect("standard input is piped");
    let input = input.to_owned();
    // Beside reading, so that neither side waits on a full pipe; kubectl need not read it all.
    tokio::spawn(async move {
        let _ = stdin.write_all(input.as_bytes()).await;
    });
    let output = child.wait_with_output().await.expect("kubectl can be waited for");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(format!("kubectl {}: {}", arguments.join(" "), text(&output.stderr)))
    }
}
