//! Gives out addresses: what the allocator decides is compared with what stands on Services, and what differs is written.
//!
//! A new leader first makes sure that it knows all that another one wrote (a list of all versions, read consistently). Each
//! write names the version of the Service that it was decided by: whoever writes in between has the better word, and it is
//! decided anew.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::Instant;
use tracing::{info, warn};

use crate::allocate::{Allocator, Counts, Scope, Step, Verdict};
use crate::io::cluster::Cluster;
use crate::io::kube::giver::Giver;
use crate::io::kube::watch::KubeWatch;
use crate::kube::Kind;
use crate::kube::saying::{Regarding, Saying};
use crate::model::{Change, Network, ObjectKey, PoolKey, Service, ServiceKey, World};

use super::{Controller, due, now};

/// After a failure, and while a list of versions is not level.
const PAUSE: Duration = Duration::from_secs(2);
/// Of a larger batch only refusals are Events: the log and the Services have the rest.
const EVENTS: usize = 200;

/// The allocator, and what is under way for it.
pub struct Giving {
    allocator: Allocator,
    giver: Option<Giver>,
    fence: Fence,
    /// What may differ from what stands.
    open: BTreeSet<ServiceKey>,
    /// The version of the Service by which a write was begun.
    sent: BTreeMap<ServiceKey, String>,
    retry_at: Option<Instant>,
    /// Pools that addresses were given from.
    used: BTreeSet<String>,
    trouble: Option<String>,
    began: Instant,
}

/// Whether all is known that another leader may have written.
enum Fence {
    /// Another one leads.
    Closed,
    /// The versions are asked for.
    Asking(JoinHandle<Result<BTreeMap<ServiceKey, u64>, String>>),
    /// These are to be reached; asked again at that time, since what is deleted is never told.
    Waiting(BTreeMap<ServiceKey, u64>, Instant),
    /// It is known.
    Open,
}

impl Giving {
    /// Gives nothing where there is no API server, or where nothing is to be given.
    pub fn new(client: Option<&kube::Client>, scope: Scope, now: Instant) -> Self {
        let giver = client.filter(|_| scope != Scope::Off).map(Giver::new);
        let scope = if giver.is_some() { scope } else { Scope::Off };
        Self {
            allocator: Allocator::new(scope),
            giver,
            fence: Fence::Closed,
            open: BTreeSet::new(),
            sent: BTreeMap::new(),
            retry_at: None,
            used: BTreeSet::new(),
            trouble: None,
            began: now,
        }
    }

    /// Looks at changes before the world takes them in.
    pub fn note(&mut self, world: &World, changes: &[Change]) {
        if self.giver.is_some() {
            changes.iter().for_each(|change| self.allocator.note(world, change));
        }
    }

    /// What is wrong with it, for people.
    pub fn troubles(&self) -> impl Iterator<Item = String> {
        // Where nobody wants an address of us, who else gives them and how is of no interest.
        let matters = self.allocator.has_clients();
        let rival =
            self.allocator.rival().filter(|_| matters).map(|rival| format!("no address is given: {rival}"));
        let faults =
            self.allocator.pool_faults().map(|(name, fault)| format!("IPAddressPool {name}: {fault}"));
        let faults: Vec<String> = faults.filter(|_| matters && rival.is_none()).collect();
        rival.into_iter().chain(faults).chain(self.trouble.clone())
    }

