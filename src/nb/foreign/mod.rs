//! Load balancer rows that are not ours: whose they are, and which VIP and port is left to them (ADR 0024).
//!
//! Given rows and the time; decides nothing about Services. [`kind`] knows a row by what it is, [`templates`] the
//! addresses behind template variables, [`patience`] what a key that comes and goes is worth.

mod kind;
mod patience;
mod templates;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use uuid::Uuid;

use crate::model::{Holder, NativeRow, Protocol};
use crate::ovsdb::{Replica, Row};

pub use kind::is_kube_ovns;
use kind::{holders, prefers_local};
use patience::Patience;
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
    /// Kube-OVN's rows that serve by `prefer_local_backend` alone, and whether this northd knows that.
    preferring: BTreeSet<Uuid>,
    ignores_preference: bool,
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
        self.patience.advance(now)
    }

    /// When time will say something, since the start.
    pub fn due(&self) -> Option<Duration> {
        self.patience.due()
    }

    /// Whether this northd does not know `prefer_local_backend`; the keys that it says something about.
    pub fn set_ignores_preference(&mut self, ignores: bool) -> BTreeSet<Key> {
        if std::mem::replace(&mut self.ignores_preference, ignores) == ignores {
            return BTreeSet::new();
        }
        self.holding.keys().copied().collect()
    }

    /// Who has a key: no row of ours may have it, unless the holder lets it go.
    pub fn holder(&self, key: &Key) -> Option<NativeRow> {
        let held = self.patience.judge(key, self.holding.get(key).and_then(BTreeSet::first))?;
        let is_dark = self.ignores_preference && self.preferring.contains(&held.uuid);
        match held.holder {
            // Nobody serves it: northd balances it to every node, where it is lost. It is ours at once, each time.
            Holder::KubeOvn if is_dark => Some(NativeRow { holder: Holder::Leftover, ..held }),
            Holder::Awaited if is_dark => None,
            _ => Some(held),
        }
    }

    fn settle(&mut self, uuid: Uuid, row: Option<&Row>) -> BTreeSet<Key> {
        let new = row.map(|row| holders(row, self.templates.keys(uuid)));
        let new = new.unwrap_or_default();
        let turned = match row.is_some_and(prefers_local) {
            true => self.preferring.insert(uuid),
            false => self.preferring.remove(&uuid),
        };
        let old = self.rows.remove(&uuid).unwrap_or_default();
        let name = row.map_or(old.0.clone(), |row| super::rows::text(row, "name").to_owned());
        let keys = old.1.keys().chain(new.keys());
        let is_other = |key: &&Key| turned || name != old.0 || old.1.get(key) != new.get(key);
        let touched: BTreeSet<Key> = keys.filter(is_other).copied().collect();
        for key in &touched {
            let before = self.holding.get(key).and_then(BTreeSet::first).cloned();
            let at_key = self.holding.entry(*key).or_default();
            at_key.retain(|held| held.uuid != uuid);
            at_key.extend(new.get(key).map(|holder| NativeRow { holder: *holder, uuid, name: name.clone() }));
            self.patience.saw(*key, before, at_key.first(), row.is_none());
            if at_key.is_empty() {
                self.holding.remove(key);
            }
        }
        if !new.is_empty() {
            self.rows.insert(uuid, (name, new));
        }
        touched
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
