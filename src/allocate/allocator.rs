//! The machine: what changed in, who has what out.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::ground::Ground;
use super::pools::Pools;
use super::rival::{Rival, Sightings};
use super::uses::{Key, PortKey, Uses};
use super::want::Want;
use super::why::{Blocked, Why};
use super::{Counts, Scope, Step, Verdict};
use crate::model::{
    AddressRequest, Change, Family, Mac, Network, Object, ObjectKey, Service, ServiceKey, World,
};

/// What is looked at while it decides.
#[derive(Clone, Copy)]
pub(super) struct Around<'a> {
    pub world: &'a World,
    pub network: Option<&'a Network>,
    pub now: Duration,
}

/// What a Service has.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub addresses: Vec<IpAddr>,
    pub pool: Arc<str>,
    pub key: Key,
    pub ports: Vec<PortKey>,
    pub truth: Truth,
}

/// How what was decided stands to what a Service's status says.
#[derive(Clone, Debug, Default)]
pub(super) struct Truth {
    /// What stood there when it was decided, until what was decided stands there.
    pub before: Option<Vec<IpAddr>>,
    /// How often somebody has written something else since, and when last.
    pub overwritten: (u8, Duration),
}

/// What has to be looked at.
#[derive(Debug, Default)]
struct Dirt {
    services: BTreeSet<ServiceKey>,
    ground: bool,
    books: bool,
    reports: bool,
}

/// Gives out addresses.
#[derive(Debug, Default)]
pub struct Allocator {
    pub(super) scope: Scope,
    pub(super) pools: Pools,
    pub(super) ground: Ground,
    pub(super) uses: Uses,
    /// Free addresses that turned out to be somebody's.
    pub(super) aside: BTreeMap<IpAddr, Blocked>,
    /// Hosts that answered for addresses, and until when that counts.
    pub(super) strangers: BTreeMap<IpAddr, (Mac, Duration)>,
    pub(super) held: BTreeMap<ServiceKey, Held>,
    pub(super) waiting: BTreeSet<ServiceKey>,
    /// What is left alone; where that is until the Service asks for something else: what it asked for.
    pub(super) left: BTreeMap<ServiceKey, Option<AddressRequest>>,
    pub(super) refused: BTreeMap<ServiceKey, Why>,
    sightings: Sightings,
    /// Those that get their addresses here.
    clients: BTreeSet<ServiceKey>,
    dirt: Dirt,
    pub(super) started: bool,
    pub(super) steps: Vec<Step>,
    pub(super) changed: BTreeSet<ServiceKey>,
}

impl Allocator {
    /// Knows nothing yet.
    pub fn new(scope: Scope) -> Self {
        Self { scope, ..Self::default() }
    }

    /// Whether a Service gets its addresses here.
    pub fn takes(&self, service: &Service) -> bool {
        self.scope.takes(service)
    }

    /// Whether any Service does.
    pub fn has_clients(&self) -> bool {
        !self.clients.is_empty()
    }

    /// Forgets everything but who else gives addresses out, and begins anew with what stands in Services.
    pub fn start_over(&mut self) {
        let (scope, sightings) = (self.scope.clone(), std::mem::take(&mut self.sightings));
        let clients = std::mem::take(&mut self.clients);
        *self = Self { scope, sightings, clients, ..Self::default() };
    }

    /// Whether it gives nobody anything, by its settings.
    pub fn is_off(&self) -> bool {
        self.scope == Scope::Off
    }

    /// Looks at a change before the world takes it in.
    pub fn note(&mut self, world: &World, change: &Change) {
        self.sightings.note(world, change);
        match change {
            Change::Apply(Object::Service(service)) => {
                let key = service.key.clone();
                if self.scope.takes(service) {
                    self.clients.insert(key.clone());
                } else {
                    self.clients.remove(&key);
                }
                self.dirt.services.insert(key);
            }
            Change::Remove(ObjectKey::Service(key)) => {
                self.clients.remove(key);
                self.dirt.services.insert(key.clone());
            }
            Change::Apply(
                Object::AddressPool(_) | Object::Subnet(_) | Object::Node(_) | Object::Namespace(_),
            )
            | Change::Remove(
                ObjectKey::AddressPool(_)
                | ObjectKey::Subnet(_)
                | ObjectKey::Node(_)
                | ObjectKey::Namespace(_),
            )
            | Change::Gaps(_) => self.dirt.ground = true,
            Change::Apply(Object::Allocation(_)) | Change::Remove(ObjectKey::Allocation(_)) => {
                self.dirt.books = true;
            }
            Change::Apply(Object::Report(_)) => self.dirt.reports = true,
            _ => {}
        }
    }

    /// The ports of the network are others.
    pub fn network_changed(&mut self) {
        self.dirt.books = true;
    }

    /// Who else gives addresses out, so that this does not.
    pub fn rival(&self) -> Option<Rival> {
        self.sightings.rival().filter(|_| !self.is_off())
    }

