//! `make cluster` and `make cluster-down`, used as a person does: what it prints is run as it is.

#![expect(clippy::expect_used, clippy::panic, reason = "a test that can't go on fails")]

#[allow(dead_code, reason = "shared")]
mod place;
mod traces;

use std::process::Command;
use std::time::Duration;

use oauth_keeper_test_support::authorization_server::{AuthorizationServer, ServerOptions};
use oauth_keeper_test_support::cluster::{NODE_ADDRESS, network::Network};
use oauth_keeper_test_support::tools;

use self::place::Place;
use self::traces::Traces;

const NAME: &str = "c";

#[test]
fn a_person_starts_it_uses_it_and_ends_it() {
    let mounts = traces::mounts();
    let up = Up::start();
    let instructions = instructions(&up.said);
    let traces = Traces::of(&Place::of_this_checkout().expect("a folder can be made"), mounts);
    traces.are_there();

    // The lines in their order: the kubeconfig, the pods, the release.
    let installed = shell(&format!("{instructions} --set allowHttp=true"));
    assert!(installed.contains("STATUS: deployed"), "{installed}");
    let kubectl = format!("{}\n{}", line(&instructions, "export "), kubectl(&instructions));
    let nodes = shell(&format!("{kubectl} get nodes --no-headers"));
    assert_eq!(nodes.lines().count(), 1, "{nodes}");
    assert_eq!(nodes.split_whitespace().nth(1), Some("Ready"), "{nodes}");
    a_target_appears(&kubectl, &traces);

    let again = make("cluster");
    assert!(again.contains("The cluster is up"), "{again}");
    assert!(!again.contains("starting"), "{again}");
    assert_eq!(self::instructions(&again), instructions);
    shell(&format!("{kubectl} get deployment oauth-keeper --namespace oauth-keeper"));

    assert!(up.end().contains("the cluster has ended"));
    traces.are_gone();
    assert!(make("cluster-down").contains("no cluster of this checkout is up"));
}

/// A credential of a server inside.
fn a_target_appears(kubectl: &str, traces: &Traces) {
    let network = Network::of(traces.process());
    let options = ServerOptions {
        access_token_lifetime: Duration::from_secs(3600),
        ..ServerOptions::default()
    };
    let server = network.run(move || AuthorizationServer::start_at(NODE_ADDRESS, options));
    let secret = server.client_secret(NAME);
    let objects = format!(
        "
apiVersion: v1
kind: Secret
metadata: {{name: {NAME}-source}}
stringData: {{client_id: {NAME}, client_secret: {secret}}}
---
apiVersion: oauth-keeper.dev/v1alpha1
kind: OAuthCredential
metadata: {{name: {NAME}}}
spec:
  provider: {{tokenEndpoint: \"{endpoint}\"}}
  source: {{name: {NAME}-source}}
  target: {{name: {NAME}-target}}
  grant: {{clientCredentials: {{}}}}
",
        endpoint = server.token_endpoint(),
    );
    shell(&format!(
        "{kubectl} apply --filename=- << 'OBJECTS'\n{objects}\nOBJECTS
{kubectl} wait oauthcredential/{NAME} --for=condition=Ready --timeout=120s",
        kubectl = kubectl.replace('\n', "; "),
    ));
    let get =
        format!("{kubectl} get secret {NAME}-target --output=jsonpath={{.data.access_token}}");
    assert!(!shell(&get).is_empty());
}

/// A cluster that is ended when the test fails.
struct Up {
    said: String,
    ended: bool,
}

impl Up {
    fn start() -> Self {
        let place = Place::of_this_checkout().expect("a folder can be made");
        let free = place.lock().expect("it can be locked").is_some();
        assert!(free, "a cluster of this checkout is up; `make cluster-down` ends it");
        for tool in ["control-plane", "helm"] {
            tools::path(tool);
        }
        // Before it starts, so that what it began to make is ended too.
        let mut up = Self { said: String::new(), ended: false };
        up.said = make("cluster");
        up
    }

    fn end(mut self) -> String {
        self.ended = true;
        make("cluster-down")
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        if !self.ended {
            eprintln!("{}", make("cluster-down"));
        }
    }
}

/// As if no other make were at work.
fn make(target: &str) -> String {
    let mut command = Command::new("make");
    command.current_dir(tools::repository_root());
    command.env_remove("MAKEFLAGS").env_remove("MAKELEVEL").env("CARGO", env!("CARGO"));
    command.args(["--silent", target]);
    output(command)
}

/// The lines that are to be copied.
fn instructions(said: &str) -> String {
    let lines: Vec<&str> = said.lines().filter_map(|line| line.strip_prefix("  ")).collect();
    assert_eq!(lines.len(), 3, "{said}");
    lines.join("\n")
}

fn line<'a>(instructions: &'a str, start: &str) -> &'a str {
    let found = instructions.lines().find(|line| line.starts_with(start));
    found.unwrap_or_else(|| panic!("no {start} in {instructions}"))
}

/// The program that the second line names.
fn kubectl(instructions: &str) -> &str {
    let line = instructions.lines().nth(1).and_then(|line| line.split_once(' '));
    line.expect("it has arguments").0
}

fn shell(script: &str) -> String {
    let mut command = Command::new("bash");
    command.args(["-euc", script]).env_remove("KUBECONFIG");
    output(command)
}

fn output(mut command: Command) -> String {
    let output = command.output().expect("it can be started");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (said, errors) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{said}{errors}", output.status);
    said
}
