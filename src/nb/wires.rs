//! How a switch is tied to its wire and to its router: the tag of its localnet ports, the MAC of a foreign router port.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use crate::model::{Mac, VlanId};
use crate::ovsdb::{Datum, Replica, Row};

use super::rows::{ROUTER_PORT, map, text};

/// What a switch port ties its switch to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Tie {
    /// A pod or a machine, or a port of ours.
    #[default]
    None,
    /// The wire, with this tag.
    Wire(Option<VlanId>),
    /// A router that is not ours, by the port that `options:router-port` names (ovn-nb(5)).
    Router(Option<String>),
}

impl Tie {
    /// Reads a row of Logical_Switch_Port.
    pub(super) fn read(row: &Row, is_ours: bool) -> Self {
        match text(row, "type") {
            "localnet" => {
                let tag = row.get("tag").and_then(Datum::as_integer);
                Self::Wire(tag.and_then(|tag| u16::try_from(tag).ok()).and_then(VlanId::new))
            }
            "router" if !is_ours => Self::Router(map(row, "options").remove("router-port")),
            _ => Self::None,
        }
    }
}

/// The MACs of all router ports, by row.
#[derive(Clone, Debug, Default)]
pub(super) struct RouterPorts {
    rows: BTreeMap<Uuid, (String, Option<Mac>)>,
    macs: BTreeMap<String, Option<Mac>>,
}

impl RouterPorts {
    /// Takes a row in, or lets it go; whether that altered anything.
    pub(super) fn put(&mut self, uuid: Uuid, replica: &Replica) -> bool {
        let row = replica.row(ROUTER_PORT, &uuid);
        let new = row.map(|row| (text(row, "name").to_owned(), text(row, "mac").parse().ok()));
        if self.rows.get(&uuid) == new.as_ref() {
            return false;
        }
        if let Some((name, _)) = self.rows.remove(&uuid) {
            self.macs.remove(&name);
        }
        if let Some((name, mac)) = new {
            self.macs.insert(name.clone(), mac);
            self.rows.insert(uuid, (name, mac));
        }
        true
    }

    /// The MAC of the first by name.
    pub(super) fn first(&self, names: &BTreeSet<&str>) -> Option<Mac> {
        names.first().and_then(|name| self.macs.get(*name).copied().flatten())
    }
}
