//! Waiting for a moment that may not come.

use tokio::time::Instant;

/// Ends at this moment; never where there is none. Cancel-safe.
pub async fn reached(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
