//! Processes that stop or kill themselves at a fail point.

use std::os::unix::process::ExitStatusExt as _;

use oauth_keeper_test_support::operator::Operator;
use oauth_keeper_test_support::wait;

use crate::stage::SOON;

/// Waits until the process has killed itself.
pub async fn killed(operator: &Operator) {
    const SIGKILL: i32 = 9;
    let status = operator.exit(SOON).await;
    assert_eq!(status.signal(), Some(SIGKILL), "{}", operator.log());
}

/// Waits until the process has stopped itself.
pub async fn stopped(operator: &Operator) {
    let stat = format!("/proc/{}/stat", operator.pid());
    wait::until("the process is stopped", SOON, || async {
        let stat = std::fs::read_to_string(&stat).ok()?;
        // The state follows the name, which is in parentheses.
        let state = stat.rsplit(") ").next()?.chars().next()?;
        (state == 'T').then_some(())
    })
    .await;
}
