//! Load balancer rows that are not ours: whose they are, and which VIP and port is left to them (ADR 0024).
//!
//! Given rows and the time; decides nothing about Services. [`kind`] knows a row by what it is, [`templates`] the
//! addresses behind template variables, [`patience`] what a key that comes and goes is worth, [`preferring`] which keys are
//! dark in rows that should keep them on the announcing node.

mod kind;
mod patience;
mod preferring;
mod templates;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use uuid::Uuid;

use crate::model::{Holder, LspName, NativeRow, Protocol};
use crate::ovsdb::{Replica, Row};

use kind::holders;
pub use kind::is_kube_ovns;
use patience::Patience;
use preferring::Preferring;
use templates::Templates;

/// A VIP and port, of a protocol.
pub type Key = (Protocol, SocketAddr);

/// Every foreign row, and what it holds.
#[derive(Clone, Debug, Default)]
pub struct Foreign {
    rows: BTreeMap<Uuid, (String, BTreeMap<Key, Holder>)>,
    holding: BTreeMap<Key, BTreeSet<NativeRow>>,
    templates: Templates,
    patience: Patience,
    preferring: Preferring,
}

impl Foreign {
    /// Takes a row in, or its end; the keys that it says something about.
    pub fn put(&mut self, uuid: Uuid, row: Option<&Row>, replica: &Replica) -> BTreeSet<Key> {
        self.templates.put(uuid, row, replica);
        self.settle(uuid, row)
    }

    /// Takes a row of Chassis_Template_Var in, or its end; the keys that it says something about.
    pub fn put_variables(
        &mut self,
        chassis: Uuid,
        variables: Option<&Row>,
        replica: &Replica,
    ) -> BTreeSet<Key> {
        let rows = self.templates.put_variables(chassis, variables);
        let row = |uuid| replica.row(super::rows::LOAD_BALANCER, &uuid);
        rows.into_iter().flat_map(|uuid| self.settle(uuid, row(uuid))).collect()
    }

    /// It is this late, since the start; the keys about which time says something.
    pub fn advance(&mut self, now: Duration) -> BTreeSet<Key> {
        let mut keys = self.preferring.advance(now);
        keys.extend(self.patience.advance(now));
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

    /// Who has a key: no row of ours may have it, unless the holder lets it go.
    pub fn holder(&self, key: &Key) -> Option<NativeRow> {
        let held = self.patience.judge(key, self.holding.get(key).and_then(BTreeSet::first))?;
        match held.holder {
            Holder::Awaited if self.preferring.is_dark(held.uuid, key) => None,
            _ => Some(self.as_served(key, held)),
        }
    }

    /// What nobody serves, northd hands to every node, or to none: it is ours at once, each time.
    fn as_served(&self, key: &Key, held: NativeRow) -> NativeRow {
        let is_dark = held.holder == Holder::KubeOvn && self.preferring.is_dark(held.uuid, key);
        if is_dark { NativeRow { holder: Holder::Leftover, ..held } } else { held }
    }

    fn settle(&mut self, uuid: Uuid, row: Option<&Row>) -> BTreeSet<Key> {
        let new = row.map(|row| holders(row, self.templates.keys(uuid)));
        let new = new.unwrap_or_default();
        let old = self.rows.remove(&uuid).unwrap_or_default();
        let name = row.map_or(old.0.clone(), |row| super::rows::text(row, "name").to_owned());
        let keys = old.1.keys().chain(new.keys());
        let is_other = |key: &&Key| name != old.0 || old.1.get(key) != new.get(key);
        let mut touched: BTreeSet<Key> = keys.filter(is_other).copied().collect();
        for key in &touched {
            // As it was judged before this change of the row.
            let before = self.holding.get(key).and_then(BTreeSet::first).cloned();
            let before = before.map(|held| self.as_served(key, held));
            let at_key = self.holding.entry(*key).or_default();
            at_key.retain(|held| held.uuid != uuid);
            at_key.extend(new.get(key).map(|holder| NativeRow { holder: *holder, uuid, name: name.clone() }));
            self.patience.saw(*key, before, at_key.first(), row.is_none());
            if at_key.is_empty() {
                self.holding.remove(key);
            }
        }
        touched.extend(self.preferring.put(uuid, row, new.keys()));
        if !new.is_empty() {
            self.rows.insert(uuid, (name, new));
        }
        touched
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
