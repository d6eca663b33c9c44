//! One control plane, or another environment, for all tests of a binary.
//!
//! A test is an `async fn name(env: Arc<Env>)`, of whatever [`Environment`]; a binary's `main` (with `harness = false`) is
//! `suite::run(tests![name, module::other; alone: restarts_the_api_server])`.

mod env;

use std::any::Any;
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use libtest_mimic::{Arguments, Failed, Trial};
use tokio::runtime::{Handle, Runtime};
use tokio::sync::RwLock;

pub use self::env::Env;
use crate::interrupt;

/// Tests mostly wait, so more run than there are cores.
const THREADS: usize = 6;
/// The exit code of a program ended by Ctrl-C.
const INTERRUPTED: u8 = 130;
const LIMIT: Duration = Duration::from_secs(300);

/// What the tests of a binary share.
pub trait Environment: Sized + Send + Sync + 'static {
    /// Starts it, before the first test.
    fn start() -> impl Future<Output = Self> + Send;

    /// Stops it, after the last.
    fn stop(&self) -> impl Future<Output = ()> + Send;
}

type TestFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A test: its name and its function. Made by [`crate::tests!`].
pub struct Case<E> {
    name: String,
    run: Box<dyn FnOnce(Arc<E>) -> TestFuture + Send>,
    alone: bool,
    limit: Duration,
}

impl<E> Case<E> {
    /// A test of that name.
    pub fn new<F, P>(name: &str, run: F) -> Self
    where
        F: FnOnce(Arc<E>) -> P + Send + 'static,
        P: Future<Output = ()> + Send + 'static,
    {
        Self {
            name: name.to_owned(),
            run: Box::new(|env| Box::pin(run(env))),
            alone: false,
            limit: LIMIT,
        }
    }

    /// It runs while no other test does, because it disturbs what they share.
    #[must_use]
    pub fn alone(self) -> Self {
        Self { alone: true, ..self }
    }

    fn is_in(&self, module: &str) -> bool {
        self.name.split_once("::").is_some_and(|(of, _)| of == module)
    }

    /// It may take that long, instead of five minutes.
    #[must_use]
    pub fn within(self, limit: Duration) -> Self {
        Self { limit, ..self }
    }
}

/// The list of tests for [`suite::run`](crate::suite::run), which are paths of functions; those
/// after `alone:` run one at a time while nothing else does.
#[macro_export]
macro_rules! tests {
    ($($test:path),* $(,)? $(; alone: $($alone:path),* $(,)?)?) => {
        vec![
            $($crate::suite::Case::new(stringify!($test), $test),)*
            $($($crate::suite::Case::new(stringify!($alone), $alone).alone(),)*)?
        ]
    };
}

/// Runs the tests the command line selects, as `cargo test` would, and stops what they shared.
/// `TEST_MODULES=crd,admission` leaves out all other modules.
///
/// # Panics
/// When it names a module without tests.
#[must_use]
pub fn run<E: Environment>(mut cases: Vec<Case<E>>) -> ExitCode {
    let modules = std::env::var("TEST_MODULES").unwrap_or_default();
    let modules: Vec<&str> = modules.split(',').filter(|module| !module.is_empty()).collect();
    let unknown = modules.iter().find(|module| !cases.iter().any(|case| case.is_in(module)));
    assert!(unknown.is_none(), "TEST_MODULES: {unknown:?} has no tests");
    cases.retain(|case| modules.is_empty() || modules.iter().any(|module| case.is_in(module)));
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(THREADS);
    let runtime = Runtime::new().expect("a runtime can be made");
    let shared = Arc::new(Shared::<E> { env: OnceLock::new(), turn: RwLock::default() });
    let trials: Vec<Trial> =
        cases.into_iter().map(|case| trial(case, runtime.handle(), &shared)).collect();
    if selects_any(&arguments, &trials) {
        let Some(env) = runtime.block_on(start_unless_interrupted::<E>()) else {
            return ExitCode::from(INTERRUPTED);
        };
        let _ = shared.env.set(Arc::new(env));
        runtime.spawn(stop_on_signal(Arc::clone(&shared)));
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    runtime.block_on(shared.stop());
    conclusion.exit_code()
}

struct Shared<E> {
    env: OnceLock<Arc<E>>,
    /// Held for writing by a test that must be alone, for reading by all others.
    turn: RwLock<()>,
}

impl<E: Environment> Shared<E> {
    async fn stop(&self) {
        if let Some(env) = self.env.get() {
            env.stop().await;
        }
    }
}

fn selects_any(arguments: &Arguments, trials: &[Trial]) -> bool {
    let selected = |trial| !arguments.is_filtered_out(trial) && !arguments.is_ignored(trial);
    !arguments.list && trials.iter().any(selected)
}

fn trial<E: Environment>(case: Case<E>, runtime: &Handle, shared: &Arc<Shared<E>>) -> Trial {
    let runtime = runtime.clone();
    let shared = Arc::clone(shared);
    Trial::test(case.name.clone(), move || runtime.block_on(run_case(case, &shared)))
}

async fn run_case<E: Environment>(case: Case<E>, shared: &Shared<E>) -> Result<(), Failed> {
    let _reading;
    let _writing;
    if case.alone {
        _writing = shared.turn.write().await;
    } else {
        _reading = shared.turn.read().await;
    }
    let env = shared.env.get().expect("it is started before the first test");
    let test = (case.run)(Arc::clone(env));
    // A task of its own, so that a panic ends this test and no other.
    let task = tokio::spawn(tokio::time::timeout(case.limit, test));
    match task.await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(format!("not done after {:?}", case.limit).into()),
        Err(error) => Err(panic_message(error.into_panic().as_ref()).into()),
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "a panic without words".to_owned())
}

/// What was begun is dropped, and with that ended, when a signal comes first.
async fn start_unless_interrupted<E: Environment>() -> Option<E> {
    tokio::select! {
        env = E::start() => Some(env),
        () = interrupt::requested() => None,
    }
}

/// Ctrl-C stops what is shared, in order; what single tests have started ends with this process.
async fn stop_on_signal<E: Environment>(shared: Arc<Shared<E>>) {
    interrupt::requested().await;
    shared.stop().await;
    std::process::exit(INTERRUPTED.into());
}
