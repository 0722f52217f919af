//! Load balancer rows that are not ours: whose they are, and which VIP and port is left to them on which switch (ADR 0024).
//!
//! Given rows and the time; decides nothing about Services. [`kind`] knows a row by what it is, [`templates`] the
//! addresses behind template variables, [`patience`] what a key that comes and goes is worth, [`preferring`] which keys are
//! dark in rows that should keep them on the announcing node, [`suspects`] which ports such rows name in vain where no southbound tells.

mod kind;
mod patience;
mod preferring;
mod suspects;
mod templates;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use uuid::Uuid;

use crate::model::{Holder, LspName, NativeRow, Protocol, SubnetName};
use crate::ovsdb::{Replica, Row};

use kind::holders;
pub use kind::is_kube_ovns;
use patience::Patience;
use preferring::Preferring;
use templates::Templates;

/// A VIP and port, of a protocol.
pub type Key = (Protocol, SocketAddr);

/// A key, on a switch.
type Place = (Key, SubnetName);

/// Every foreign row, and what it holds.
#[derive(Clone, Debug, Default)]
pub struct Foreign {
    rows: BTreeMap<Uuid, Held>,
    holding: BTreeMap<Key, BTreeMap<SubnetName, BTreeSet<NativeRow>>>,
    templates: Templates,
    patience: Patience,
    preferring: Preferring,
}

/// What a row says.
#[derive(Clone, Debug, Default)]
struct Held {
    name: String,
    holders: BTreeMap<Key, Holder>,
    on: BTreeSet<SubnetName>,
}

impl Held {
    fn at(&self, key: &Key, switch: &SubnetName) -> Option<Holder> {
        self.holders.get(key).filter(|_| self.on.contains(switch)).copied()
    }
}

impl Foreign {
    /// Takes a row in that is on these switches, or its end; the keys that it says something about.
    pub fn put(
        &mut self,
        uuid: Uuid,
        row: Option<&Row>,
        on: BTreeSet<SubnetName>,
        replica: &Replica,
    ) -> BTreeSet<Key> {
        self.templates.put(uuid, row, replica);
        let row = row.filter(|_| !on.is_empty());
        let new = row.map(|row| Held {
            name: super::rows::text(row, "name").to_owned(),
            holders: holders(row, self.templates.keys(uuid)),
            on,
        });
        let new = new.unwrap_or_default();
        let mut touched = self.preferring.put(uuid, row, new.holders.keys());
        let old = self.rows.remove(&uuid).unwrap_or_default();
        touched.extend(self.settle(uuid, &old, &new));
        if !new.holders.is_empty() {
            self.rows.insert(uuid, new);
        }
        touched
    }

    /// Takes a row of Chassis_Template_Var in, or its end; the rows that are to be put again.
    pub fn put_variables(&mut self, chassis: Uuid, variables: Option<&Row>) -> BTreeSet<Uuid> {
        self.templates.put_variables(chassis, variables)
    }

    /// It is this late, since the start; the keys about which time says something.
    pub fn advance(&mut self, now: Duration) -> BTreeSet<Key> {
        let mut keys = self.preferring.advance(now);
        keys.extend(self.patience.advance(now).into_iter().map(|(key, _)| key));
        keys
    }

    /// When time will say something, since the start.
    pub fn due(&self) -> Option<Duration> {
        [self.patience.due(), self.preferring.due()].into_iter().flatten().min()
    }

    /// Whether this northd does not know `prefer_local_backend`; the keys that it says something about.
    pub fn set_ignores_preference(&mut self, ignores: bool) -> BTreeSet<Key> {
        let is_news = self.preferring.set_ignored(ignores);
        if is_news { self.holding.keys().copied().collect() } else { BTreeSet::new() }
    }

    /// Whether the southbound tells where ports are; the keys that it says something about.
    pub fn set_southbound_known(&mut self, known: bool) -> BTreeSet<Key> {
        self.preferring.set_southbound_known(known)
    }

    /// Whether a node's own port is bound to a chassis; the keys that it says something about.
    pub fn put_node_port(&mut self, port: &LspName, bound: bool) -> BTreeSet<Key> {
        self.preferring.put_node_port(port, bound)
    }

    /// Who has a key, on each switch where somebody has: no row of ours may have it there, unless the holder lets it go.
    pub fn holders(&self, key: &Key) -> BTreeMap<SubnetName, NativeRow> {
        let held = self.holding.get(key).into_iter().flat_map(BTreeMap::keys);
        let switches: BTreeSet<&SubnetName> = held.chain(self.patience.switches(key)).collect();
        let holder = |switch: &SubnetName| self.holder((*key, switch.clone()));
        switches.into_iter().filter_map(|switch| Some((switch.clone(), holder(switch)?))).collect()
    }

    fn holder(&self, place: Place) -> Option<NativeRow> {
        let held = self.patience.judge(&place, self.first(&place))?;
        match held.holder {
            Holder::Awaited { .. } if self.preferring.is_dark(held.uuid, &place.0) => None,
            _ => Some(self.as_served(&place.0, held)),
        }
    }

    fn first(&self, (key, switch): &Place) -> Option<&NativeRow> {
        self.holding.get(key)?.get(switch)?.first()
    }

    /// What nobody serves, northd hands to every node, or to none: it is ours at once, each time.
    fn as_served(&self, key: &Key, held: NativeRow) -> NativeRow {
        let is_dark = held.holder == Holder::KubeOvn && self.preferring.is_dark(held.uuid, key);
        if is_dark { NativeRow { holder: Holder::Leftover, ..held } } else { held }
    }

    fn settle(&mut self, uuid: Uuid, old: &Held, new: &Held) -> BTreeSet<Key> {
        let keys = old.holders.keys().chain(new.holders.keys());
        let (is_named, is_on) = (old.name != new.name, old.on != new.on);
        let is_other = |key: &&Key| is_named || is_on || old.holders.get(key) != new.holders.get(key);
        let touched: BTreeSet<Key> = keys.filter(is_other).copied().collect();
        let switches: BTreeSet<&SubnetName> = old.on.union(&new.on).collect();
        for key in &touched {
            for switch in &switches {
                let held = new.at(key, switch);
                if !is_named && old.at(key, switch) == held {
                    continue;
                }
                let held = held.map(|holder| NativeRow { holder, uuid, name: new.name.clone() });
                self.put_at((*key, (*switch).clone()), uuid, held, !new.on.contains(*switch));
            }
        }
        touched
    }

    /// A row has a key on a switch, or no longer; it may be gone from there with all its keys.
    fn put_at(&mut self, place: Place, uuid: Uuid, held: Option<NativeRow>, with_its_row: bool) {
        // As it was judged before this change of the row.
        let before = self.first(&place).cloned().map(|held| self.as_served(&place.0, held));
        let switches = self.holding.entry(place.0).or_default();
        let rows = switches.entry(place.1.clone()).or_default();
        rows.retain(|held| held.uuid != uuid);
        rows.extend(held);
        let after = rows.first().cloned();
        if rows.is_empty() {
            switches.remove(&place.1);
        }
        if switches.is_empty() {
            self.holding.remove(&place.0);
        }
        self.patience.saw(place, before, after.as_ref(), with_its_row);
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
