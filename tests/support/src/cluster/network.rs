//! The network of a cluster that another program started.

use std::fs::File;
use std::sync::mpsc;
use std::thread;

use nix::sched::{CloneFlags, setns};
use tokio::runtime::Builder;

/// The network namespace of a process.
#[derive(Debug)]
pub struct Network(File);

impl Network {
    /// That of this process.
    ///
    /// # Panics
    /// When there is no such process.
    pub fn of(pid: u32) -> Self {
        Self(File::open(format!("/proc/{pid}/ns/net")).expect("the process runs"))
    }

    /// Starts something there, on a thread that is in this namespace, and goes on for as long as the program.
    ///
    /// # Panics
    /// When it can't, for lack of rights or because `start` does.
    pub fn run<T: Send + 'static, F: Future<Output = T>>(
        self,
        start: impl FnOnce() -> F + Send + 'static,
    ) -> T {
        let (sender, started) = mpsc::channel();
        thread::spawn(move || {
            setns(self.0, CloneFlags::CLONE_NEWNET).expect("root may enter it");
            // All it opens is opened by this thread.
            let runtime = Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime can be made").block_on(async {
                sender.send(start().await).expect("somebody waits for it");
                std::future::pending::<()>().await;
            });
        });
        started.recv().expect("it starts")
    }
}
