//! Which metrics there are, whether they have a value yet or not.

use prometheus_client::registry::Metric;

/// One that is registered.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Known {
    /// As it is scraped.
    pub name: String,
    /// gauge, counter or histogram.
    pub kind: String,
    /// What it tells.
    pub help: String,
}

impl Known {
    pub(super) fn new(name: &str, help: &str, metric: &impl Metric) -> Self {
        let kind = metric.metric_type().as_str().to_owned();
        let ending = if kind == "counter" { "_total" } else { "" };
        Self { name: format!("ovn_vip_{name}{ending}"), kind, help: help.to_owned() }
    }
}
