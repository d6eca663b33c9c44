//! Two pods of a Deployment: their containers are started again when they end, and a pod that is lost gets a successor.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod as ApiPod;
use kube::Api;
use kube::api::{DeleteParams, PostParams};
use oauth_keeper_test_support::chart::{self, OperatorRights};
use oauth_keeper_test_support::operator::{Operator, OperatorOptions};
use serde_json::{Value, json};
use tokio::sync::RwLock;

use crate::diary::{Diary, Kind};
use crate::folder::Folder;
use crate::stage::Stage;

const REPLICAS: usize = 2;
/// How often containers are looked after.
const LOOK_EVERY: Duration = Duration::from_millis(300);

/// A pod, which the API server knows too.
struct Pod {
    name: String,
    options: OperatorOptions,
    journal: Folder,
    container: Operator,
}

impl Pod {
    /// The refresh tokens that are being spent, and whether the answer is there: a line of JSON says what is spent, one
    /// that it was sent, and one tells of the answer, whose bytes follow.
    fn journal(&self) -> HashMap<String, bool> {
        let files = std::fs::read_dir(self.journal.text()).expect("the folder can be read");
        let read = files.filter_map(|file| std::fs::read(file.ok()?.path()).ok());
        let entry = |bytes: Vec<u8>| {
            let mut lines = bytes.split(|byte| *byte == b'\n');
            let entry: Value = serde_json::from_slice(lines.next()?).ok()?;
            let answered = lines.nth(1).is_some_and(|line| !line.is_empty());
            Some((entry["token"].as_str()?.to_owned(), answered))
        };
        read.filter_map(entry).collect()
    }
}

pub struct Replicas {
    pods: Vec<RwLock<Pod>>,
    api: Api<ApiPod>,
    rights: OperatorRights,
    namespace: String,
    made: AtomicUsize,
    diary: Diary,
    /// What ended containers logged.
    logs: Mutex<Vec<String>>,
}

impl Replicas {
    pub async fn start(stage: &Stage, diary: Diary) -> Arc<Self> {
        let rights =
            chart::install_operator_rights(&stage.env.control_plane, &stage.namespace).await;
        let mut replicas = Self {
            pods: Vec::new(),
            api: Api::namespaced(stage.client.clone(), &rights.namespace),
            rights,
            namespace: stage.namespace.clone(),
            made: AtomicUsize::new(0),
            diary,
            logs: Mutex::default(),
        };
        for _ in 0..REPLICAS {
            let pod = replicas.pod().await;
            replicas.pods.push(RwLock::new(pod));
        }
        Arc::new(replicas)
    }

    pub fn lease_name(&self) -> &str {
        &self.rights.lease_name
    }

    /// A new pod with a first container.
    async fn pod(&self) -> Pod {
        let name = format!("pod-{}", self.made.fetch_add(1, Ordering::Relaxed));
        let journal = Folder::new(&format!("{}-{name}", self.namespace));
        let options =
            OperatorOptions::new(env!("CARGO_BIN_EXE_oauth-keeper"), &self.rights.kubeconfig)
                .namespace(&self.namespace)
                .arg("--lease-name")
                .arg(&self.rights.lease_name)
                .arg("--log-level")
                .arg("info,oauth_keeper=debug")
                .arg("--journal-dir")
                .arg(&journal.text())
                .env("POD_NAME", &name)
                .env("POD_NAMESPACE", &self.rights.namespace)
                .env("POD_UID", &self.create(&name).await);
        let container = Operator::start(options.clone()).await;
        Pod { name, options, journal, container }
    }

    /// Makes a pod that no kubelet will ever run; gives its UID. The API server may be away: then again later.
    async fn create(&self, name: &str) -> String {
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
            "spec": {
                "serviceAccountName": self.rights.service_account,
                "automountServiceAccountToken": false,
                "containers": [{"name": "oauth-keeper", "image": "oauth-keeper"}],
            },
        });
        let pod = serde_json::from_value(pod).expect("it is one");
        loop {
            match self.api.create(&PostParams::default(), &pod).await {
                Ok(created) => return created.metadata.uid.expect("it has one"),
                Err(kube::Error::Api(status)) if status.code < 500 && status.code != 429 => {
                    panic!("the pod {name} can't be made: {status}")
                }
                Err(_) => tokio::time::sleep(LOOK_EVERY).await,
            }
        }
    }

    /// Kills a container; it is started again by [`Replicas::keep_running`].
    pub async fn kill(&self, number: usize) {
        let pod = self.pods[number].read().await;
        let spell = self.diary.note(Kind::Kill);
        pod.container.kill();
        self.diary.found(spell, pod.journal());
    }

    /// Takes a pod away with its journal, and makes another one.
    pub async fn lose(&self, number: usize) {
        let mut pod = self.pods[number].write().await;
        let spell = self.diary.note(Kind::PodLoss);
        pod.container.kill();
        self.diary.found(spell, pod.journal());
        self.keep_log(&pod.container);
        let at_once = DeleteParams { grace_period_seconds: Some(0), ..DeleteParams::default() };
        while let Err(error) = self.api.delete(&pod.name, &at_once).await {
            if matches!(&error, kube::Error::Api(status) if status.code == 404) {
                break;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        *pod = self.pod().await;
    }

    /// Stops a container for a while.
    pub async fn freeze(&self, number: usize, time: Duration) {
        let pod = self.pods[number].read().await;
        let spell = self.diary.begin(Kind::Freeze);
        pod.container.pause();
        self.diary.found(spell, pod.journal());
        tokio::time::sleep(time).await;
        pod.container.resume();
        self.diary.end(spell);
    }

    /// Starts containers again that have ended, for ever.
    pub async fn keep_running(&self) {
        loop {
            for pod in &self.pods {
                if pod.read().await.container.try_exit().is_some() {
                    let mut pod = pod.write().await;
                    self.keep_log(&pod.container);
                    pod.container = Operator::start(pod.options.clone()).await;
                }
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    pub async fn stop(&self) {
        for pod in &self.pods {
            let pod = pod.write().await;
            pod.container.stop().await;
            self.keep_log(&pod.container);
        }
    }

    fn keep_log(&self, container: &Operator) {
        self.logs.lock().expect("nothing panics here").push(container.log());
    }

    /// The lines for which that holds that ended containers logged, in the order of time.
    pub fn logged(&self, holds: impl Fn(&str) -> bool) -> Vec<String> {
        let logs = self.logs.lock().expect("nothing panics here");
        let mut lines: Vec<String> = logs
            .iter()
            .flat_map(|log| log.lines())
            .filter(|line| holds(line))
            .map(str::to_owned)
            .collect();
        // Each begins with its time.
        lines.sort();
        lines
    }
}
