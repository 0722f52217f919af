//! Which addresses Services would get.

use std::time::Duration;

use serde_json::{Value, json};

use super::table::Table;
use crate::allocate::{Allocator, Scope, Verdict};
use crate::model::{Change, Network, ServiceKey, World};

/// A Service that would have other addresses than it has, or wants some and gets none.
pub struct Told {
    service: ServiceKey,
    /// What it would have.
    addresses: Vec<String>,
    /// Of which pool.
    pool: String,
    /// Why not, or not others.
    why: String,
}

/// What an allocator makes of a cluster that nobody writes to; and why it gives nothing at all.
pub fn told(scope: Scope, changes: &[Change], network: &Network) -> (Vec<Told>, Option<String>) {
    let (mut allocator, mut world) = (Allocator::new(scope), World::default());
    for change in changes {
        allocator.note(&world, change);
        world.apply(change.clone());
    }
    allocator.settle(&world, Some(network), Duration::ZERO);
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
        let stands = addresses == service.request.held && why.is_empty();
        let addresses = addresses.iter().map(ToString::to_string).collect();
        (!stands).then(|| Told { service: service.key.clone(), addresses, pool, why })
    });
    (told.collect(), None)
}

/// For people; nothing, where there is nothing to tell.
pub fn table(told: &[Told], rival: Option<&str>) -> String {
    if let Some(rival) = rival {
        return format!("\nno address would be given: {rival}\n");
    }
    let mut table = Table::new(&["SERVICE", "WOULD HAVE", "OF POOL"]);
    for Told { service, addresses, pool, why } in told {
        let below = if why.is_empty() { vec![] } else { vec![why.clone()] };
        let addresses = if addresses.is_empty() { "none".to_owned() } else { addresses.join(" ") };
        table.push(vec![service.to_string(), addresses, pool.clone()], below);
    }
    if told.is_empty() { String::new() } else { format!("\n{table}") }
}

/// For programs.
pub fn as_json(told: &[Told]) -> Value {
    let one = |it: &Told| json!({ "service": it.service.to_string(), "addresses": it.addresses, "pool": it.pool, "why": it.why });
    told.iter().map(one).collect()
}
