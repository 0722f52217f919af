//! What the controller knows and what follows from it, without any I/O: changes in, writes out.
//!
//! One function serves events and resync: [`Reconciler::reconcile`] plans what is dirty and compares what was
//! touched with what is there.

mod counts;
mod look;
mod touch;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use uuid::Uuid;

use crate::model::{Change, Dirty, Network, Object, ServiceKey, Sources, SubnetName, World};
use crate::nb::diff::{Changes, Touched, diff};
use crate::nb::namesake::other_name;
use crate::nb::network::{NetworkDirty, NetworkIndex};
use crate::nb::owner::{Owner, RowKey, SubnetRow};
use crate::nb::render::{Desired, Dialect, needs_router_port};
use crate::nb::rows::Selection;
use crate::ovsdb::{Replica, RowChange};
use crate::plan::{Policy, Refusal, derived_steering_mac, is_eligible, plan_services};
use crate::settings::OwnRouterPort;

use super::kept::{Kept, Seen};
use super::seeing::Seeing;
use counts::{count, uncount};

/// The settings of a reconciler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Whose rows are ours.
    pub owner: Owner,
    /// What an operator chose.
    pub policy: Policy,
    /// Whether switches of a plain upstream OVN get a router port of ours.
    pub own_router_port: OwnRouterPort,
}

/// The controller's state.
#[derive(Debug)]
pub struct Reconciler {
    rules: Rules,
    world: World,
    network: NetworkIndex,
    seeing: Seeing,
    now: Duration,
    desired: Desired,
    subnet_rows: BTreeSet<Uuid>,
    dirty: Dirty,
    /// Services that are dirty because a row of theirs went.
    bereft: BTreeSet<ServiceKey>,
    /// What is not gone, although nothing tells of it.
    kept: Kept,
    /// Rows of this cluster's Services bear another cluster's name.
    other_name: Option<String>,
    /// A Service had our class.
    class_matched: bool,
    touched: Touched,
    compared: Touched,
    /// The last step left writes for the next.
    unfinished: bool,
    refusals: BTreeMap<ServiceKey, BTreeSet<Refusal>>,
    outcomes: BTreeMap<ServiceKey, Outcome>,
    /// How many Services each VIP is programmed for.
    served: BTreeMap<IpAddr, usize>,
    reasons: BTreeMap<&'static str, usize>,
    selection: Selection,
}

/// What became of a Service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The VIPs that are programmed, with the subnet of each.
    pub vips: BTreeMap<IpAddr, SubnetName>,
    /// Those at which a port of its own has a backend.
    pub serves: BTreeSet<IpAddr>,
    /// Who may reach it.
    pub sources: Sources,
    /// It has more than was planned, since something cannot be read.
    pub kept: bool,
}

/// A Service's refusals, where they are other than before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusalChange {
    /// The Service.
    pub service: ServiceKey,
    /// Refusals that it did not have.
    pub new: BTreeSet<Refusal>,
    /// Refusals that it no longer has.
    pub gone: BTreeSet<Refusal>,
}

impl Reconciler {
    /// Knows nothing yet, so that everything is to do.
    pub fn new(rules: Rules) -> Self {
        Self {
            rules,
            world: World::default(),
            network: NetworkIndex::default(),
            seeing: Seeing::default(),
            now: Duration::ZERO,
            desired: Desired::default(),
            subnet_rows: BTreeSet::new(),
            dirty: Dirty::everything(),
            bereft: BTreeSet::new(),
            kept: Kept::default(),
            other_name: None,
            class_matched: false,
            touched: Touched::everything(),
            compared: Touched::default(),
            unfinished: false,
            refusals: BTreeMap::new(),
            outcomes: BTreeMap::new(),
            served: BTreeMap::new(),
            reasons: BTreeMap::new(),
            selection: Selection::full(),
        }
    }

    /// What is known of the network.
    pub fn network(&self) -> &Network {
        self.network.network()
    }

    /// What an operator chose.
    pub fn policy(&self) -> &Policy {
        &self.rules.policy
    }

    /// Our rows' names and marks.
    pub fn owner(&self) -> &Owner {
        &self.rules.owner
    }

    /// What should be in the northbound, as last planned.
    pub fn desired(&self) -> &Desired {
        &self.desired
    }

    /// All current refusals.
    pub fn refusals(&self) -> &BTreeMap<ServiceKey, BTreeSet<Refusal>> {
        &self.refusals
    }

    /// Whether there is nothing to plan and nothing to compare.
    pub fn is_settled(&self) -> bool {
        self.dirty.is_empty() && self.touched.is_empty()
    }

    /// Whether what is left to do is no decision's consequence: somebody altered our rows.
    pub fn is_planned(&self) -> bool {
        let is_clean = !self.dirty.everything && self.dirty.vips.is_empty();
        is_clean && !self.unfinished && self.dirty.services.is_subset(&self.bereft)
    }

