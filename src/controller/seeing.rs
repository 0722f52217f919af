//! Believing only what is seen: rows that were written, against the southbound's flows, with patience. No I/O; time is handed in.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use uuid::Uuid;

use crate::model::{Protocol, Unseen};
use crate::nb::flows::{About, Flows, Seen, hint_of};
use crate::nb::rows::{LOGICAL_FLOW, LoadBalancerRow};
use crate::ovsdb::{Replica, RowChange};

/// How long northd may take from a row to its flows. At 5,000 Services a full recompute takes 0.2 s; a cluster's first one
/// some seconds. A doubt is told, and nothing is taken away for it.
const PATIENCE: Duration = Duration::from_secs(3);

/// A row that was written, and what is not seen of it yet.
#[derive(Debug)]
struct Written {
    row: LoadBalancerRow,
    /// What is not as it should be, and since when.
    doubts: BTreeMap<SocketAddr, (Unseen, Duration)>,
    /// Some VIP of it is kept on the node.
    local: bool,
}

/// Our rows and their flows.
#[derive(Debug, Default)]
pub(super) struct Seeing {
    now: Duration,
    /// The southbound is followed: what is not there is not there.
    level: bool,
    flows: Flows,
    rows: BTreeMap<Uuid, Written>,
    hinted: BTreeMap<u32, BTreeSet<Uuid>>,
    /// By the address of a backend the rows that have it.
    balanced: BTreeMap<IpAddr, BTreeSet<Uuid>>,
    dirty: BTreeSet<Uuid>,
    /// Those with doubts.
    doubted: BTreeSet<Uuid>,
}

impl Seeing {
    /// Whether the southbound is followed right now. Nothing is concluded from what was seen before.
    pub(super) fn set_level(&mut self, level: bool) {
        if self.level != level {
            self.level = level;
            self.start_anew();
        }
    }

    /// Looks at all of it anew: other rows are to come.
    pub(super) fn start_anew(&mut self) {
        self.rows.values_mut().for_each(|written| written.doubts.clear());
        self.doubted.clear();
        self.dirty.extend(self.rows.keys());
    }

    /// A row of ours as the northbound has it.
    pub(super) fn put_row(&mut self, uuid: Uuid, row: Option<LoadBalancerRow>) {
        let old = self.rows.get(&uuid).map(|written| addresses(&written.row)).unwrap_or_default();
        let new = row.as_ref().map(addresses).unwrap_or_default();
        for address in old.difference(&new) {
            if let Some(rows) = self.balanced.get_mut(address) {
                rows.remove(&uuid);
                if rows.is_empty() {
                    self.balanced.remove(address);
                }
            }
        }
        for address in new.difference(&old) {
            self.balanced.entry(*address).or_default().insert(uuid);
        }
        let hinted = self.hinted.entry(hint_of(uuid)).or_default();
        match row {
            Some(row) => {
                hinted.insert(uuid);
                self.rows.insert(uuid, Written { row, doubts: BTreeMap::new(), local: false });
                self.dirty.insert(uuid);
            }
            None => {
                hinted.remove(&uuid);
                if hinted.is_empty() {
                    self.hinted.remove(&hint_of(uuid));
                }
                self.rows.remove(&uuid);
            }
        }
    }

    /// Takes changes of the southbound in.
    pub(super) fn southbound_changed(&mut self, replica: &Replica, changes: &[RowChange]) {
        for change in changes.iter().filter(|change| &*change.table == LOGICAL_FLOW) {
            let rows = match self.flows.put(replica, change) {
                Some(About::Row(hint)) => self.hinted.get(&hint),
                Some(About::Pod(address)) => self.balanced.get(&address),
                None => None,
            };
            self.dirty.extend(rows.into_iter().flatten());
        }
        self.dirty.extend(&self.doubted);
    }

    /// The networks that OVN does not balance for, whatever its options say now.
    pub(super) fn skips(&self) -> BTreeSet<ipnet::IpNet> {
        self.flows.skips()
    }

