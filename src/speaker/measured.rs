//! What a speaker tells probes and metrics.

use super::Speaker;
use crate::node::status::{State, Status};
use crate::telemetry::metrics::replace;

impl Speaker {
    /// Tells probes and metrics how it stands.
    pub(super) fn measure(&mut self) {
        let gauge = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.metrics.announced.set(gauge(self.agent.answered()));
        self.metrics.rules.set(gauge(self.agent.rules_wanted()));
        replace(&self.metrics.objects, "kind", self.cluster.counts());
        if let Some(status) = self.agent.take_status(&self.switches) {
            replace(&self.metrics.states, "state", status.counts());
            if self.per_vip {
                self.name_vips(&status);
            }
            self.health.set_status(serde_json::to_string(&status).unwrap_or_default());
        }
        let rewinding = self.cluster.rewinding();
        self.health.set_ready(self.agent.waiting_for().or(rewinding.as_deref()));
    }

    /// For who asked for it: `ovn_vip_announced`, with the labels that MetalLB's speaker has.
    fn name_vips(&self, status: &Status) {
        self.metrics.each.clear();
        for vip in &status.vips {
            if !matches!(vip.state, State::Announced | State::HandingOver) {
                continue;
            }
            for service in self.agent.world().services_at(vip.vip) {
                let labels = [
                    ("service", service.key.to_string()),
                    ("protocol", "layer2".to_owned()),
                    ("node", status.node.clone()),
                    ("ip", vip.vip.to_string()),
                ];
                self.metrics.each.get_or_create(&labels).set(1);
            }
        }
    }
}
