//! What the controller tells probes, metrics and the log of its own work.

use std::collections::BTreeSet;
use std::net::IpAddr;

use prometheus_client::metrics::gauge::Gauge;
use tokio::time::Instant;

use crate::io::cluster::Cluster;
use crate::io::kube::voice::Said;
use crate::io::ovsdb_client::TransactionId;
use crate::kube::Kind;
use crate::model::ObjectKey;
use crate::nb::diff::Changes;
use crate::nb::rows::{NORTHBOUND, SOUTHBOUND};
use crate::ovsdb::TransactionError;
use crate::plan::strangers;
use crate::telemetry::metrics::{label, observe, replace};

use super::announcer::{Announcer, announcer};
use super::{Controller, now};

impl Controller {
    pub(super) fn committed(&mut self, id: TransactionId, error: Option<TransactionError>) {
        let outcome = if error.is_some() { "refused" } else { "committed" };
        let took = self.commits.done(id, error, now());
        self.metrics.transactions.get_or_create(&label("outcome", outcome)).inc();
        observe(&self.metrics.commit, took);
    }

    pub(super) fn said(&mut self, said: &Said) {
        self.voice.said(said, now());
        let writes = &self.metrics.status_writes;
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        writes.get_or_create(&label("outcome", "done")).inc_by(count(said.done));
        writes.get_or_create(&label("outcome", "failed")).inc_by(count(said.failures.len()));
        self.voice_trouble = said.failures.first().cloned();
        self.say_problems();
    }

    pub(super) fn measure(&self, changes: &Changes, repairing: bool, began: Instant) {
        let metrics = &self.metrics;
        let written = u64::try_from(changes.len()).unwrap_or(u64::MAX);
        observe(&metrics.reconcile, now() - began);
        metrics.rows.inc_by(written);
        if repairing {
            metrics.repairs.inc_by(written);
        }
        metrics.vips.set(i64::try_from(self.reconciler.vips()).unwrap_or(i64::MAX));
        let reasons = self.reconciler.reasons().iter();
        replace(&metrics.refusals, "reason", reasons.map(|(reason, count)| (*reason, *count)));
        if self.per_vip {
            self.name_vips();
        }
    }

    /// How many of the VIPs that are programmed a speaker holds.
    pub(super) fn count_announced(&self) {
        let outcomes = self.reconciler.outcomes().values();
        let vips: BTreeSet<_> = outcomes.flat_map(|outcome| &outcome.vips).collect();
        let world = self.reconciler.world();
        let is_held = |vip: IpAddr, subnet| {
            matches!(announcer(world, self.heard.silent(), subnet, vip), Announcer::Node(_))
        };
        let held = vips.iter().filter(|(vip, subnet)| is_held(**vip, subnet)).count();
        let set = |gauge: &Gauge, count: usize| gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
        set(&self.metrics.vips_served, held);
        set(&self.metrics.vips_without_holder, vips.len() - held);
        if self.per_vip {
            self.name_vips();
        }
    }

    /// How many Services wait for an address. Only who leads gives them.
    pub(super) fn count_unaddressed(&self, now: Instant) {
        let leads = self.leading.may_write(&self.northbound, now);
        let counts = leads.then(|| self.giving.without_address(self.reconciler.world()));
        replace(&self.metrics.waiting, "reason", counts.unwrap_or_default());
    }

    /// Who says things in MetalLB's name that do not count.
    pub(super) fn strangers(&self) -> Vec<String> {
        let strangers = strangers(self.reconciler.world(), self.reconciler.policy());
        strangers.map(|found| format!("{}: {}; {}", found.object, found.message, found.cure)).collect()
    }

    /// Takes note of whose report was renewed, and whose was not.
    pub(super) fn listen(&mut self) {
        let Cluster::Kube(watch, _) = &self.cluster else { return };
        let now = now();
        // Whoever leads has just written; so the API server takes writes, speakers' too.
        let listening = watch.is_well(Kind::Report) && self.leading.may_write(&self.northbound, now);
        let reports = self.reconciler.world().reports().filter_map(|report| {
            let marks = watch.marks_of(&ObjectKey::Report(report.key.clone()))?;
            Some((&report.node, marks.pulse.as_ref()?))
        });
        if self.heard.listen(reports, listening, now.into_std()) {
            self.voice.stir(now);
        }
        replace(&self.metrics.speakers, "heard", self.heard.counts());
    }

    /// When to look again though nothing happens: what Kube-OVN let go may be ours by then, or a speaker silent for too long.
    pub(super) fn patience(&self) -> Option<Instant> {
        let silence = self.heard.due(now().into_std()).map(Instant::from_std);
        self.reconciler.due().map(|due| self.started + due).into_iter().chain(silence).min()
    }

    /// Tells probes and metrics how it stands.
    pub(super) fn report(&self) {
        let metrics = &self.metrics;
        let southbound = self.southbound.as_ref().map(|client| (SOUTHBOUND, client.is_synced()));
        for (database, synced) in [(NORTHBOUND, self.northbound.is_synced())].into_iter().chain(southbound) {
            metrics.connected.get_or_create(&label("database", database)).set(i64::from(synced));
        }
        metrics.leader.set(i64::from(self.leading.may_write(&self.northbound, now())));
        replace(&metrics.objects, "kind", self.cluster.counts());
        self.health.set_ready(self.lacks().as_deref());
    }

    /// What it waits for before it can tell anything.
    pub(super) fn lacks(&self) -> Option<String> {
        if !self.cluster.is_complete() {
            Some("the cluster's objects".to_owned())
        } else if let Some(rewinding) = self.cluster.rewinding() {
            Some(rewinding)
        } else if let Some(outdated) = self.leading.outdated() {
            Some(outdated.to_owned())
        } else if !self.northbound.is_synced() {
            Some("the northbound".to_owned())
        } else {
            None
        }
    }
}
