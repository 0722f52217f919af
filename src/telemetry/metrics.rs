//! What is counted and measured, and the pages that show it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Metric, Registry};
use tracing::info;

use anyhow::Context;

use crate::io::http::{Asked, Page, Pages, Standing, serve};
use crate::settings::ClusterArgs;

use super::page::{self, Shown};

mod known;
mod plain;

pub use known::Known;

/// One label with one value.
pub type Label = [(&'static str, String); 1];

/// The type of `/metrics` for those that ask for it (OpenMetrics 1.0).
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// The type for all others (Prometheus' text format).
const PLAIN_METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The pages: `/healthz` (the loop turns), `/readyz` (everything is known that decisions need), `/metrics`.
#[derive(Debug)]
pub struct Health {
    registry: Registry,
    known: Vec<Known>,
    ready: AtomicBool,
    waiting_for: Mutex<String>,
    status: Mutex<Option<String>>,
    /// What `/page` shows; a speaker has none.
    shown: Option<Shown>,
    /// Who shows it may read `/status` and `/page.json` from elsewhere.
    token: OnceLock<String>,
}

/// Metrics under construction: every name begins with `ovn_vip_`.
pub struct Metrics(Registry, Vec<Known>);

impl Default for Metrics {
    fn default() -> Self {
        let mut all = Self(Registry::with_prefix("ovn_vip"), Vec::new());
        let build: Family<Label, Gauge> = all.add("build_info", "The version that runs, always 1");
        build.get_or_create(&label("version", env!("CARGO_PKG_VERSION"))).set(1);
        all
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
        let help = help.trim_end_matches('.');
        self.1.push(Known::new(name, help, &metric));
        self.0.register(name, help, metric.clone());
        metric
    }

    /// All of them are there; with a page to look at, or without.
    pub fn finish(self, shown: Option<Shown>) -> Arc<Health> {
        Arc::new(Health {
            registry: self.0,
            known: self.1,
            ready: AtomicBool::new(false),
            waiting_for: Mutex::new("starting".to_owned()),
            status: Mutex::new(None),
            shown,
            token: OnceLock::new(),
        })
    }
}

impl Health {
    /// Serves the pages, where an address is given.
    pub async fn listen(self: &Arc<Self>, arguments: &ClusterArgs) -> anyhow::Result<()> {
        if let Some(file) = &arguments.status_token_file {
            let token = std::fs::read_to_string(file);
            let token = token.with_context(|| format!("--status-token-file {}", file.display()))?;
            let token = token.trim();
            anyhow::ensure!(
                !token.is_empty(),
                "--status-token-file {} is empty: write a token into it",
                file.display()
            );
            let _ = self.token.set(token.to_owned());
        }
        if let Some(address) = arguments.http.as_deref() {
            let address = serve(address, self.clone()).await?;
            info!(%address, "serving /healthz, /readyz, /metrics, and a speaker's /status or the controller's /page");
        }
        Ok(())
    }

    /// Every metric of this program.
    pub fn known(&self) -> &[Known] {
        &self.known
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
    /// Ends when somebody looked at `/page`. Cancel-safe.
    pub async fn looked(&self) {
        match &self.shown {
            Some(shown) => shown.looked().await,
            None => std::future::pending().await,
        }
    }

    /// What `/page` shows, as JSON; made only where it is wanted.
    pub fn show(&self, make: impl FnOnce() -> String) {
        if let Some(shown) = &self.shown {
            shown.renew(now(), make);
        }
    }

    /// The page `/status`, as JSON.
    pub fn set_status(&self, status: String) {
        if let Ok(mut page) = self.status.lock() {
            *page = Some(status);
        }
    }
}

impl Pages for Health {
    fn page(&self, asked: Asked<'_>) -> Option<Page> {
        let plain = |well: bool, body: String| {
            Some(Page { standing: standing(well), content_type: "text/plain", body })
        };
        match asked.path {
            // One thread does everything: that this is answered is the proof.
            "/healthz" => plain(true, "ok\n".to_owned()),
            "/readyz" => {
                let words = self.waiting_for.lock().map(|words| words.clone()).unwrap_or_default();
                plain(self.ready.load(Ordering::Relaxed), words + "\n")
            }
            "/status" | "/page.json" if !self.may_read_status(asked) => {
                let body = "only over loopback, or with the token of --status-token-file\n".to_owned();
                Some(Page { standing: Standing::Withheld, content_type: "text/plain", body })
            }
            "/status" => {
                let body = self.status.lock().ok()?.clone()?;
                Some(Page { standing: Standing::Well, content_type: "application/json", body })
            }
            "/metrics" => {
                let mut body = String::new();
                let well = encode(&mut body, &self.registry).is_ok();
                let open = asked.accept.contains("application/openmetrics-text");
                let (content_type, body) =
                    if open { (OPEN_METRICS, body) } else { (PLAIN_METRICS, plain::text(&body)) };
                Some(Page { standing: standing(well), content_type, body })
            }
            "/page.json" => Some(self.shown.as_ref()?.json(now())),
            "/page" => self.shown.as_ref().map(|_| page::html()),
            "/" if self.shown.is_some() && asked.accept.contains("text/html") => Some(page::html()),
            "/" => {
                let page = if self.shown.is_some() { "/page\n" } else { "/status\n" };
                plain(true, format!("/healthz\n/readyz\n/metrics\n{page}"))
            }
            _ => None,
        }
    }
}

impl Health {
    fn may_read_status(&self, asked: Asked<'_>) -> bool {
        let shown = asked.token.unwrap_or_default().as_bytes();
        // As long for a wrong one as for the right one.
        let is_it = |token: &String| {
            let differing = token.bytes().zip(shown).fold(0, |differing, (a, b)| differing | (a ^ b));
            token.len() == shown.len() && differing == 0
        };
        asked.local || self.token.get().is_some_and(is_it)
    }
}

#[expect(clippy::disallowed_methods, reason = "a shell reads the clock")]
fn now() -> Instant {
    Instant::now()
}

fn standing(well: bool) -> Standing {
    if well { Standing::Well } else { Standing::Unwell }
}

/// A label.
pub fn label(name: &'static str, value: impl Into<String>) -> Label {
    [(name, value.into())]
}

/// The controller's.
#[derive(Clone, Debug)]
pub struct ControllerMetrics {
    /// VIPs that are programmed.
    pub vips: Gauge,
    /// VIPs that are programmed, and that a speaker holds.
    pub vips_served: Gauge,
    /// VIPs that are programmed, and that no speaker is known to hold.
    pub vips_without_holder: Gauge,
    /// Each VIP that is programmed, by name, where that is asked for.
    pub vip_info: Family<[(&'static str, String); 4], Gauge>,
    /// Services by the status of their condition.
    pub services: Family<Label, Gauge>,
    /// Speakers that have reported, by whether they are heard of still.
    pub speakers: Family<Label, Gauge>,
    /// What is declined, by reason.
    pub refusals: Family<Label, Gauge>,
    /// Services that wait for an address of ours, by reason.
    pub waiting: Family<Label, Gauge>,
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
    /// How often the API server's state went back to an older one.
    pub rewinds: Counter,
    /// Writes to the API server (status, annotations, Events), by outcome.
    pub status_writes: Family<Label, Counter>,
}

impl ControllerMetrics {
    /// With the pages that show them.
    pub fn new() -> (Self, Arc<Health>) {
        let mut all = Metrics::default();
        let metrics = Self {
            vips: all.add("vips_programmed", "VIPs of Services that are programmed, announced or not"),
            vips_served: all
                .add("vips_served", "VIPs that are programmed, and that a speaker says it announces"),
            vips_without_holder: all.add(
                "vips_without_holder",
                "VIPs that are programmed, and that no speaker says it announces",
            ),
            vip_info: all.add(
                "vip_info",
                "Each VIP that is programmed, by ip, service, subnet and the node that announces it, always 1; only with --metrics-per-vip",
            ),
            services: all.add(
                "services",
                "Services with a VIP of ours, by served: the status of their condition Served",
            ),
            speakers: all
                .add("speakers", "Speakers that have reported, by heard: whether they are heard of still"),
            refusals: all.add("refusals", "What is declined at the moment, by reason"),
            waiting: all.add("services_without_address", "Services that wait for an address, by reason"),
            transactions: all
                .add("northbound_transactions", "Transactions answered by the northbound, by outcome"),
            rows: all.add("northbound_rows_written", "Rows of the northbound written"),
            repairs: all.add("northbound_repairs", "Rows of ours put back after somebody changed them"),
            commit: all.add_times("northbound_commit_seconds", "From a transaction to its answer"),
            reconcile: all.add_times("reconcile_seconds", "Planning what changed and comparing it"),
            connected: all.add("database_connected", "Whether the OVN database is followed, by database"),
            leader: all.add("leader", "Whether this replica leads"),
            objects: all.add("cluster_objects", "Objects of the cluster known, by kind"),
            rewinds: all.add("cluster_rewinds", "How often the API server's state went back to an older one"),
            status_writes: all.add("status_writes", "Writes to the API server, by outcome"),
        };
        (metrics, all.finish(Some(Shown::default())))
    }
}

/// The speaker's.
#[derive(Clone, Debug)]
pub struct SpeakerMetrics {
    /// Frames seen, by what became of them.
    pub verdicts: Family<Label, Counter>,
    /// VIPs that this node answers for.
    pub announced: Gauge,
    /// Each VIP that this node answers for, by name, where that is asked for.
    pub each: Family<[(&'static str, String); 4], Gauge>,
    /// VIPs that this node can deliver, by how far they are.
    pub states: Family<Label, Gauge>,
    /// VIPs that this node has begun to answer for, and those that it has let go.
    pub claims: Family<Label, Counter>,
    /// Rules wanted on bridges.
    pub rules: Gauge,
    /// Whether a bridge answers, by its name.
    pub connected: Family<Label, Gauge>,
    /// How often the API server's state went back to an older one.
    pub rewinds: Counter,
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
            each: all.add(
                "announced",
                "Each VIP that this node answers for, by service, protocol, node and ip as MetalLB's speaker has it, always 1; only with --metrics-per-vip",
            ),
            states: all.add("vips", "VIPs that this node can deliver, by state"),
            claims: all.add("claims", "VIPs that this node began to answer for, or let go, by event"),
            rules: all.add("rules", "OpenFlow rules wanted on provider bridges"),
            connected: all.add("switch_connected", "Whether the provider bridge answers, by bridge"),
            repairs: all.add("rule_repairs", "Rules of ours put back after somebody changed them"),
            objects: all.add("cluster_objects", "Objects of the cluster known, by kind"),
            rewinds: all.add("cluster_rewinds", "How often the API server's state went back to an older one"),
        };
        (metrics, all.finish(None))
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
mod tests;
