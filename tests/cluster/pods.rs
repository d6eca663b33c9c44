//! What the status of a pod says.

use k8s_openapi::api::core::v1::{ContainerStatus, Pod};

/// Whether it is ready and not on its way out.
pub fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.iter().filter_map(|status| status.conditions.as_ref()).flatten();
    let mut ready = conditions.filter(|condition| condition.type_ == "Ready");
    pod.metadata.deletion_timestamp.is_none() && ready.any(|condition| condition.status == "True")
}

pub fn name(pod: &Pod) -> &str {
    pod.metadata.name.as_deref().expect("a pod has a name")
}

/// How often its container was started again.
pub fn restarts(pod: &Pod) -> i32 {
    container(pod).map_or(0, |container| container.restart_count)
}

/// What the container runtime calls its container.
pub fn container_id(pod: &Pod) -> Option<String> {
    let id = container(pod)?.container_id.as_deref()?;
    Some(id.trim_start_matches("containerd://").to_owned())
}

fn container(pod: &Pod) -> Option<&ContainerStatus> {
    pod.status.as_ref()?.container_statuses.as_ref()?.first()
}
