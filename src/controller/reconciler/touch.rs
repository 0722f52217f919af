//! What a change of the northbound may have altered of ours.

use crate::nb::rows::{ACL, GROUP, LOAD_BALANCER, ROUTER, ROUTER_PORT, SWITCH, SWITCH_PORT};
use crate::ovsdb::{ChangeKind, Datum, Replica, RowChange};

use super::Reconciler;

impl Reconciler {
    /// Marks what a change of the northbound may have altered of ours: somebody deleted or edited it.
    pub(super) fn touch(&mut self, replica: &Replica, change: &RowChange) {
        let RowChange { table, uuid, kind, old } = change;
        match &**table {
            LOAD_BALANCER => {
                let row = replica.row(LOAD_BALANCER, uuid);
                let ours = row.is_some_and(|row| self.rules.owner.owns_load_balancer(*uuid, row));
                if ours || self.desired.load_balancers.contains_key(uuid) {
                    self.touched.load_balancers.insert(*uuid);
                }
            }
            GROUP => {
                let left = old.as_ref().and_then(|old| old.get("load_balancer"));
                self.touched.load_balancers.extend(left.into_iter().flat_map(Datum::uuid_members));
                let modified = matches!(kind, ChangeKind::Modified { .. });
                self.touched.members |= !modified && self.subnet_rows.contains(uuid);
                self.touched.subnets |= self.subnet_rows.contains(uuid) && !only_members(kind);
            }
            ACL => {
                let row = replica.row(ACL, uuid).or(old.as_ref());
                self.touched.gates |= row.is_some_and(|row| self.rules.owner.owns_gate(*uuid, row));
            }
            SWITCH => {
                self.touched.gates |= !matches!(kind, ChangeKind::Modified { columns }
                    if columns.iter().all(|column| &**column != "acls"));
                let group = matches!(kind, ChangeKind::Modified { columns }
                    if columns.iter().any(|column| &**column == "load_balancer_group"));
                let left = old.as_ref().and_then(|old| old.get("ports"));
                let ours = left
                    .into_iter()
                    .flat_map(Datum::uuid_members)
                    .any(|port| self.subnet_rows.contains(&port));
                self.touched.subnets |= group || ours;
            }
            SWITCH_PORT | ROUTER | ROUTER_PORT => self.touched.subnets |= self.subnet_rows.contains(uuid),
            _ => {}
        }
    }
}

fn only_members(kind: &ChangeKind) -> bool {
    matches!(kind, ChangeKind::Modified { columns } if columns.iter().all(|column| &**column == "load_balancer"))
}