    /// It is this late. Looks at what changed; `option` is what keeps DNAT
    /// local there, `is_bound` whether a port is on any node, `is_direct` whether only a flow of its own brings what was
    /// translated to it.
    pub(super) fn advance(
        &mut self,
        now: Duration,
        option: Option<&str>,
        is_bound: impl Fn(&str) -> bool,
        is_direct: impl Fn(&str) -> bool,
    ) {
        self.now = now;
        if !self.level {
            return;
        }
        for uuid in std::mem::take(&mut self.dirty) {
            self.doubted.remove(&uuid);
            let Some(written) = self.rows.get_mut(&uuid) else { continue };
            let since = std::mem::take(&mut written.doubts);
            written.local = false;
            let asked = option.is_some_and(|option| written.row.options.contains_key(option));
            for (key, backends) in served(&written.row) {
                let seen = self.flows.seen(uuid, key, &backends);
                written.local |= seen == Seen::Local;
                let bound =
                    || backends.iter().any(|backend| mapped(&written.row, *backend).is_some_and(&is_bound));
                let is_lost = |backend: &SocketAddr| {
                    let port = mapped(&written.row, *backend).filter(|port| is_direct(port));
                    port.is_some_and(|port| !self.flows.is_forwarded(backend.ip(), port))
                };
                let doubt = match seen {
                    Seen::Nothing => Unseen::Flows,
                    Seen::Anywhere if asked && bound() => Unseen::Locality,
                    Seen::Anywhere | Seen::Local if backends.iter().any(is_lost) => Unseen::Pod,
                    Seen::Anywhere | Seen::Local => continue,
                };
                let began =
                    since.get(&key).filter(|(before, _)| *before == doubt).map_or(now, |(_, began)| *began);
                written.doubts.insert(key, (doubt, began));
                self.doubted.insert(uuid);
            }
        }
    }

    /// What has not been seen for long enough.
    pub(super) fn unseen(&self) -> BTreeMap<(Protocol, SocketAddr), Unseen> {
        let doubts = self.doubted().flat_map(|written| {
            let protocol = protocol(&written.row);
            written.doubts.iter().filter_map(move |(key, doubt)| Some(((protocol?, *key), doubt)))
        });
        let lasting = doubts.filter(|(_, (_, since))| self.now >= *since + PATIENCE);
        lasting.map(|(key, (doubt, _))| (key, *doubt)).collect()
    }

    /// Whether northd took rows up and kept none of them on the nodes: it does not know the option.
    pub(super) fn is_ignored(&self) -> bool {
        self.unseen().values().any(|unseen| *unseen == Unseen::Locality)
            && !self.rows.values().any(|written| written.local)
    }

    fn doubted(&self) -> impl Iterator<Item = &Written> {
        self.doubted.iter().filter_map(|uuid| self.rows.get(uuid))
    }

    /// When [`Seeing::unseen`] may be otherwise, with nothing new to see.
    pub(super) fn due(&self) -> Option<Duration> {
        let doubts = self.doubted().flat_map(|written| written.doubts.values());
        doubts.map(|(_, since)| *since + PATIENCE).filter(|due| self.now < *due).min()
    }
}

/// The addresses of a row's backends.
fn addresses(row: &LoadBalancerRow) -> BTreeSet<IpAddr> {
    served(row).into_iter().flat_map(|(_, backends)| backends).map(|backend| backend.ip()).collect()
}

/// The VIPs of a row that have backends.
fn served(row: &LoadBalancerRow) -> Vec<(SocketAddr, BTreeSet<SocketAddr>)> {
    let served = row.vips.iter().filter_map(|(key, backends)| {
        let backends: BTreeSet<SocketAddr> =
            backends.split(',').filter_map(|backend| backend.trim().parse().ok()).collect();
        (!backends.is_empty()).then_some((key.parse().ok()?, backends))
    });
    served.collect()
}

/// The switch port of a backend, by the row's own mapping.
fn mapped(row: &LoadBalancerRow, backend: SocketAddr) -> Option<&str> {
    let address = backend.ip();
    let key = if address.is_ipv6() { format!("[{address}]") } else { address.to_string() };
    let port = row.ip_port_mappings.get(&key)?;
    Some(port.strip_suffix(":0.0.0.0").unwrap_or(port))
}

fn protocol(row: &LoadBalancerRow) -> Option<Protocol> {
    [Protocol::Tcp, Protocol::Udp, Protocol::Sctp]
        .into_iter()
        .find(|protocol| protocol.as_str() == row.protocol)
}
