//! Child processes that can't outlive the program that started them.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError, mpsc};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::wait;

/// How long a process may take to end after SIGTERM before it is killed.
const GRACE: Duration = Duration::from_secs(30);

/// A child process with a log file. Dropping it kills it.
#[derive(Debug)]
pub struct Process {
    name: String,
    pid: u32,
    log: PathBuf,
    child: Mutex<Child>,
}

impl Process {
    /// Starts `command`, with standard output and error written to the file `log`.
    pub fn start(name: &str, command: &Command, log: &Path) -> Self {
        let output = File::create(log)
            .unwrap_or_else(|error| panic!("{} can't be written: {error}", log.display()));
        let errors = output.try_clone().expect("an open file can be shared");
        let mut bound = bound_to_this_process(command);
        bound.stdin(Stdio::null()).stdout(output).stderr(errors);
        let child =
            spawner::spawn(bound).unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        Self {
            name: name.to_owned(),
            pid: child.id(),
            log: log.to_path_buf(),
            child: Mutex::new(child),
        }
    }

    /// The name it was started under.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// How it ended, when it has.
    pub fn try_exit(&self) -> Option<ExitStatus> {
        let mut child = self.child();
        child.try_wait().expect("a child can be waited for")
    }

    /// Waits until it has ended; panics when it has not within `limit`.
    pub async fn exit(&self, limit: Duration) -> ExitStatus {
        let what = format!("{} has ended", self.name);
        wait::until(&what, limit, || async { self.try_exit() }).await
    }

    /// Asks it to end (SIGTERM), waits, and kills it when it takes longer than 30 s.
    pub async fn stop(&self) -> ExitStatus {
        self.terminate();
        let ended = tokio::time::timeout(GRACE, self.exit(GRACE * 2)).await;
        ended.unwrap_or_else(|_| self.kill())
    }

    /// Asks it to end (SIGTERM) and does not wait.
    pub fn terminate(&self) {
        self.signal(Signal::SIGTERM);
    }

    /// Ends it at once (SIGKILL).
    pub fn kill(&self) -> ExitStatus {
        self.signal(Signal::SIGKILL);
        self.child().wait().expect("a child can be waited for")
    }

    /// Freezes it (SIGSTOP).
    pub fn pause(&self) {
        self.signal(Signal::SIGSTOP);
    }

    /// Lets it go on (SIGCONT).
    pub fn resume(&self) {
        self.signal(Signal::SIGCONT);
    }

    /// Everything it has written so far.
    pub fn log(&self) -> String {
        let bytes = std::fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The end of its log, for messages about a failure.
    pub fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }

    /// The id belongs to this child for as long as it has not been waited for, which the lock and
    /// `try_wait` make sure of; so no signal can reach a stranger.
    fn signal(&self, signal: Signal) {
        let mut child = self.child();
        let running = child.try_wait().expect("a child can be waited for").is_none();
        if running {
            let pid = i32::try_from(self.pid).expect("a process id fits");
            // It may end in this very moment, which is as good.
            let _ = kill(Pid::from_raw(pid), signal);
        }
    }

    fn child(&self) -> MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The same command under `setpriv --pdeathsig`, which replaces itself by it: the kernel kills the
/// process when the thread that started it is gone. Its own process group keeps Ctrl-C from it, so
/// that its owner decides in which order things end.
fn bound_to_this_process(command: &Command) -> Command {
    use std::os::unix::process::CommandExt as _;

    let mut bound = Command::new("setpriv");
    bound.args(["--pdeathsig", "KILL", "--"]);
    bound.arg(command.get_program()).args(command.get_args());
    for (key, value) in command.get_envs() {
        match value {
            Some(value) => bound.env(key, value),
            None => bound.env_remove(key),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        bound.current_dir(folder);
    }
    bound.process_group(0);
    bound
}

/// One thread starts all processes and lives as long as the program, because the death signal goes
/// out when the starting *thread* ends, and test threads come and go.
mod spawner {
    use super::{Child, Command, OnceLock, mpsc};
    use std::io;

    struct Order {
        command: Command,
        reply: mpsc::Sender<io::Result<Child>>,
    }

    static ORDERS: OnceLock<mpsc::Sender<Order>> = OnceLock::new();

    pub(super) fn spawn(command: Command) -> io::Result<Child> {
        let (reply, answer) = mpsc::channel();
        let orders = ORDERS.get_or_init(start_thread);
        orders
            .send(Order { command, reply })
            .expect("the spawning thread lives as long as the program");
        answer.recv().expect("the spawning thread answers every order")
    }

    fn start_thread() -> mpsc::Sender<Order> {
        let (sender, orders) = mpsc::channel::<Order>();
        std::thread::Builder::new()
            .name("spawner".to_owned())
            .spawn(move || {
                for mut order in orders {
                    // Whoever asked may be gone; then the child is dropped unwaited, and ends with
                    // the program.
                    let _ = order.reply.send(order.command.spawn());
                }
            })
            .expect("a thread can be started");
        sender
    }
}
