//! What is counted and measured, and the pages that show it.

use std::fmt::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Metric, Registry};
use tracing::info;

use crate::io::http::{HttpError, Page, Pages, serve};

/// One label with one value.
pub type Label = [(&'static str, String); 1];

/// The type of `/metrics` (OpenMetrics 1.0).
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The pages: `/healthz` (the loop turns), `/readyz` (everything is known that decisions need), `/metrics`.
#[derive(Debug)]
pub struct Health {
    registry: Registry,
    ready: AtomicBool,
    waiting_for: Mutex<String>,
    status: Mutex<Option<String>>,
}

/// Metrics under construction: every name begins with `ovn_vip_`.
pub struct Metrics(Registry);

impl Default for Metrics {
    fn default() -> Self {
        Self(Registry::with_prefix("ovn_vip"))
    }
}

impl Metrics {
    /// Adds one.
    pub fn add<M: Metric + Clone + Default>(&mut self, name: &str, help: &str) -> M {
        self.add_made(name, help, M::default())
    }

    /// Adds a histogram of times from 0.1 ms to 26 s.
    pub fn add_times(&mut self, name: &str, help: &str) -> Histogram {
        self.add_made(name, help, Histogram::new(exponential_buckets(0.0001, 2.0, 19)))
    }

    fn add_made<M: Metric + Clone>(&mut self, name: &str, help: &str, metric: M) -> M {
        self.0.register(name, help.trim_end_matches('.'), metric.clone());
        metric
    }

    /// All of them are there.
    pub fn finish(self) -> Arc<Health> {
        Arc::new(Health {
            registry: self.0,
            ready: AtomicBool::new(false),
            waiting_for: Mutex::new("starting".to_owned()),
            status: Mutex::new(None),
        })
    }
}

impl Health {
    /// Serves the pages, where an address is given.
    pub async fn listen(self: &Arc<Self>, address: Option<&str>) -> Result<(), HttpError> {
        if let Some(address) = address {
            let address = serve(address, self.clone()).await?;
            info!(%address, "serving /healthz, /readyz, /metrics and what there is of /status");
        }
        Ok(())
    }

    /// What is waited for, if anything.
    pub fn set_ready(&self, waiting_for: Option<&str>) {
        self.ready.store(waiting_for.is_none(), Ordering::Relaxed);
        if let Ok(mut words) = self.waiting_for.lock() {
            words.clear();
            words.push_str(waiting_for.unwrap_or("ready"));
        }
    }
}

impl Health {
    /// The page `/status`, as JSON.
    pub fn set_status(&self, status: String) {
        if let Ok(mut page) = self.status.lock() {
            *page = Some(status);
        }
    }
}

impl Pages for Health {
    fn page(&self, path: &str) -> Option<Page> {
        let plain = |well: bool, body: String| Some(Page { well, content_type: "text/plain", body });
        match path {
            // One thread does everything: that this is answered is the proof.
            "/healthz" => plain(true, "ok\n".to_owned()),
            "/readyz" => {
                let words = self.waiting_for.lock().map(|words| words.clone()).unwrap_or_default();
                plain(self.ready.load(Ordering::Relaxed), words + "\n")
            }
            "/status" => {
                let body = self.status.lock().ok()?.clone()?;
                Some(Page { well: true, content_type: "application/json", body })
            }
            "/metrics" => {
                let mut body = String::new();
                let well = encode(&mut body, &self.registry).is_ok();
                Some(Page { well, content_type: OPEN_METRICS, body })
            }
            "/" => {
                let mut body = String::new();
                let _ = write!(body, "/healthz\n/readyz\n/metrics\n");
                plain(true, body)
            }
            _ => None,
        }
    }
}

/// A label.
pub fn label(name: &'static str, value: impl Into<String>) -> Label {
    [(name, value.into())]
}

/// The controller's.
#[derive(Clone, Debug)]
pub struct ControllerMetrics {
    /// VIPs served.
    pub vips: Gauge,
    /// What is declined, by reason.
    pub refusals: Family<Label, Gauge>,
    /// By outcome: committed, refused.
    pub transactions: Family<Label, Counter>,
    /// Rows written.
    pub rows: Counter,
    /// Rows of ours that somebody had changed or deleted.
    pub repairs: Counter,
    /// From sending a transaction to its answer.
    pub commit: Histogram,
    /// Planning and comparing.
    pub reconcile: Histogram,
    /// Whether a database is followed, by its name.
    pub connected: Family<Label, Gauge>,
    /// Whether this replica leads.
    pub leader: Gauge,
    /// Objects of the cluster, by kind.
    pub objects: Family<Label, Gauge>,
    /// Writes to the API server (status, annotations, Events), by outcome.
    pub status_writes: Family<Label, Counter>,
}

impl ControllerMetrics {
    /// With the pages that show them.
    pub fn new() -> (Self, Arc<Health>) {
        let mut all = Metrics::default();
        let metrics = Self {
            vips: all.add("vips_served", "VIPs of Services that are programmed"),
            refusals: all.add("refusals", "What is declined at the moment, by reason"),
            transactions: all.add("northbound_transactions", "Transactions answered by the northbound"),
            rows: all.add("northbound_rows_written", "Rows of the northbound written"),
            repairs: all.add("northbound_repairs", "Rows of ours put back after somebody changed them"),
            commit: all.add_times("northbound_commit_seconds", "From a transaction to its answer"),
            reconcile: all.add_times("reconcile_seconds", "Planning what changed and comparing it"),
            connected: all.add("database_connected", "Whether the OVN database is followed"),
            leader: all.add("leader", "Whether this replica leads"),
            objects: all.add("cluster_objects", "Objects of the cluster known, by kind"),
            status_writes: all.add("status_writes", "Writes to the API server, by outcome"),
        };
        (metrics, all.finish())
    }
}

/// The speaker's.
#[derive(Clone, Debug)]
pub struct SpeakerMetrics {
    /// Frames seen, by what became of them.
    pub verdicts: Family<Label, Counter>,
    /// VIPs that this node answers for.
    pub announced: Gauge,
    /// VIPs that this node can deliver, by how far they are.
    pub states: Family<Label, Gauge>,
    /// VIPs that this node has begun to answer for, and those that it has let go.
    pub claims: Family<Label, Counter>,
    /// Rules wanted on bridges.
    pub rules: Gauge,
    /// Whether a bridge answers, by its name.
    pub connected: Family<Label, Gauge>,
    /// Rules of ours put back.
    pub repairs: Counter,
    /// Objects of the cluster, by kind.
    pub objects: Family<Label, Gauge>,
}

impl SpeakerMetrics {
    /// With the pages that show them.
    pub fn new() -> (Self, Arc<Health>) {
        let mut all = Metrics::default();
        let metrics = Self {
            verdicts: all.add("frames", "ARP and neighbour discovery frames seen, by verdict"),
            announced: all.add("vips_announced", "VIPs that this node answers for"),
            states: all.add("vips", "VIPs that this node can deliver, by state"),
            claims: all.add("claims", "VIPs that this node began to answer for, or let go"),
            rules: all.add("rules", "OpenFlow rules wanted on provider bridges"),
            connected: all.add("switch_connected", "Whether the provider bridge answers"),
            repairs: all.add("rule_repairs", "Rules of ours put back after somebody changed them"),
            objects: all.add("cluster_objects", "Objects of the cluster known, by kind"),
        };
        (metrics, all.finish())
    }
}

/// Seconds, as Prometheus counts.
pub fn observe(histogram: &Histogram, took: Duration) {
    histogram.observe(took.as_secs_f64());
}

/// A gauge family that has exactly these values.
pub fn replace<'n>(
    family: &Family<Label, Gauge>,
    name: &'static str,
    values: impl IntoIterator<Item = (&'n str, usize)>,
) {
    family.clear();
    for (value, count) in values {
        family.get_or_create(&label(name, value)).set(i64::try_from(count).unwrap_or(i64::MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_read_as_open_metrics() {
        let (metrics, health) = ControllerMetrics::new();
        metrics.rows.inc_by(3);
        metrics.transactions.get_or_create(&label("outcome", "committed")).inc();
        replace(&metrics.refusals, "reason", [("NoVip", 2)]);
        observe(&metrics.commit, Duration::from_millis(2));
        let page = health.page("/metrics").unwrap();
        assert!(page.well && page.body.ends_with("# EOF\n"));
        for line in [
            "ovn_vip_northbound_rows_written_total 3",
            "ovn_vip_northbound_transactions_total{outcome=\"committed\"} 1",
            "ovn_vip_refusals{reason=\"NoVip\"} 2",
            "ovn_vip_northbound_commit_seconds_count 1",
        ] {
            assert!(page.body.contains(line), "{line} is not in\n{}", page.body);
        }
    }

    #[test]
    fn readiness_says_what_is_waited_for() {
        let (_, health) = SpeakerMetrics::new();
        assert!(!health.page("/readyz").unwrap().well);
        health.set_ready(Some("the northbound"));
        let page = health.page("/readyz").unwrap();
        assert_eq!((page.well, page.body.as_str()), (false, "the northbound\n"));
        health.set_ready(None);
        assert!(health.page("/readyz").unwrap().well && health.page("/healthz").unwrap().well);
    }
}
