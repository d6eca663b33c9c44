//! Why a watch failed.

use kube::runtime::watcher::Error;

/// The status with which the API server refused a list or a watch, if it did.
pub fn refusal(error: &Error) -> Option<u16> {
    match error {
        Error::InitialListFailed(kube::Error::Api(status))
        | Error::WatchStartFailed(kube::Error::Api(status))
        | Error::WatchError(status) => Some(status.code),
        _ => None,
    }
}