    /// How many VIPs are programmed.
    pub fn vips(&self) -> usize {
        self.served.len()
    }

    /// How many refusals there are, by their short names.
    pub fn reasons(&self) -> &BTreeMap<&'static str, usize> {
        &self.reasons
    }

    /// What became of each Service.
    pub fn outcomes(&self) -> &BTreeMap<ServiceKey, Outcome> {
        &self.outcomes
    }

    /// The cluster, as far as it is known.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// What this northbound can select a backend by.
    pub fn set_selection(&mut self, selection: Selection) {
        if self.selection != selection {
            self.selection = selection;
            self.start_over();
        }
    }

    /// Takes changes of the cluster in.
    pub fn cluster_changed(&mut self, changes: impl IntoIterator<Item = Change>) {
        for change in changes {
            let ours = matches!(&change, Change::Apply(Object::Service(service)) if self.rules.policy.serves(service));
            if matches!(change, Change::Gaps(_)) || (ours && !self.class_matched) {
                self.start_over();
            }
            self.class_matched |= ours;
            let dirty = self.world.apply(change);
            self.dirty.merge(dirty);
        }
    }

    /// Takes changes of the northbound in.
    pub fn northbound_changed(&mut self, replica: &Replica, changes: &[RowChange]) {
        for renamed in changes.iter().filter_map(|change| self.rules.owner.observe(replica, change)) {
            match renamed {
                RowKey::LoadBalancer(service, _) => {
                    self.bereft.insert(service.clone());
                    self.dirty.services.insert(service);
                }
                RowKey::Subnet(..) => self.dirty.everything = true,
                RowKey::Gate(..) | RowKey::Outside(..) => self.touched.gates = true,
            }
        }
        let dirty = self.network.northbound_changed(&self.rules.owner, replica, changes);
        self.network_dirty(&dirty);
        self.put_rows(replica, changes);
        self.look();
        for change in changes {
            self.touch(replica, change);
        }
    }

    /// Takes changes of the southbound in.
    pub fn southbound_changed(&mut self, replica: &Replica, changes: &[RowChange]) {
        let dirty = self.network.southbound_changed(replica, changes);
        self.network_dirty(&dirty);
        self.seeing.southbound_changed(replica, changes);
        self.look();
    }

    /// It is this late, since the start of whoever asks. What Kube-OVN let go a while ago may be ours now.
    pub fn advance(&mut self, now: Duration) {
        let dirty = self.network.advance(now);
        self.network_dirty(&dirty);
        self.now = now;
        self.look();
    }

    /// When [`Reconciler::advance`] may make a difference.
    pub fn due(&self) -> Option<Duration> {
        [self.network.due(), self.seeing.due()].into_iter().flatten().min()
    }

    /// A write did not come about: look at everything again.
    pub fn start_over(&mut self) {
        self.dirty = Dirty::everything();
        self.touched = Touched::everything();
    }

    /// Plans what is dirty, compares what was touched, and returns what has to be written, with the refusals that
    /// came or went. Where this OVN cannot keep DNAT local nothing is planned and nothing is touched.
    pub fn reconcile(&mut self, replica: &Replica) -> (Changes, Vec<RefusalChange>) {
        let Some(locality) = self.network().locality else { return (Changes::default(), Vec::new()) };
        let dialect = Dialect { locality, selection: self.selection.clone() };
        if self.dirty.everything {
            self.other_name = other_name(&self.rules.owner, replica, &self.world);
        }
        if self.other_name.is_some() {
            return (Changes::default(), Vec::new());
        }
        let dirty = std::mem::take(&mut self.dirty);
        self.bereft.clear();
        let services: BTreeSet<ServiceKey> = if dirty.everything {
            self.plan_subnets();
            let known = self.world.services().map(|service| service.key.clone());
            let known = known.chain(self.network.network().served.keys().cloned());
            known.chain(self.refusals.keys().cloned()).chain(self.desired.services().cloned()).collect()
        } else {
            self.world.affected(&dirty).services
        };
        let mut refusal_changes = Vec::new();
        let mut plans = plan_services(&self.world, self.network.network(), &self.rules.policy, &services);
        let nobodys_class = self.is_nobodys_class();
        let Rules { owner, policy, .. } = &self.rules;
        let (world, network) = (&self.world, self.network.network());
        let seen = Seen { world, network, replica, owner, policy, nobodys_class };
        let kept = self.kept.complete(seen, &mut plans);
        self.touched.gates |= self.desired.gates.keep(self.kept.gates());
        for (key, plan) in plans {
            // Not every VIP that it has: one whose ports are all another Service's is in no row of its own.
            let balanced = plan.load_balancers.iter().flat_map(|row| row.vips.keys());
            self.network.keep_served(key, balanced.map(SocketAddr::ip));
            let rows = self.desired.put_service(&self.rules.owner, &dialect, key, &plan.load_balancers);
            self.touched.load_balancers.extend(rows);
            self.touched.subnets |= self.desired.put_vips(key, &plan.vips);
            let uid = self.world.service(key).map(|service| service.uid.as_str()).unwrap_or_default();
            self.touched.gates |= self.desired.gates.put(key, uid, plan.gates);
            let balanced = plan.load_balancers.iter().flat_map(|row| &row.vips);
            let serves = balanced.filter(|(_, to)| !to.is_empty()).map(|(key, _)| key.ip()).collect();
            let sources = self.world.service(key).map(|service| service.sources.clone()).unwrap_or_default();
            self.put_outcome(key, Outcome { vips: plan.vips, serves, sources, kept: kept.contains(key) });
            refusal_changes.extend(self.put_refusals(key.clone(), plan.refusals));
        }
        let touched = std::mem::take(&mut self.touched);
        let changes = diff(&self.rules.owner, &self.desired, replica, &touched);
        self.compared = touched;
        (changes, refusal_changes)
    }

    /// As [`Reconciler::reconcile`], but only what may be written at once. What that leaves is compared again.
    pub fn step(&mut self, replica: &Replica) -> (Changes, Vec<RefusalChange>) {
        let (changes, refusals) = self.reconcile(replica);
        let (changes, more) = changes.next_step();
        self.unfinished = more;
        if more {
            self.touched.merge(std::mem::take(&mut self.compared));
        }
        (changes, refusals)
    }

    /// Whether there are Services, and none has our class or ever had: the setting may be wrong.
    pub fn is_nobodys_class(&self) -> bool {
        !self.class_matched && self.world.services().next().is_some()
    }

    /// Why nothing is written at all, for people: `--cluster-name` is wrong.
    pub fn misnamed(&self) -> Option<String> {
        let (name, ours) = (self.other_name.as_ref()?, self.rules.owner.cluster());
        Some(format!(
            "the northbound has rows for this cluster's Services under the name {name}, not {ours}: is --cluster-name \
             right? Nothing is written. To give a cluster another name, first `ovn-vip remove --cluster-name {name}`"
        ))
    }

    /// What cannot be read, for people; `None` where all was understood.
    pub fn unread(&self) -> Option<String> {
        let gaps = self.world.gaps();
        if !gaps.is_empty() {
            return Some(format!("{gaps} cannot be read: nothing that may be theirs is deleted"));
        }
        let is_kept = self.is_nobodys_class() && self.outcomes.values().any(|outcome| outcome.kept);
        is_kept.then(|| {
            "no Service has the class of --load-balancer-class, and there are rows of ours: nothing is deleted; \
             correct the flag, or remove everything with `ovn-vip remove`"
                .to_owned()
        })
    }

    fn plan_subnets(&mut self) {
        self.desired.gaps = self.world.gaps().clone();
        let network = self.network.network();
        let auto = self.rules.own_router_port == OwnRouterPort::Auto;
        let subnets = self
            .world
            .subnets()
            .filter(|subnet| is_eligible(subnet) && network.switches.contains_key(&subnet.name));
        self.desired.put_subnets(subnets.map(|subnet| {
            let ours = auto && needs_router_port(network, &subnet.name);
            (subnet, ours.then(|| derived_steering_mac(subnet)))
        }));
        let subnets = self.desired.groups.keys();
        let row_names =
            subnets.flat_map(|subnet| SubnetRow::ALL.map(|row| self.rules.owner.subnet_row(subnet, row)));
        self.subnet_rows = row_names.collect();
        self.touched.subnets = true;
        self.touched.members = true;
    }

    fn put_outcome(&mut self, service: &ServiceKey, outcome: Outcome) {
        count(&mut self.served, outcome.vips.keys().copied());
        let is_there = self.world.service(service).is_some() || outcome.kept;
        let old = if is_there {
            self.outcomes.insert(service.clone(), outcome)
        } else {
            self.outcomes.remove(service)
        };
        uncount(&mut self.served, old.into_iter().flat_map(|old| old.vips.into_keys()));
    }

    fn put_refusals(&mut self, service: ServiceKey, refusals: BTreeSet<Refusal>) -> Option<RefusalChange> {
        let old = self.refusals.remove(&service).unwrap_or_default();
        let new = refusals.difference(&old).cloned().collect();
        let gone = old.difference(&refusals).cloned().collect();
        let altered = old != refusals;
        count(&mut self.reasons, refusals.iter().map(Refusal::reason));
        uncount(&mut self.reasons, old.iter().map(Refusal::reason));
        if !refusals.is_empty() {
            self.refusals.insert(service.clone(), refusals);
        }
        altered.then_some(RefusalChange { service, new, gone })
    }

    fn network_dirty(&mut self, dirty: &NetworkDirty) {
        self.dirty.everything |= dirty.everything;
        for address in &dirty.addresses {
            self.dirty.services.extend(self.world.services_with(*address).cloned());
            self.dirty.vips.insert(*address);
        }
    }
}
