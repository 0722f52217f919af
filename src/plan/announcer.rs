//! What one node announces and steers, kept level with the world: a change costs what it alters, not what there is.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::model::{
    Affected, AnnouncePlan, Dirty, Mac, NodeName, PlannedClaim, ServiceKey, Steered, SubnetName, World,
};

use super::announce::{plan_vip, segments};
use super::unit::Units;
use super::view::{Absent, View};
use super::{Policy, Refusal};

/// What this node does on each segment, from the world alone: every node comes to the same election. `absent`: the
/// nodes that are dead, by segment; `None` where nobody listens for them.
///
/// A VIP that this node has a ready backend for is steered, whoever announces it, so that rules are in place
/// before a claim. A node that can deliver nothing of a VIP neither steers nor announces it.
pub fn announce_plan(
    world: &World,
    policy: &Policy,
    absent: Option<&Absent>,
    node: &NodeName,
) -> (AnnouncePlan, BTreeSet<Refusal>) {
    let mut announcer = Announcer::new(node.clone(), policy.clone());
    announcer.update(world, absent, &Dirty::everything());
    (announcer.plan, announcer.refusals)
}

/// [`announce_plan`], kept: after every update the plan is what planning anew would give.
#[derive(Clone, Debug)]
pub struct Announcer {
    node: NodeName,
    policy: Policy,
    absent: Option<Absent>,
    plan: AnnouncePlan,
    refusals: BTreeSet<Refusal>,
}

/// What [`Announcer::update`] planned otherwise than before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replanned {
    /// Anything, the segments themselves too.
    Everything,
    /// No segment, and of the segments' VIPs only these; nothing at all where both are empty.
    Only {
        /// The VIPs that are steered, announced, handed over or taken over otherwise.
        vips: BTreeSet<(SubnetName, IpAddr)>,
        /// The Services of which [`AnnouncePlan::stated`] says something else.
        services: BTreeSet<ServiceKey>,
    },
}

impl Announcer {
    /// Has planned nothing yet: the first update has to be of everything ([`Dirty::everything`]).
    pub fn new(node: NodeName, policy: Policy) -> Self {
        Self { node, policy, absent: None, plan: AnnouncePlan::default(), refusals: BTreeSet::new() }
    }

    /// What an operator chose.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// What was planned last.
    pub fn plan(&self) -> &AnnouncePlan {
        &self.plan
    }

    /// What keeps this node from speaking on a segment.
    pub fn refusals(&self) -> &BTreeSet<Refusal> {
        &self.refusals
    }

    /// Plans what a change of the world may alter: `dirty` is what all changes since the last update came to. On segments
    /// where others are dead than before it plans all that this node could serve.
    pub fn update(&mut self, world: &World, absent: Option<&Absent>, dirty: &Dirty) -> Replanned {
        let mut dirty = dirty.clone();
        dirty.vips.extend(self.vips_where_others_are_absent(absent));
        self.absent = absent.cloned();
        if dirty.everything {
            (self.plan, self.refusals) = segments(world, &self.node);
            self.plan_vips(world, world.vips());
            return Replanned::Everything;
        }
        let affected = world.affected(&dirty);
        let before = Part::take(&mut self.plan, &affected);
        self.plan_vips(world, affected.vips.iter().copied());
        let after = Part::of(&self.plan, &affected);
        Replanned::Only {
            vips: differing(&before.vips, &after.vips),
            services: differing(&before.stated, &after.stated),
        }
    }

    /// Of this node and another, which both claimed a VIP before they could know of each other, whether this one goes on: the
    /// other comes to the same answer. `None` where that is not known.
    pub fn goes_on(
        &self,
        world: &World,
        (subnet, vip): (&SubnetName, IpAddr),
        other: &NodeName,
    ) -> Option<bool> {
        let view = View { world, policy: &self.policy, network: None, absent: None };
        let own = &world.node(&self.node)?.name;
        let first = Units::new(view).goes_on(world.subnet(subnet)?, vip, [own, other])?;
        Some(first == own)
    }

    fn vips_where_others_are_absent(&self, absent: Option<&Absent>) -> Vec<IpAddr> {
        let of = |absent: Option<&Absent>, subnet| absent.and_then(|absent| absent.get(subnet)).cloned();
        let differs = |subnet| of(absent, subnet) != of(self.absent.as_ref(), subnet);
        let segments = self.plan.segments.iter().filter(|(subnet, _)| differs(*subnet));
        segments.flat_map(|(_, segment)| segment.steered.keys().copied()).collect()
    }

    fn plan_vips(&mut self, world: &World, vips: impl Iterator<Item = IpAddr>) {
        let Self { node, policy, absent, plan, refusals: _ } = self;
        let view = View { world, policy, network: None, absent: absent.as_ref() };
        let Some(node) = world.node(node) else { return };
        let mut units = Units::new(view);
        for vip in vips {
            plan_vip(view, &mut units, node, vip, plan);
        }
    }
}

/// What of a plan a change may alter.
#[derive(Default)]
struct Part {
    vips: BTreeMap<(SubnetName, IpAddr), VipPlan>,
    stated: BTreeMap<ServiceKey, (SubnetName, IpAddr)>,
}

/// What a plan says of a VIP on a segment.
#[derive(PartialEq, Eq)]
struct VipPlan {
    steered: Steered,
    announced: Option<PlannedClaim>,
    handed_over: bool,
    successor: Option<Mac>,
    taken_over: bool,
}

impl Part {
    /// Takes it out of the plan.
    fn take(plan: &mut AnnouncePlan, affected: &Affected) -> Self {
        let mut part = Self::default();
        for (subnet, segment) in &mut plan.segments {
            for vip in &affected.vips {
                let announced = segment.announced.remove(vip);
                let handed_over = segment.handed_over.remove(vip);
                let successor = segment.successors.remove(vip);
                let taken_over = segment.taken_over.remove(vip);
                // What is not steered is none of these.
                if let Some(steered) = segment.steered.remove(vip) {
                    let plan = VipPlan { steered, announced, handed_over, successor, taken_over };
                    part.vips.insert((subnet.clone(), *vip), plan);
                }
            }
        }
        let stated = affected.services.iter().filter_map(|key| plan.stated.remove_entry(key));
        part.stated = stated.collect();
        part
    }

    fn of(plan: &AnnouncePlan, affected: &Affected) -> Self {
        let mut part = Self::default();
        for (subnet, segment) in &plan.segments {
            for vip in &affected.vips {
                if let Some(steered) = segment.steered.get(vip) {
                    let plan = VipPlan {
                        steered: steered.clone(),
                        announced: segment.announced.get(vip).copied(),
                        handed_over: segment.handed_over.contains(vip),
                        successor: segment.successors.get(vip).copied(),
                        taken_over: segment.taken_over.contains(vip),
                    };
                    part.vips.insert((subnet.clone(), *vip), plan);
                }
            }
        }
        let stated = affected.services.iter().filter_map(|key| plan.stated.get_key_value(key));
        part.stated = stated.map(|(key, by)| (key.clone(), by.clone())).collect();
        part
    }
}

/// The keys whose values are not the same, also where one has none.
fn differing<K: Ord + Clone, V: PartialEq>(before: &BTreeMap<K, V>, after: &BTreeMap<K, V>) -> BTreeSet<K> {
    let keys = before.keys().chain(after.keys());
    keys.filter(|key| before.get(*key) != after.get(*key)).cloned().collect()
}
