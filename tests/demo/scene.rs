//! What the demo starts and stops.

use std::path::{Path, PathBuf};
use std::time::Duration;

use kube::Client;
use oauth_keeper_test_support::authorization_server::{AuthorizationServer, ServerOptions};
use oauth_keeper_test_support::chart;
use oauth_keeper_test_support::control_plane::ControlPlane;
use oauth_keeper_test_support::operator::{Operator, OperatorOptions};
use oauth_keeper_test_support::tools;

use crate::examples;

/// Where the examples go.
pub(crate) const NAMESPACE: &str = "demo";
/// Where the operator belongs.
const OPERATOR_NAMESPACE: &str = "oauth-keeper";
const LIFETIME: Duration = Duration::from_secs(15);

/// All that runs. Dropping it kills it; better is [`Scene::stop`].
pub(crate) struct Scene {
    /// The operator.
    pub(crate) operator: Operator,
    /// Who issues the tokens.
    pub(crate) server: AuthorizationServer,
    control_plane: ControlPlane,
}

impl Scene {
    /// Starts all and applies the examples.
    pub(crate) async fn start() -> Result<Self, String> {
        let binary = operator_binary()?;
        println!("oauth-keeper demo. All of it runs on this machine and ends with Ctrl-C.\n");
        let control_plane = ControlPlane::start().await;
        let kubeconfig = control_plane.admin_kubeconfig().display().to_string();
        say("API server and etcd", control_plane.url());
        say("kubeconfig", &kubeconfig);
        let server = start_authorization_server().await;
        let operator = start_operator(&binary, &control_plane).await;
        let scene = Self { operator, server, control_plane };
        scene.apply_examples().await?;
        println!("\nTo look from another terminal:\n");
        println!("  export KUBECONFIG={kubeconfig}");
        println!("  {} get oac -A -w\n", kubectl().await);
        Ok(scene)
    }

    async fn apply_examples(&self) -> Result<(), String> {
        let folder = tools::repository_root().join("examples");
        let examples = examples::load(&folder, NAMESPACE, &self.server)?;
        self.control_plane.create_namespace(NAMESPACE).await;
        println!("\nexamples/ in namespace {NAMESPACE}, with values of that server in place of");
        for example in &examples {
            self.control_plane.apply_objects(&example.objects).await?;
            let mut file = example.file.as_str();
            for replaced in &example.replaced {
                say(std::mem::take(&mut file), replaced);
            }
        }
        Ok(())
    }

    /// A client with the rights of an administrator.
    pub(crate) fn client(&self) -> Client {
        self.control_plane.client()
    }

    /// Stops all, the operator first.
    pub(crate) async fn stop(self) -> Result<(), String> {
        println!("stopping the operator, the API server and etcd");
        let status = self.operator.stop().await;
        let log = self.operator.log();
        self.control_plane.stop().await;
        if status.success() {
            Ok(())
        } else {
            Err(format!("the operator ended with {status}:\n{log}"))
        }
    }
}

async fn start_authorization_server() -> AuthorizationServer {
    let options = ServerOptions { access_token_lifetime: LIFETIME, ..ServerOptions::default() };
    let server = AuthorizationServer::start(options).await;
    say("authorization server", &server.token_endpoint());
    let lifetime = LIFETIME.as_secs();
    say("", &format!("its access tokens live {lifetime} s, its refresh tokens work once"));
    server
}

/// With the chart's CRDs and under the chart's rules.
async fn start_operator(binary: &Path, control_plane: &ControlPlane) -> Operator {
    control_plane.create_namespace(OPERATOR_NAMESPACE).await;
    let rights = chart::install_operator_rights(control_plane, OPERATOR_NAMESPACE).await;
    let options = OperatorOptions::new(binary, &rights.kubeconfig)
        .arg("--lease-name")
        .arg(&rights.lease_name);
    let operator = Operator::start(options).await;
    operator.ready().await;
    say("operator", &format!("{} run", binary.display()));
    let account = &rights.service_account;
    say("", &format!("as ServiceAccount {OPERATOR_NAMESPACE}/{account}, with the chart's rights"));
    say("", &operator.admin_url("/metrics"));
    operator
}

fn say(what: &str, text: &str) {
    println!("  {what:<20} {text}");
}

/// Cargo puts the program into the folder above the one it puts examples into.
fn operator_binary() -> Result<PathBuf, String> {
    let demo = std::env::current_exe().map_err(|error| error.to_string())?;
    let folder = demo.ancestors().nth(2).ok_or("the demo is not where cargo puts examples")?;
    let binary = folder.join("oauth-keeper");
    let there = binary.is_file();
    there.then_some(binary).ok_or_else(|| {
        format!("{} has no oauth-keeper: build it first (cargo build)", folder.display())
    })
}

/// The one of the control plane, since the user may have none.
async fn kubectl() -> String {
    tools::installed("control-plane").await.join("kubectl").display().to_string()
}
