//! Whether the process that holds a claim can still be at it.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;

use crate::lifecycle::rotation::claim::{Claim, Holder, Standing};

use super::context::Context;
use super::secrets::API_TIMEOUT;

/// By what is known without asking anybody: this process, and earlier ones of its pod, are not at it.
pub fn standing(claim: &Claim, me: &Holder, first_seen: Timestamp) -> Standing {
    if claim.holder.pod == me.pod { Standing::Dead } else { Standing::Alive { first_seen } }
}

/// Asks the API server whether the pod of a living holder is still there.
pub async fn look(context: &Context, claim: &Claim, known: Standing) -> Standing {
    let (Standing::Alive { .. }, Some(name), Some(namespace)) =
        (known, &claim.holder.name, &claim.holder.namespace)
    else {
        return known;
    };
    let pods: Api<Pod> = Api::namespaced(context.client.clone(), namespace);
    let pod = match tokio::time::timeout(API_TIMEOUT, pods.get_opt(name)).await {
        Ok(Ok(pod)) => pod,
        Ok(Err(error)) => {
            tracing::warn!(%error, pod = name, "pod of a claim not looked at; it is taken to be there");
            return known;
        }
        Err(_) => return known,
    };
    let lives = pod.is_some_and(|pod| {
        let phase = pod.status.and_then(|status| status.phase).unwrap_or_default();
        pod.metadata.uid.as_ref() == Some(&claim.holder.pod)
            && phase != "Succeeded"
            && phase != "Failed"
    });
    if lives { known } else { Standing::Dead }
}
