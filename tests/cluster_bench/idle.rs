//! What a leader takes that has nothing to do.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use crate::env::Env;
use crate::mebibytes;
use crate::pods::container_id;
use crate::process_cost;
use crate::release::Release;

const WINDOW: Duration = Duration::from_secs(60);

/// With two dozen credentials or none: those that are not due cost nothing.
pub(crate) async fn measure(env: &Arc<Env>) -> String {
    let release = Release::plain(env).await;
    let leader = release.leader().await.expect("one leads");
    let container = container_id(&leader).expect("it runs");
    let pid = env.cluster.container_pid(&container).await.expect("it runs");
    let before = process_cost::cpu(pid);
    // A window of time is what is measured here.
    sleep(WINDOW).await;
    let cpu = process_cost::cpu(pid).saturating_sub(before);
    let share = cpu.as_secs_f64() / WINDOW.as_secs_f64() * 1000.0;
    format!("{} resident, {share:.1} m CPU", mebibytes(process_cost::resident(pid)))
}