    /// How many Services wait for an address of ours, by why.
    pub fn without_address(&self, world: &World) -> BTreeMap<&'static str, usize> {
        let mut counts = BTreeMap::new();
        let rival = self.allocator.rival().map(|_| "OtherAllocator");
        for service in world.services().filter(|it| self.takes(it) && it.request.held.is_empty()) {
            let why = rival.or_else(|| Some(self.allocator.why(&service.key)?.reason()));
            *counts.entry(why.unwrap_or("OnItsWay")).or_default() += 1;
        }
        counts
    }

    /// Whether addresses are being written: those come first.
    pub fn is_busy(&self) -> bool {
        !self.open.is_empty() || self.giver.as_ref().is_some_and(Giver::is_busy)
    }

    /// Why a Service has no address, or not the one that it asks for; none where it is none of this one's business.
    pub fn why(&self, service: &Service) -> Option<String> {
        if let Some(why) = self.allocator.why(&service.key) {
            return Some(why.to_string());
        }
        let waits = self.allocator.takes(service) && service.request.held.is_empty();
        let rival = self.allocator.rival().filter(|_| waits)?;
        Some(rival.told(service))
    }

    /// Whether it gives the Service its addresses: then nobody else is to be asked for them.
    pub fn takes(&self, service: &Service) -> bool {
        self.allocator.takes(service)
    }

    /// Ends when something of its own happened. Cancel-safe.
    pub async fn next(&mut self) -> Happened {
        let retry = due::reached(self.retry_at);
        let aside = due::reached(self.allocator.due().map(|due| self.began + due));
        let Some(giver) = &mut self.giver else { return std::future::pending().await };
        let asked = async {
            match &mut self.fence {
                Fence::Asking(task) => task.await,
                Fence::Waiting(_, again) => {
                    due::reached(Some(*again)).await;
                    Ok(Err(String::new()))
                }
                Fence::Closed | Fence::Open => std::future::pending().await,
            }
        };
        tokio::select! {
            (service, done) = giver.answered() => Happened::Wrote(service, done),
            versions = asked => Happened::Asked(versions.unwrap_or_else(|error| Err(error.to_string()))),
            () = retry => Happened::Due,
            () = aside => Happened::Due,
        }
    }

    /// Takes that in.
    pub fn take(&mut self, happened: Happened, now: Instant) {
        match happened {
            Happened::Wrote(_, Ok(())) => self.trouble = None,
            Happened::Wrote(service, Err(error)) => {
                self.sent.remove(&service);
                self.open.insert(service);
                self.trouble = Some(error);
                self.retry_at = Some(now + PAUSE);
            }
            Happened::Asked(Ok(versions)) => self.fence = Fence::Waiting(versions, now + PAUSE),
            Happened::Asked(Err(error)) => {
                if !error.is_empty() {
                    self.trouble = Some(format!("services cannot be listed: {error}"));
                }
                self.fence = Fence::Closed;
            }
            Happened::Due => self.retry_at = None,
        }
    }

    /// Decides and writes, if this replica leads; the Events of it.
    pub fn settle(
        &mut self,
        watch: &KubeWatch,
        world: &World,
        network: &Network,
        leads: bool,
        now: Instant,
    ) -> Vec<Saying> {
        if !leads || self.giver.is_none() || !watch.has(Kind::AddressPool) || watch.rewinding().is_some() {
            self.stand_down(leads);
            return Vec::new();
        }
        if !self.is_level(watch) || self.retry_at.is_some_and(|at| now < at) {
            return Vec::new();
        }
        self.retry_at = None;
        let steps = self.allocator.settle(world, Some(network), now - self.began);
        self.open.append(&mut self.allocator.take_changed());
        self.write(watch, world);
        let many = steps.len() > EVENTS;
        if many {
            info!(services = steps.len(), "addresses were decided");
        }
        let told = steps.iter().filter(|step| !many || !matches!(step, Step::Given { .. }));
        told.filter_map(|step| event(world, step)).collect()
    }

    /// The counts of pools that differ from what stands there.
    pub fn counts(&mut self, watch: &KubeWatch, world: &World) -> Vec<Saying> {
        if !matches!(self.fence, Fence::Open) || self.allocator.rival().is_some() {
            return Vec::new();
        }
        let mut sayings = Vec::new();
        for pool in world.pools() {
            let Some(counts) = self.allocator.counts(&pool.key.name) else { continue };
            let Counts { assigned_v4, assigned_v6, available_v4, available_v6 } = counts;
            let wanted = [assigned_v4, assigned_v6, available_v4, available_v6];
            if assigned_v4 + assigned_v6 > 0 {
                self.used.insert(pool.key.to_string());
            }
            let stands = watch.marks_of(&ObjectKey::AddressPool(pool.key.clone())).and_then(|it| it.counts);
            // A pool that none of ours was given from is another's to count.
            if self.used.contains(&pool.key.to_string()) && stands != Some(wanted) {
                sayings.push(Saying::PoolCounts { pool: PoolKey::clone(&pool.key), counts: wanted });
            }
        }
        sayings
    }

    /// Another leads, or nothing can be decided: what was remembered is read anew when that is over.
    fn stand_down(&mut self, leads: bool) {
        if !leads && !matches!(self.fence, Fence::Closed) {
            self.fence = Fence::Closed;
            self.allocator.start_over();
            self.open.clear();
            self.sent.clear();
        }
    }

    /// Whether all is known that was written before this replica led.
    fn is_level(&mut self, watch: &KubeWatch) -> bool {
        if let (Fence::Closed, Some(giver)) = (&self.fence, &self.giver) {
            self.fence = Fence::Asking(giver.versions());
        }
        if let Fence::Waiting(versions, _) = &mut self.fence {
            versions
                .retain(|service, version| watch.version_of(service).is_none_or(|known| known < *version));
            if versions.is_empty() {
                info!("all that was given is known: giving addresses");
                self.fence = Fence::Open;
            }
        }
        matches!(self.fence, Fence::Open)
    }

    fn write(&mut self, watch: &KubeWatch, world: &World) {
        let Some(giver) = &mut self.giver else { return };
        while giver.has_room() {
            let Some(key) = self.open.pop_first() else { break };
            let Some(service) = world.service(&key) else {
                self.sent.remove(&key);
                continue;
            };
            let Some(version) = watch.version_of(&key).map(|version| version.to_string()) else { continue };
            let Some(saying) = wanted(&self.allocator, service, &version) else {
                self.sent.remove(&key);
                continue;
            };
            // It was written, and the watch has not brought it yet.
            if self.sent.get(&key) == Some(&version) {
                continue;
            }
            self.sent.insert(key.clone(), version);
            giver.write(key, saying);
        }
    }
}

