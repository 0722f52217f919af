//! What one Service wants, and on what terms.

use std::net::IpAddr;

use super::uses::{Key, PortKey};
use super::why::Why;
use crate::model::{Asked, Family, FamilyPolicy, Service};

/// A Service's wish, with all that decides it.
pub(super) struct Want<'s> {
    pub service: &'s Service,
    pub key: Key,
    /// In order, each once.
    pub ports: Vec<PortKey>,
}

impl<'s> Want<'s> {
    pub fn of(service: &'s Service) -> Self {
        let request = &service.request;
        let key = Key { sharing: request.sharing.clone(), backend: request.backend.clone() };
        let mut ports: Vec<PortKey> = service.ports.iter().map(|port| (port.protocol, port.port)).collect();
        ports.sort_unstable();
        ports.dedup();
        Self { service, key, ports }
    }

    /// What is wrong with it before any pool is looked at.
    pub fn fault(&self) -> Option<Why> {
        let request = &self.service.request;
        match (&request.families[..], request.policy) {
            ([], _) => Some(Why::NoClusterIp),
            ([_], FamilyPolicy::RequireDual) => Some(Why::NeedsBothFamilies),
            _ => None,
        }
    }

    /// Whether it is to have both families.
    pub fn is_dual(&self) -> bool {
        self.service.request.families.len() > 1
    }

    /// Whether one family will do, although it is to have both.
    pub fn prefers_dual(&self) -> bool {
        self.is_dual() && self.service.request.policy == FamilyPolicy::PreferDual
    }

    /// Whether these families are what its cluster IPs ask for.
    pub fn takes_families_of(&self, addresses: &[IpAddr]) -> bool {
        let wanted = &self.service.request.families;
        let mut found: Vec<Family> = addresses.iter().map(|address| Family::of(*address)).collect();
        found.sort_unstable();
        found.dedup();
        if found.len() != addresses.len() || found.is_empty() {
            return false;
        }
        let mut sorted = wanted.clone();
        sorted.sort_unstable();
        found == sorted || (self.prefers_dual() && found.len() == 1)
    }

    /// The addresses that it asks for.
    pub fn asked(&self) -> Result<Option<&'s [IpAddr]>, Why> {
        match &self.service.request.asked {
            Asked::Any => Ok(None),
            Asked::Addresses(addresses) => Ok(Some(addresses)),
            Asked::Unreadable(words) => Err(Why::Unreadable(words.clone())),
        }
    }
}

/// Whether two lists have the same addresses, in any order.
pub(super) fn same(one: &[IpAddr], other: &[IpAddr]) -> bool {
    one.len() == other.len() && one.iter().all(|address| other.contains(address))
}
