//! What the tests, the demo and the benchmark share: a real control plane, real and documented
//! authorization servers, and processes that never outlive the program that started them.
//!
//! Nothing here depends on the product: the operator is driven as a program, through the Kubernetes
//! API and its admin port, as a user would drive it.

#![warn(missing_docs)]

pub mod authorization_server;
pub mod chart;
pub mod cluster;
pub mod control_plane;
pub mod credentials;
pub mod cutting_proxy;
pub mod documented;
pub mod helm;
pub mod http_server;
pub mod interrupt;
pub mod keycloak;
pub mod lossy_api;
pub mod oidc_provider;
pub mod operator;
pub mod process;
pub mod signing_key;
pub mod suite;
pub mod tls_front;
pub mod tools;
pub mod wait;

pub mod certificates;
mod framing;
mod http_client;
mod kubeconfig;
mod kubectl;
mod ports;
mod scratch;
