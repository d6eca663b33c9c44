//! What a pod of the operator measures.

use k8s_openapi::api::core::v1::Pod;

/// As the chart has it.
const ADMIN_PORT: u16 = 8080;

/// The value of a metric without labels, asked of the pod itself: the API server need not answer.
pub async fn of(pod: &Pod, name: &str) -> u64 {
    let address = pod.status.as_ref().and_then(|status| status.pod_ip.as_deref());
    let address = address.expect("a pod that runs has an address");
    let client = reqwest::Client::builder().no_proxy().build().expect("a client can be made");
    let answer = client.get(format!("http://{address}:{ADMIN_PORT}/metrics")).send().await;
    let text = answer.expect("the admin port answers").text().await.expect("it is text");
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    let value = value.unwrap_or_else(|| panic!("no {name} in {text}"));
    value.parse().expect("it is a whole number")
}