/// What happened.
pub enum Happened {
    /// A write was answered.
    Wrote(ServiceKey, Result<(), String>),
    /// The versions of all Services were read; an empty error: it is time to read them again.
    Asked(Result<BTreeMap<ServiceKey, u64>, String>),
    /// It is time.
    Due,
}

impl Controller {
    /// Whether its addresses are ours to give.
    pub(super) fn is_given(&self, service: &ServiceKey) -> bool {
        self.reconciler.world().service(service).is_some_and(|service| self.giving.takes(service))
    }

    /// Decides on addresses, and writes them.
    pub(super) fn give(&mut self) {
        let now = now();
        let leads = self.knows_cluster() && self.leading.may_write(&self.northbound, now);
        let Cluster::Kube(watch, _) = &self.cluster else { return };
        let (world, network) = (self.reconciler.world(), self.reconciler.network());
        let events = self.giving.settle(watch, world, network, leads, now);
        if !events.is_empty() {
            events.into_iter().for_each(|event| self.voice.tell(event));
            self.voice.stir(now);
            self.say_problems();
        }
    }
}

/// Services that are no LoadBalancers any more, and have addresses of ours in their status.
pub(super) fn left_behind(watch: &KubeWatch, world: &World) -> Vec<Saying> {
    let left = watch.marked(Kind::Service).filter_map(|key| {
        let ObjectKey::Service(service) = key else { return None };
        let is_left = world.service(service).is_none() && watch.marks_of(key)?.given;
        let is_read = watch.problems_of(key).is_empty();
        let version = watch.version_of(service)?.to_string();
        (is_left && is_read).then(|| Saying::Addresses {
            service: service.clone(),
            version,
            addresses: Vec::new(),
            pool: None,
        })
    });
    left.collect()
}

/// What is to stand on a Service, where something else does.
fn wanted(allocator: &Allocator, service: &Service, version: &str) -> Option<Saying> {
    let request = &service.request;
    let (addresses, pool) = match allocator.verdict(&service.key)? {
        Verdict::Has { addresses, pool } => (addresses, Some(pool)),
        Verdict::Waits => (Vec::new(), None),
        Verdict::LeftAlone => return None,
    };
    let differs = request.held != addresses || request.from_pool != pool;
    differs.then(|| Saying::Addresses {
        service: service.key.clone(),
        version: version.to_owned(),
        addresses,
        pool,
    })
}

fn event(world: &World, step: &Step) -> Option<Saying> {
    let all = |addresses: &[std::net::IpAddr]| {
        addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ")
    };
    let (key, warning, reason, note) = match step {
        Step::Given { service, addresses, pool } => {
            let note = format!("{} of IPAddressPool {pool} is its address", all(addresses));
            (service, false, "IPAllocated", note)
        }
        Step::TakenBack { service, addresses, why } => {
            let note = format!("{} was taken back: {why}", all(addresses));
            (service, true, "ClearAssignment", note)
        }
        Step::Refused { service, why } => (service, true, "AllocationFailed", why.to_string()),
    };
    match warning {
        true => warn!(service = %key, reason, "{note}"),
        false => info!(service = %key, reason, "{note}"),
    }
    let service = world.service(key)?;
    let regarding = Regarding::Service(key.clone(), service.uid.clone());
    Some(Saying::Event { regarding, warning, reason: reason.into(), note, about: String::new() })
}
