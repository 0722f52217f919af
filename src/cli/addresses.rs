//! Which addresses Services would get, and why those have none that ovn-vip is to give one.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::table::Table;
use crate::allocate::{Allocator, Scope, Verdict};
use crate::model::{Change, Network, ServiceKey, World};
use crate::plan::Finding;

/// So many that keep what they have are told one by one.
const MOST: usize = 10;

/// A Service that gets its addresses from ovn-vip.
pub struct Told {
    service: ServiceKey,
    /// What it would have.
    addresses: Vec<String>,
    /// Of which pool.
    pool: String,
    /// Why not, or not others.
    why: String,
    /// It has them already, and nothing else is to be said.
    keeps: bool,
}

/// What an allocator makes of a cluster that nobody writes to; and why it gives nothing at all.
pub fn told(scope: Scope, changes: &[Change], network: Option<&Network>) -> (Vec<Told>, Option<String>) {
    let (allocator, world) = settled(scope, changes, network);
    if let Some(rival) = allocator.rival() {
        let waits = world.services().any(|it| allocator.takes(it) && it.request.held.is_empty());
        return (Vec::new(), waits.then(|| rival.to_string()));
    }
    let told = world.services().filter_map(|service| {
        let why = allocator.why(&service.key).map(ToString::to_string).unwrap_or_default();
        let (addresses, pool) = match allocator.verdict(&service.key)? {
            Verdict::Has { addresses, pool } => (addresses, pool.to_string()),
            Verdict::Waits => (Vec::new(), String::new()),
            Verdict::LeftAlone => (service.request.held.clone(), String::new()),
        };
        let keeps = addresses == service.request.held && why.is_empty();
        let addresses = addresses.iter().map(ToString::to_string).collect();
        Some(Told { service: service.key.clone(), addresses, pool, why, keeps })
    });
    (told.collect(), None)
}

fn settled(scope: Scope, changes: &[Change], network: Option<&Network>) -> (Allocator, World) {
    let (mut allocator, mut world) = (Allocator::new(scope), World::default());
    for change in changes {
        allocator.note(&world, change);
        world.apply(change.clone());
    }
    allocator.settle(&world, network, Duration::ZERO);
    (allocator, world)
}

/// Whether anybody would get other addresses, or is told why not.
pub fn anything_new(told: &[Told]) -> bool {
    told.iter().any(|it| !it.keeps)
}

/// Why a Service without an address has none, and what to do.
pub struct Lack {
    /// What is so.
    pub is: String,
    /// What to do.
    pub cure: String,
}

/// What to ask where nothing is in the way.
const CONTROLLER: &str = "does ovn-vip-controller run, with this --allocate, and has it a leader (`kubectl -n kube-system get lease ovn-vip-controller`)?";

/// The short name of [`Lack`], as the controller's condition has it.
pub const NO_ADDRESS: &str = "NoAddress";

/// The Services that ovn-vip is to give an address, and that have none.
pub fn lacks(scope: Scope, changes: &[Change], network: Option<&Network>) -> BTreeMap<ServiceKey, Lack> {
    if scope == Scope::Off {
        return BTreeMap::new();
    }
    let (allocator, world) = settled(scope, changes, network);
    let rival = allocator.rival();
    let waiting = world.services().filter(|it| allocator.takes(it) && it.request.held.is_empty());
    let lacks = waiting.map(|service| {
        let halves = match (&rival, allocator.why(&service.key), allocator.verdict(&service.key)) {
            (Some(rival), ..) => {
                let told = rival.told(service);
                told.split_once(": ").map_or((told.clone(), String::new()), |(is, cure)| (is.into(), cure.into()))
            }
            (None, Some(why), _) => why.halves(),
            (None, None, Some(Verdict::Has { addresses, pool })) => {
                let addresses = addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ");
                let is = format!("it has no address yet; ovn-vip's controller would give it {addresses} of IPAddressPool {pool}");
                (is, CONTROLLER.to_owned())
            }
            (None, None, Some(Verdict::Waits | Verdict::LeftAlone) | None) => {
                ("it has no address yet".to_owned(), CONTROLLER.to_owned())
            }
        };
        let lack = Lack { is: halves.0, cure: halves.1 };
        (service.key.clone(), lack)
    });
    lacks.collect()
}

/// What `check` says of those that have no VIP, where the address is ovn-vip's to give: MetalLB is not to be asked for it.
pub fn explain_lacks(findings: &mut [Finding], lacks: &BTreeMap<ServiceKey, Lack>) {
    let named: BTreeMap<String, &Lack> =
        lacks.iter().map(|(key, lack)| (format!("Service {key}"), lack)).collect();
    for finding in findings.iter_mut().filter(|finding| finding.reason == "NoVip") {
        let Some(lack) = named.get(&finding.object) else { continue };
        finding.reason = NO_ADDRESS;
        (finding.message, finding.cure) = (lack.is.clone(), lack.cure.clone());
    }
}

/// For people; nothing, where there is nothing to tell.
pub fn table(told: &[Told], rival: Option<&str>) -> String {
    if let Some(rival) = rival {
        return format!("\nno address would be given: {rival}\n");
    }
    if told.is_empty() {
        return String::new();
    }
    let mut table = Table::new(&["SERVICE", "WOULD HAVE", "OF POOL"]);
    let keepers = told.iter().filter(|it| it.keeps).count();
    let mut shown = 0;
    for Told { service, addresses, pool, why, keeps } in told {
        shown += usize::from(*keeps);
        if *keeps && shown > MOST {
            continue;
        }
        let below = if why.is_empty() { vec![] } else { vec![why.clone()] };
        let addresses = if addresses.is_empty() { "none".to_owned() } else { addresses.join(" ") };
        let addresses = if *keeps { format!("keeps {addresses}") } else { addresses };
        table.push(vec![service.to_string(), addresses, pool.clone()], below);
    }
    let more = keepers.saturating_sub(MOST);
    let more =
        if more == 0 { String::new() } else { format!("and {more} more Services keep what they have\n") };
    format!("\n{table}{more}")
}

/// For programs.
pub fn as_json(told: &[Told]) -> Value {
    let one = |it: &Told| {
        json!({ "service": it.service.to_string(), "addresses": it.addresses, "pool": it.pool, "why": it.why,
            "keeps": it.keeps })
    };
    told.iter().map(one).collect()
}
