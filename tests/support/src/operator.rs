//! The operator as a process, seen from outside: its log, its admin port, its end.

use std::path::PathBuf;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::Value;
use tempfile::TempDir;

use crate::process::Process;
use crate::{http_client, scratch, wait};

/// Debug builds on a busy machine are slow to start.
const START_LIMIT: Duration = Duration::from_secs(60);

/// How to start the operator.
#[derive(Debug, Clone)]
pub struct OperatorOptions {
    /// The program.
    pub binary: PathBuf,
    /// Its kubeconfig.
    pub kubeconfig: PathBuf,
    /// The namespaces it watches; none means all.
    pub namespaces: Vec<String>,
    /// Whether to pass `--allow-http`.
    pub allow_http: bool,
    /// Whether to pass `--allow-loopback`.
    pub allow_loopback: bool,
    /// More arguments of `run`.
    pub extra_args: Vec<String>,
    /// More environment variables.
    pub env: Vec<(String, String)>,
}

impl OperatorOptions {
    /// All namespaces, HTTP and loopback allowed, nothing more.
    pub fn new(binary: impl Into<PathBuf>, kubeconfig: impl Into<PathBuf>) -> Self {
        Self {
            binary: binary.into(),
            kubeconfig: kubeconfig.into(),
            namespaces: Vec::new(),
            allow_http: true,
            allow_loopback: true,
            extra_args: Vec::new(),
            env: Vec::new(),
        }
    }

    /// With one more namespace to watch.
    #[must_use]
    pub fn namespace(mut self, namespace: &str) -> Self {
        self.namespaces.push(namespace.to_owned());
        self
    }

    /// With one more argument.
    #[must_use]
    pub fn arg(mut self, argument: &str) -> Self {
        self.extra_args.push(argument.to_owned());
        self
    }

    /// With one more environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(["run", "--log-format", "json", "--admin-address", "127.0.0.1:0"]);
        for namespace in &self.namespaces {
            command.args(["--namespace", namespace]);
        }
        if self.allow_http {
            command.arg("--allow-http");
        }
        if self.allow_loopback {
            command.arg("--allow-loopback");
        }
        command.args(&self.extra_args);
        command.env("KUBECONFIG", &self.kubeconfig);
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }
}

/// What the operator says when it caught itself breaking one of its own rules.
const DEFECT: &str = "an invariant does not hold";

/// A running operator. Dropping it kills it, and fails the test if it caught a defect of its own.
#[derive(Debug)]
pub struct Operator {
    process: Process,
    admin_address: String,
    http: reqwest::Client,
    // Last, so that it is removed when nothing runs in it.
    _folder: TempDir,
}

impl Drop for Operator {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let log = self.log();
            assert!(!log.contains(DEFECT), "{log}");
        }
    }
}

impl Operator {
    /// Starts it and waits until its admin server listens.
    pub async fn start(options: OperatorOptions) -> Self {
        let folder = scratch::folder("operator");
        let log = folder.path().join("operator.log");
        let process = Process::start("oauth-keeper", &options.command(), &log);
        let admin_address = admin_address(&process).await;
        Self { process, admin_address, http: http_client::new(), _folder: folder }
    }

    /// The URL of a path on its admin server.
    pub fn admin_url(&self, path: &str) -> String {
        format!("http://{}{path}", self.admin_address)
    }

    /// What its admin server answers to a GET: status and body.
    pub async fn admin_get(&self, path: &str) -> Result<(StatusCode, String), String> {
        let answer = async {
            let answer = self.http.get(self.admin_url(path)).send().await?;
            Ok::<_, reqwest::Error>((answer.status(), answer.text().await?))
        };
        answer.await.map_err(|error| error.to_string())
    }

    /// Waits until /readyz answers 200.
    pub async fn ready(&self) {
        wait::until_ok("the operator is ready", START_LIMIT, || async {
            assert_running(&self.process);
            match self.admin_get("/readyz").await? {
                (StatusCode::OK, _) => Ok(()),
                (status, text) => Err(format!("{status}: {text}")),
            }
        })
        .await;
    }

    /// The text of /metrics.
    pub async fn metrics(&self) -> String {
        let (status, text) = self.admin_get("/metrics").await.expect("the admin server answers");
        assert_eq!(status, StatusCode::OK, "/metrics: {text}");
        text
    }

    /// SIGTERM, then waits for its end (and kills it after 30 s).
    pub async fn stop(&self) -> ExitStatus {
        self.process.stop().await
    }

    /// SIGTERM without waiting.
    pub fn terminate(&self) {
        self.process.terminate();
    }

    /// SIGKILL.
    pub fn kill(&self) -> ExitStatus {
        self.process.kill()
    }

    /// SIGSTOP.
    pub fn pause(&self) {
        self.process.pause();
    }

    /// SIGCONT.
    pub fn resume(&self) {
        self.process.resume();
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// How it ended, when it has.
    pub fn try_exit(&self) -> Option<ExitStatus> {
        self.process.try_exit()
    }

    /// Waits until it has ended by itself; panics when it has not within `limit`.
    pub async fn exit(&self, limit: Duration) -> ExitStatus {
        self.process.exit(limit).await
    }

    /// Everything it wrote to standard output and error.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// The lines of its log that are JSON, each with the fields of the event at the top level.
    pub fn log_events(&self) -> Vec<Value> {
        events(&self.log())
    }
}

async fn admin_address(process: &Process) -> String {
    wait::until_ok("the operator's admin server listens", START_LIMIT, || async {
        let ended = process.try_exit();
        let log = process.log();
        let events = events(&log);
        let listening = events.iter().find(|event| event["message"] == "admin server listening");
        let address = listening.and_then(|event| event["address"].as_str()).map(str::to_owned);
        // One that ended since is for the test to judge.
        assert!(address.is_some() || ended.is_none(), "the operator ended: {log}");
        address.ok_or(log)
    })
    .await
}

fn assert_running(process: &Process) {
    if let Some(status) = process.try_exit() {
        panic!("the operator ended ({status}):\n{}", process.log_tail());
    }
}

fn events(log: &str) -> Vec<Value> {
    let lines = log.lines().filter_map(|line| serde_json::from_str(line).ok());
    lines.map(flatten).collect()
}

/// `tracing` puts an event's own fields one level deeper, unless told not to.
fn flatten(mut event: Value) -> Value {
    if let Some(Value::Object(fields)) = event.get_mut("fields").map(Value::take) {
        let top = event.as_object_mut().expect("it has fields, so it is an object");
        top.remove("fields");
        top.extend(fields);
    }
    event
}
