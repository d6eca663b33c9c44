//! Many cases of one sentence, all at once.

use futures::future::BoxFuture;

/// One of them.
pub struct Case {
    name: String,
    run: BoxFuture<'static, ()>,
}

pub fn case(name: &str, run: impl Future<Output = ()> + Send + 'static) -> Case {
    Case { name: name.to_owned(), run: Box::pin(run) }
}

/// Runs all cases, and fails with the names of those that failed.
pub async fn all(cases: impl IntoIterator<Item = Case>) {
    let running = cases.into_iter().map(|case| (case.name, tokio::spawn(case.run)));
    let mut failed = Vec::new();
    // All are begun before the first is waited for.
    for (name, case) in running.collect::<Vec<_>>() {
        if case.await.is_err() {
            failed.push(name);
        }
    }
    assert!(failed.is_empty(), "these failed, for the reasons above: {}", failed.join(", "));
}
