//! Transactions under way, and when to try again.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{info, warn};

use crate::io::ovsdb_client::TransactionId;
use crate::ovsdb::TransactionError;

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What was sent and not yet answered. A refused transaction is never sent again as it was: after a pause
/// everything is compared anew.
#[derive(Debug, Default)]
pub struct Commits {
    under_way: BTreeMap<TransactionId, Instant>,
    started: Option<Instant>,
    last_error: Option<String>,
    failed: bool,
    pause: Duration,
    retry_at: Option<Instant>,
}

impl Commits {
    /// A transaction was sent.
    pub fn sent(&mut self, id: TransactionId, now: Instant) {
        self.started.get_or_insert(now);
        self.under_way.insert(id, now);
    }

    /// A transaction was answered; after how long.
    pub fn done(&mut self, id: TransactionId, error: Option<TransactionError>, now: Instant) -> Duration {
        let sent = self.under_way.remove(&id);
        self.batch_done(error, now);
        sent.map_or(Duration::ZERO, |sent| now - sent)
    }

    fn batch_done(&mut self, error: Option<TransactionError>, now: Instant) {
        if let Some(error) = error {
            let error = error.to_string();
            if self.last_error.as_ref() != Some(&error) {
                warn!(error, "the northbound refused a transaction; trying again");
            }
            self.last_error = Some(error);
            self.failed = true;
        }
        if !self.under_way.is_empty() {
            return;
        }
        let took = self.started.take().map_or(Duration::ZERO, |started| now - started);
        if std::mem::take(&mut self.failed) {
            self.pause = (self.pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
            self.retry_at = Some(now + self.pause);
        } else {
            info!(took_ms = took.as_secs_f64() * 1000.0, "the northbound has it");
            self.pause = Duration::ZERO;
            self.last_error = None;
        }
    }

    /// Nothing is under way, and no pause.
    pub fn is_idle(&self) -> bool {
        self.under_way.is_empty() && self.retry_at.is_none()
    }

    /// Every transaction was answered.
    pub fn is_answered(&self) -> bool {
        self.under_way.is_empty()
    }

    /// Why the last transaction was refused.
    pub fn last_error(&self) -> Option<&str> {
        self.last_error.as_deref()
    }

    /// Ends with the pause; never, where there is none. Cancel-safe.
    pub async fn retry_due(&mut self) {
        match self.retry_at {
            Some(at) => {
                tokio::time::sleep_until(at).await;
                self.retry_at = None;
            }
            None => std::future::pending().await,
        }
    }
}
