//! Which Services have an address, and on what terms others may have it, too. MetalLB's rules: the same key, the same
//! backends under a local policy, and no port twice.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use super::why::Clash;
use crate::model::{Protocol, ServiceKey};

/// A port in use.
pub(super) type PortKey = (Protocol, u16);

/// On what terms a Service shares.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    /// The annotation's text; empty: it does not.
    pub sharing: Arc<str>,
    /// Its backends, where they count.
    pub backend: Arc<str>,
}

impl Key {
    /// For the look-up of addresses that can be shared; none for a Service that shares nothing.
    pub fn shared(&self) -> Option<&Self> {
        (!self.sharing.is_empty()).then_some(self)
    }
}

/// Who has one address.
#[derive(Clone, Debug, Default)]
struct Use {
    key: Key,
    ports: BTreeMap<PortKey, ServiceKey>,
    services: BTreeSet<ServiceKey>,
}

/// What became of a use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// The address was nobody's before, or is nobody's now.
    Turned,
    /// Others have it, too.
    Shared,
}

/// Every address in use.
#[derive(Clone, Debug, Default)]
pub(super) struct Uses(BTreeMap<IpAddr, Use>);

impl Uses {
    /// The Services that have an address.
    pub fn of(&self, address: IpAddr) -> impl Iterator<Item = &ServiceKey> {
        self.0.get(&address).into_iter().flat_map(|found| &found.services)
    }

    /// Every address in use, with the terms.
    pub fn all(&self) -> impl Iterator<Item = (IpAddr, &Key)> {
        self.0.iter().map(|(address, found)| (*address, &found.key))
    }

    /// Why a Service may not have an address beside those that have it.
    pub fn clash(
        &self,
        service: &ServiceKey,
        address: IpAddr,
        key: &Key,
        ports: &[PortKey],
    ) -> Option<Clash> {
        let found = self.0.get(&address)?;
        let other = found.services.iter().find(|other| *other != service)?;
        let clash = |what| Some(Clash { address, with: other.clone(), what });
        if found.key.sharing.is_empty() || key.sharing.is_empty() || found.key.sharing != key.sharing {
            return clash(super::why::ClashOf::Key);
        }
        if found.key.backend != key.backend {
            return clash(super::why::ClashOf::Backends);
        }
        let mut taken = ports.iter().filter_map(|port| Some((port, found.ports.get(port)?)));
        let (port, owner) = taken.find(|(_, owner)| *owner != service)?;
        Some(Clash { address, with: owner.clone(), what: super::why::ClashOf::Port(port.0, port.1) })
    }

    /// Whether a Service that has nothing yet may have an address that others have.
    pub fn fits(&self, address: IpAddr, ports: &[PortKey]) -> bool {
        self.0.get(&address).is_none_or(|found| !ports.iter().any(|port| found.ports.contains_key(port)))
    }

    /// The Service has the address from now on.
    pub fn add(&mut self, service: &ServiceKey, address: IpAddr, key: &Key, ports: &[PortKey]) -> Turn {
        let turn = if self.0.contains_key(&address) { Turn::Shared } else { Turn::Turned };
        let found = self.0.entry(address).or_default();
        found.key = key.clone();
        found.services.insert(service.clone());
        for port in ports {
            found.ports.entry(*port).or_insert_with(|| service.clone());
        }
        turn
    }

    /// It has it no more.
    pub fn remove(&mut self, service: &ServiceKey, address: IpAddr) -> Turn {
        let Some(found) = self.0.get_mut(&address) else { return Turn::Shared };
        found.services.remove(service);
        found.ports.retain(|_, owner| owner != service);
        if found.services.is_empty() {
            self.0.remove(&address);
            return Turn::Turned;
        }
        Turn::Shared
    }
}
