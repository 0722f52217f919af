//! What is seen of our rows, as decisions read it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use ipnet::IpNet;

use crate::model::{Locality, LspName, Protocol, Unseen};

use super::network::{NetworkDirty, NetworkIndex};

impl NetworkIndex {
    /// Whether a port is bound to a chassis.
    pub fn is_bound(&self, port: &LspName) -> bool {
        self.bindings.contains_key(port)
    }

    /// Whether what was translated to this port's address reaches it by a flow of its own alone: on Kube-OVN's OVN, in a switch
    /// without a router port.
    pub fn is_direct(&self, port: &LspName) -> bool {
        let switch = self.switch_of(port).and_then(|switch| self.network.switches.get(switch));
        switch.is_some_and(|switch| switch.kube_ovn && switch.router_ports.is_empty())
    }

    /// What is not seen of which VIP and port, and which networks OVN does not balance for.
    pub fn put_seen(
        &mut self,
        unseen: BTreeMap<(Protocol, SocketAddr), Unseen>,
        skipped: BTreeSet<IpNet>,
    ) -> NetworkDirty {
        let mut dirty = NetworkDirty::default();
        let network = &mut self.network;
        if network.unseen != unseen {
            let changed = |a: &BTreeMap<_, _>, b: &BTreeMap<(Protocol, SocketAddr), Unseen>| {
                let other = a.iter().filter(|(key, what)| b.get(*key) != Some(*what));
                other.map(|(key, _): (&(Protocol, SocketAddr), &Unseen)| key.1.ip()).collect::<Vec<_>>()
            };
            dirty.addresses.extend(changed(&network.unseen, &unseen));
            dirty.addresses.extend(changed(&unseen, &network.unseen));
            network.unseen = unseen;
        }
        dirty.everything = network.skipped_by_flow != skipped;
        network.skipped_by_flow = skipped;
        dirty
    }

    /// This northd ignores the option that keeps DNAT local: the other one is taken. Where it ignores that too, the first one
    /// stands again, and stays as long as it is the same northd.
    pub fn give_up_locality(&mut self) -> NetworkDirty {
        let network = &mut self.network;
        let Some(locality) = network.locality else { return NetworkDirty::default() };
        let version = network.northd_version.clone();
        if network.given_up.0 != version {
            network.given_up = (version, BTreeSet::new());
        }
        let everything = network.given_up.1.insert(locality);
        if everything {
            network.locality = Some(other(locality));
        }
        let mut dirty = NetworkDirty { everything, ..NetworkDirty::default() };
        self.settle_preference(&mut dirty);
        dirty
    }

    /// Kube-OVN's `prefer_local_backend` keeps nothing on the announcing node where this northd does not know it.
    pub(super) fn settle_preference(&mut self, dirty: &mut NetworkDirty) {
        let ignores = self.network.locality == Some(Locality::Distributed);
        let keys = self.foreign.set_ignores_preference(ignores);
        self.settle_holders(keys, dirty);
    }
}

/// The way to keep DNAT local, but for what this northd was seen to ignore.
pub(super) fn instead(
    chosen: Option<Locality>,
    version: Option<&String>,
    given_up: &(Option<String>, BTreeSet<Locality>),
) -> Option<Locality> {
    let is_given_up = |locality| given_up.0.as_ref() == version && given_up.1.contains(&locality);
    let is_worse = |locality| is_given_up(locality) && !is_given_up(other(locality));
    chosen.map(|locality| if is_worse(locality) { other(locality) } else { locality })
}

fn other(locality: Locality) -> Locality {
    match locality {
        Locality::PreferLocal => Locality::Distributed,
        Locality::Distributed => Locality::PreferLocal,
    }
}
