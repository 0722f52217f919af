//! Who has what, kept in step: Services, uses of addresses, gaps of pools.

use std::net::IpAddr;
use std::sync::Arc;

use super::Step;
use super::allocator::{Allocator, Held, Truth};
use super::uses::Turn;
use super::want::{Want, same};
use super::why::Why;
use crate::model::ServiceKey;

impl Allocator {
    pub(super) fn wait(&mut self, key: &ServiceKey) {
        if self.waiting.insert(key.clone()) {
            self.changed.insert(key.clone());
        }
    }

    pub(super) fn refuse(&mut self, key: &ServiceKey, why: Why) {
        if self.refused.get(key) != Some(&why) {
            self.changed.insert(key.clone());
            self.steps.push(Step::Refused { service: key.clone(), why: why.clone() });
            self.refused.insert(key.clone(), why);
        }
    }

    /// It has these from now on.
    pub(super) fn hold(&mut self, want: &Want<'_>, addresses: Vec<IpAddr>, pool: Arc<str>, truth: Truth) {
        let service = &want.service.key;
        self.waiting.remove(service);
        self.changed.insert(service.clone());
        let held = Held { addresses, pool, key: want.key.clone(), ports: want.ports.clone(), truth };
        if let Some(old) = self.held.get_mut(service)
            && same(&old.addresses, &held.addresses)
            && (&old.key, &old.ports) == (&held.key, &held.ports)
        {
            *old = held;
            return;
        }
        self.release(service);
        for address in &held.addresses {
            if self.uses.add(service, *address, &held.key, &held.ports) == Turn::Turned
                && let Some(pool) = self.pools.holding_mut(*address)
            {
                pool.hold(*address, held.key.shared());
            }
        }
        self.held.insert(service.clone(), held);
    }

    /// Lets go of what it has, by what is remembered.
    pub(super) fn release(&mut self, service: &ServiceKey) -> Option<Held> {
        let held = self.held.remove(service)?;
        for address in &held.addresses {
            let turn = self.uses.remove(service, *address);
            let is_free = !self.aside.contains_key(address);
            let Some(pool) = self.pools.holding_mut(*address) else { continue };
            match turn {
                Turn::Turned => pool.release(*address, held.key.shared(), is_free),
                Turn::Shared => pool.eased(*address, &held.key),
            }
        }
        Some(held)
    }

    pub(super) fn take_back(&mut self, service: &ServiceKey, why: Why) {
        let Some(held) = self.release(service) else { return };
        self.refused.remove(service);
        self.wait(service);
        self.changed.insert(service.clone());
        let addresses = held.addresses;
        self.steps.push(Step::TakenBack { service: service.clone(), addresses, why });
    }

    /// The Service is gone, or somebody else's.
    pub(super) fn forget(&mut self, service: &ServiceKey) -> bool {
        let known = self.waiting.remove(service) | self.left.remove(service).is_some();
        self.refused.remove(service);
        let freed = self.release(service).is_some();
        if known || freed {
            self.changed.insert(service.clone());
        }
        freed
    }
}