    /// How it stands with a Service; none, where it is none of this one's business.
    pub fn verdict(&self, service: &ServiceKey) -> Option<Verdict> {
        if let Some(Held { addresses, pool, .. }) = self.held.get(service) {
            return Some(Verdict::Has { addresses: addresses.clone(), pool: pool.clone() });
        }
        if self.left.contains_key(service) {
            return Some(Verdict::LeftAlone);
        }
        self.waiting.contains(service).then_some(Verdict::Waits)
    }

    /// Why a Service has nothing, or not what it asks for.
    pub fn why(&self, service: &ServiceKey) -> Option<&Why> {
        self.refused.get(service)
    }

    /// All that have no address.
    pub fn waiting(&self) -> impl Iterator<Item = &ServiceKey> {
        self.waiting.iter()
    }

    /// What is wrong with pools, by name.
    pub fn pool_faults(&self) -> impl Iterator<Item = (&Arc<str>, &Arc<str>)> {
        self.pools.faults().iter()
    }

    /// The counts of a pool in force.
    pub fn counts(&self, pool: &str) -> Option<Counts> {
        let pool = self.pools.get(pool)?;
        let count = |family| (pool.in_use(family), pool.capacity(family).saturating_sub(pool.in_use(family)));
        let ((assigned_v4, available_v4), (assigned_v6, available_v6)) =
            (count(Family::V4), count(Family::V6));
        Some(Counts { assigned_v4, assigned_v6, available_v4, available_v6 })
    }

    /// When [`Allocator::settle`] may come to something else with nothing new to see.
    pub fn due(&self) -> Option<Duration> {
        self.strangers.values().map(|(_, until)| *until).min()
    }

    /// The Services whose verdict may be another than when this was last asked.
    pub fn take_changed(&mut self) -> BTreeSet<ServiceKey> {
        std::mem::take(&mut self.changed)
    }

    /// Decides what is to be decided; what happened. `now`: since the start of whoever asks.
    pub fn settle(&mut self, world: &World, network: Option<&Network>, now: Duration) -> Vec<Step> {
        if self.is_off() || self.rival().is_some() {
            self.stand_back();
            return Vec::new();
        }
        let around = Around { world, network, now };
        let mut dirt = std::mem::take(&mut self.dirt);
        let mut freed = self.look_at_the_ground(world, dirt.ground, &mut dirt.services);
        let is_others = |key: &ServiceKey| world.service(key).is_none_or(|found| !self.scope.takes(found));
        let books = dirt.books || dirt.ground || dirt.services.iter().any(is_others);
        freed |= self.look_at_the_books(around, books);
        if dirt.reports {
            freed |= self.look_at_the_wire(world, now);
        }
        freed |= self.look_at_holders(around, &dirt.services);
        self.give(around, freed, &dirt.services);
        std::mem::take(&mut self.steps)
    }

    /// Somebody else does it. Nothing is remembered: it starts anew from what stands in the Services.
    fn stand_back(&mut self) {
        if self.started {
            self.start_over();
        }
    }

    /// Those who have addresses, or had: whether they still may. Whether anything was given back.
    fn look_at_holders(&mut self, around: Around<'_>, services: &BTreeSet<ServiceKey>) -> bool {
        let mut freed = false;
        let mut new = Vec::new();
        for key in services {
            let service = around.world.service(key).filter(|service| self.scope.takes(service));
            let Some(service) = service else {
                freed |= self.forget(key);
                continue;
            };
            if self.held.contains_key(key) {
                freed |= self.look_at_holder(around, &Want::of(service));
            } else if !service.request.held.is_empty() {
                new.push(service);
            }
        }
        new.sort_by_key(|service| service.seniority());
        for service in new {
            self.claim(&Want::of(service));
        }
        let held = services.iter().filter(|key| self.held.contains_key(*key));
        let held: Vec<_> = held.filter_map(|key| around.world.service(key)).collect();
        for service in held {
            self.complete(around, &Want::of(service));
        }
        freed
    }

    /// Those that wait, in order of their age.
    fn give(&mut self, around: Around<'_>, freed: bool, services: &BTreeSet<ServiceKey>) {
        let is_new = |key: &&ServiceKey| !self.held.contains_key(*key) && !self.left.contains_key(*key);
        let new = services.iter().filter(is_new).filter_map(|key| around.world.service(key));
        let mut open: Vec<_> = new.filter(|service| self.scope.takes(service)).collect();
        let others = self.waiting.iter().filter(|_| freed);
        open.extend(others.filter_map(|key| around.world.service(key)));
        open.sort_by_key(|service| service.seniority());
        open.dedup_by_key(|service| &service.key);
        for service in open {
            let want = Want::of(service);
            match self.choose(around, &want) {
                Ok((addresses, pool)) => {
                    self.waiting.remove(&service.key);
                    self.refused.remove(&service.key);
                    let before = Some(service.request.held.clone());
                    let truth = Truth { before, ..Truth::default() };
                    self.hold(&want, addresses.clone(), pool.clone(), truth);
                    self.steps.push(Step::Given { service: service.key.clone(), addresses, pool });
                }
                Err(why) => {
                    self.wait(&service.key);
                    self.refuse(&service.key, why);
                }
            }
        }
    }
}
