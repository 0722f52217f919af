//! What is seen of our rows in the southbound, and what follows from it.

use crate::nb::render::locality_option;
use crate::nb::rows::{LOAD_BALANCER, LoadBalancerRow};
use crate::ovsdb::{Replica, RowChange};

use super::Reconciler;

impl Reconciler {
    /// Whether the southbound is followed right now.
    pub fn set_southbound_level(&mut self, level: bool) {
        self.seeing.set_level(level);
        self.look();
    }

    /// Our rows as they were written.
    pub(super) fn put_rows(&mut self, replica: &Replica, changes: &[RowChange]) {
        for change in changes.iter().filter(|change| &*change.table == LOAD_BALANCER) {
            let row = replica.row(LOAD_BALANCER, &change.uuid);
            let ours = row.is_some_and(|row| self.rules.owner.owns_load_balancer(change.uuid, row));
            let row = if ours { LoadBalancerRow::read(replica, change.uuid) } else { None };
            self.seeing.put_row(change.uuid, row);
        }
    }

    /// Compares what was written with what is seen. A way to keep DNAT local that northd ignores is given up for the other.
    pub(super) fn look(&mut self) {
        let index = &self.network;
        let option = index.network().locality.map(locality_option);
        let (is_bound, is_direct) =
            (|port: &str| index.is_bound(&port.into()), |port: &str| index.is_direct(&port.into()));
        self.seeing.advance(self.now, option, is_bound, is_direct);
        if self.seeing.is_ignored() {
            let dirty = self.network.give_up_locality();
            if dirty.everything {
                self.seeing.start_anew();
            }
            self.network_dirty(&dirty);
        }
        let dirty = self.network.put_seen(self.seeing.unseen(), self.seeing.skips());
        self.network_dirty(&dirty);
    }
}
