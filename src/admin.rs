//! The admin port: `/metrics`, `/livez`, `/readyz`.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::metrics::Metrics;

/// Serves until `stopping`. Ready means: standing by, or leading with everything listed.
///
/// # Errors
/// When the address can't be listened on.
pub async fn serve(
    address: SocketAddr,
    metrics: Arc<Metrics>,
    ready: watch::Receiver<bool>,
    stopping: CancellationToken,
) -> std::io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    tracing::info!(address = %listener.local_addr()?, "admin server listening");
    let page = move || {
        let page = metrics.page();
        async move {
            (
                [(
                    header::CONTENT_TYPE,
                    "application/openmetrics-text; version=1.0.0; charset=utf-8",
                )],
                page,
            )
        }
    };
    let readyz = move || {
        let ready = *ready.borrow();
        async move {
            if ready {
                (StatusCode::OK, "ok").into_response()
            } else {
                (StatusCode::SERVICE_UNAVAILABLE, "not ready").into_response()
            }
        }
    };
    let router = Router::new()
        .route("/metrics", get(page))
        .route("/readyz", get(readyz))
        .route("/livez", get(|| async { "ok" }));
    tokio::spawn(async move {
        if let Err(error) =
            axum::serve(listener, router).with_graceful_shutdown(stopping.cancelled_owned()).await
        {
            tracing::error!(%error, "admin server ended");
        }
    });
    Ok(())
}
