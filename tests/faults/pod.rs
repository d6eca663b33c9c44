//! A pod: containers one after the other, with one UID and one journal.

use std::path::Path;

use oauth_keeper_test_support::chart::OperatorRights;
use oauth_keeper_test_support::operator::OperatorOptions;

use crate::folder::Folder;
use crate::stage::{Stage, Watched, begun, started};

pub struct Pod {
    options: OperatorOptions,
    journal: Folder,
}

impl Pod {
    /// A pod of which nobody knows whether it lives: its claims are respected for a while.
    pub fn new(stage: &Stage, name: &str) -> Self {
        Self::with(stage, name, stage.options())
    }

    fn with(stage: &Stage, name: &str, options: OperatorOptions) -> Self {
        let uid = format!("{}-{name}", stage.namespace);
        let journal = Folder::new(&uid);
        let options = options.env("POD_UID", &uid).arg("--journal-dir").arg(&journal.text());
        Self { options, journal }
    }

    /// A pod of a release of the chart in the namespace of the stage.
    pub fn of_release(stage: &Stage, name: &str, rights: &OperatorRights) -> Self {
        Self::on_the_way(stage, name, &rights.kubeconfig)
    }

    /// One that reaches the API server by that kubeconfig.
    pub fn on_the_way(stage: &Stage, name: &str, kubeconfig: &Path) -> Self {
        let options = OperatorOptions { kubeconfig: kubeconfig.to_owned(), ..stage.options() };
        Self::with(stage, name, options)
    }

    /// One that works only while it holds the Lease of its release, and that others find gone when they look for it.
    pub fn candidate(stage: &Stage, name: &str, rights: &OperatorRights) -> Self {
        let options = OperatorOptions::new(env!("CARGO_BIN_EXE_oauth-keeper"), &rights.kubeconfig)
            .namespace(&stage.namespace)
            .arg("--lease-name")
            .arg(&rights.lease_name);
        Self::with(stage, name, options).named(name, &rights.namespace)
    }

    fn named(self, name: &str, namespace: &str) -> Self {
        self.env("POD_NAME", name).env("POD_NAMESPACE", namespace)
    }

    /// A pod that others can look for in the API, and don't find: it is gone when its process is.
    pub fn mortal(stage: &Stage, name: &str) -> Self {
        Self::new(stage, name).named(name, &stage.env.operator.namespace)
    }

    /// With one more environment variable for its containers.
    pub fn env(self, name: &str, value: &str) -> Self {
        Self { options: self.options.env(name, value), ..self }
    }

    pub fn options(&self) -> OperatorOptions {
        self.options.clone()
    }

    /// Starts its next container.
    pub async fn container(&self) -> Watched {
        started(self.options()).await
    }

    /// Starts one that fails at a place (`src/fail_point.rs`): NAME:ACTION[:SKIP].
    pub async fn failing(&self, fail_point: &str) -> Watched {
        started(self.options().env("OAUTH_KEEPER_FAIL_POINT", fail_point)).await
    }

    /// Starts one that fails there, perhaps before it is ready.
    pub async fn failing_early(&self, fail_point: &str) -> Watched {
        begun(self.options().env("OAUTH_KEEPER_FAIL_POINT", fail_point)).await
    }

    /// Names of the files in its journal.
    pub fn journal(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.journal.text()).expect("the folder can be read");
        let names = entries.map(|entry| entry.expect("the folder can be read").path());
        names.map(|path| path.display().to_string()).collect()
    }
}
