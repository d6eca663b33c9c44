//! The chart and the image as users get them, on a real node: Helm installs, the kubelet runs pods and mounts Secrets,
//! and things are taken down while tokens are renewed.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that can't go on fails"
)]

// Shared with the tests on a real API server and those of faults; no binary uses all of it.
#[allow(dead_code, reason = "shared")]
#[path = "../faults/fleet.rs"]
mod fleet;
#[allow(dead_code, reason = "shared")]
#[path = "../faults/oracle.rs"]
mod oracle;
#[allow(dead_code, reason = "shared")]
#[path = "../api_server/stage.rs"]
mod stage;

mod dns;
mod env;
mod https;
mod inventory;
mod kept;
mod metrics;
mod mounts;
mod namespaced;
mod pods;
#[allow(dead_code, reason = "shared with the benchmark")]
mod release;
mod resilience;
mod storm;
mod uninstall;
mod workload;

use std::process::ExitCode;

use oauth_keeper_test_support::cluster::namespaces;
use oauth_keeper_test_support::{suite, tests};

fn main() -> ExitCode {
    // All of them share the one release that a cluster can have of the CRDs, so each is alone.
    namespaces::inside(|| {
        suite::run(tests![;
            alone:
            release::with_defaults_it_runs_where_pod_security_is_restricted,
            mounts::a_pod_sees_each_renewal,
            https::servers_are_known_by_the_bundle_or_by_the_roots_of_the_image,
            dns::a_service_is_found_by_its_name,
            resilience::the_leader_is_deleted,
            resilience::the_leader_is_killed,
            resilience::the_leader_is_killed_before_a_strict_server,
            resilience::the_leader_is_killed_before_it_can_store_answers,
            resilience::the_kubelet_is_restarted,
            resilience::the_api_server_is_restarted,
            resilience::the_release_is_upgraded_and_rolled_back,
            uninstall::what_users_made_stays_and_nothing_else,
            uninstall::amid_renewals_it_loses_nothing,
            namespaced::with_roles_alone_it_works_and_reads_nothing_elsewhere,
            namespaced::the_admin_of_a_namespace_can_install_it_there,
            uninstall::all_of_it_can_be_removed,
        ])
    })
}
