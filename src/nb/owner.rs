//! The marks by which we know our rows: what we may touch, and nothing else.

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::model::{Protocol, ServiceKey, SubnetName};
use crate::ovsdb::{Datum, Replica, Row, RowChange};

use super::rows::ACL;

/// `external_ids` key: the cluster's name.
pub const CLUSTER: &str = "ovn-vip.io/cluster";
/// `external_ids` key: the Service, as `namespace/name`.
pub const SERVICE: &str = "ovn-vip.io/service";
/// `external_ids` key: the Service's `metadata.uid`.
pub const UID: &str = "ovn-vip.io/uid";
/// `external_ids` key: the Subnet that a router or router port is for.
pub const SUBNET: &str = "ovn-vip.io/subnet";

/// The namespace of our row names (RFC 9562 §5.5); drawn once, never to change.
const NAMESPACE: Uuid = Uuid::from_u128(0x8f0c_1d5e_6a2b_4c3d_9e47_0d1a_5b6c_7f82);

/// One cluster's ownership of rows: their marks, and their names in the database.
///
/// A row that is gone never comes back under the same UUID: an ovn-northd that sees it go and come in one batch
/// keeps no load balancer, and 26.03.1 ends at the row's next update (measured). So a row's UUID is derived from
/// what it is for *and* a generation, which goes on by one when the row is seen to go; and a row that is there
/// already, from an earlier process, is known by its marks and kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    cluster: String,
    first_generation: u32,
    generations: BTreeMap<RowKey, u32>,
    /// Rows that are there, and are not named by the generation.
    adopted: BTreeMap<RowKey, Uuid>,
    /// Every row of ours that was seen, also if it has lost its marks since.
    known: BTreeMap<Uuid, RowKey>,
}

/// What a row of ours is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RowKey {
    /// The Load_Balancer of a Service and protocol.
    LoadBalancer(ServiceKey, Protocol),
    /// One of a subnet's rows.
    Subnet(SubnetName, SubnetRow),
    /// An ACL that keeps clients inside a subnet from a Service.
    Gate(ServiceKey, SubnetName, GateRow),
    /// An ACL that keeps clients outside a subnet from its closed VIPs.
    Outside(SubnetName, GateRow),
}

/// The rows of a gate: two that have one match, and one that comes before them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum GateRow {
    /// Past connection tracking and the load balancer.
    Bypass,
    /// To its end.
    Drop,
    /// Past both of them, from a router port.
    Pass,
}

impl GateRow {
    /// All of them.
    pub const ALL: [GateRow; 3] = [GateRow::Bypass, GateRow::Drop, GateRow::Pass];
    /// Those that close.
    pub const CLOSING: [GateRow; 2] = [GateRow::Bypass, GateRow::Drop];

    /// `ACL.action` (ovn-nb(5)).
    pub fn action(self) -> &'static str {
        match self {
            GateRow::Bypass => "allow-stateless",
            GateRow::Drop => "drop",
            GateRow::Pass => "pass",
        }
    }
}

/// The rows that we keep for a subnet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SubnetRow {
    /// Load_Balancer_Group.
    Group,
    /// Logical_Router.
    Router,
    /// Logical_Router_Port.
    RouterPort,
    /// Logical_Switch_Port, of type router.
    SwitchPort,
}

impl Owner {
    /// The owner of this cluster's rows. Two processes must not begin with one generation: the rows of the former
    /// may have gone a moment ago.
    pub fn new(cluster: &str, first_generation: u32) -> Self {
        Self {
            cluster: cluster.to_owned(),
            first_generation,
            generations: BTreeMap::new(),
            adopted: BTreeMap::new(),
            known: BTreeMap::new(),
        }
    }

    /// The cluster's name.
    pub fn cluster(&self) -> &str {
        &self.cluster
    }

    /// The row of a Service and protocol: the one that is there, else the one to make.
    pub fn load_balancer(&self, service: &ServiceKey, protocol: Protocol) -> Uuid {
        self.row(&RowKey::LoadBalancer(service.clone(), protocol))
    }

    /// One of a subnet's rows, likewise.
    pub fn subnet_row(&self, subnet: &SubnetName, row: SubnetRow) -> Uuid {
        self.row(&RowKey::Subnet(subnet.clone(), row))
    }

    /// One of a gate's rows, likewise.
    pub fn gate(&self, key: &RowKey) -> Uuid {
        self.row(key)
    }

    fn row(&self, key: &RowKey) -> Uuid {
        let generation = self.generations.get(key).copied().unwrap_or(self.first_generation);
        self.adopted.get(key).copied().unwrap_or_else(|| self.derived(key, generation))
    }

    /// Takes a change of the northbound in; what has another name from now on.
    pub fn observe(&mut self, replica: &Replica, change: &RowChange) -> Option<RowKey> {
        let uuid = change.uuid;
        let Some(row) = replica.row(&change.table, &uuid) else {
            let key = self.known.remove(&uuid).filter(|key| self.row(key) == uuid)?;
            self.adopted.remove(&key);
            let next = self.generations.get(&key).map_or(self.first_generation, |old| old.wrapping_add(1));
            let next = if self.derived(&key, next) == uuid { next.wrapping_add(1) } else { next };
            self.generations.insert(key.clone(), next);
            return Some(key);
        };
        let key = self.key_of(&change.table, row)?;
        self.known.insert(uuid, key.clone());
        let current = self.row(&key);
        if current == uuid || replica.row(&change.table, &current).is_some() {
            return None;
        }
        self.adopted.insert(key.clone(), uuid);
        Some(key)
    }

    /// What a row is for, by its marks; a group has none but its name.
    fn key_of(&self, table: &str, row: &Row) -> Option<RowKey> {
        let text = |column| row.get(column).and_then(Datum::as_str);
        let subnet_row = SubnetRow::ALL.into_iter().find(|known| known.table() == table);
        if subnet_row == Some(SubnetRow::Group) {
            return Some(RowKey::Subnet(subnet_of_group(text("name")?)?, SubnetRow::Group));
        }
        let marks = row.get("external_ids").filter(|ids| self.owns(Some(ids)))?;
        if table == ACL {
            let row = GateRow::ALL.into_iter().find(|known| Some(known.action()) == text("action"))?;
            let subnet = SubnetName::from(marks.map_get(SUBNET)?);
            return match marks.map_get(SERVICE) {
                Some(service) => Some(RowKey::Gate(ServiceKey::parse(service)?, subnet, row)),
                None => Some(RowKey::Outside(subnet, row)),
            };
        }
        if let Some(subnet_row) = subnet_row {
            return Some(RowKey::Subnet(SubnetName::from(marks.map_get(SUBNET)?), subnet_row));
        }
        let protocol = Protocol::ALL.into_iter().find(|known| Some(known.as_str()) == text("protocol"))?;
        let service = marks.map_get(SERVICE).filter(|_| table == "Load_Balancer")?;
        Some(RowKey::LoadBalancer(ServiceKey::parse(service)?, protocol))
    }

    /// The marks of a Service's rows.
    pub fn marks(&self, service: &ServiceKey, uid: &str) -> Vec<(String, String)> {
        let mut marks =
            vec![(CLUSTER.to_owned(), self.cluster.clone()), (SERVICE.to_owned(), service.to_string())];
        if !uid.is_empty() {
            marks.push((UID.to_owned(), uid.to_owned()));
        }
        marks
    }

    /// The marks of a subnet's rows.
    pub fn subnet_marks(&self, subnet: &SubnetName) -> [(String, String); 2] {
        [(CLUSTER.to_owned(), self.cluster.clone()), (SUBNET.to_owned(), subnet.to_string())]
    }

    /// The marks of a gate's rows. kube-ovn-controller 1.13 to 1.15 deletes, at each start, every ACL that has no
    /// `parent` (`CleanNoParentKeyAcls`), and others when that is the switch (`SetLogicalSwitchPrivate`).
    pub fn gate_marks(&self, subnet: &SubnetName) -> [(String, String); 3] {
        let [cluster, subnet] = self.subnet_marks(subnet);
        [cluster, subnet, ("parent".to_owned(), "ovn-vip".to_owned())]
    }

    /// Whether `external_ids` bear this cluster's mark.
    pub fn owns(&self, external_ids: Option<&Datum>) -> bool {
        external_ids.and_then(|ids| ids.map_get(CLUSTER)) == Some(&self.cluster)
    }

    /// Whether a load balancer is ours: it bears our mark, or bore it when we saw it before.
    pub fn owns_load_balancer(&self, uuid: Uuid, row: &Row) -> bool {
        self.owns(row.get("external_ids")) || self.known.contains_key(&uuid)
    }

    /// Whether an ACL is ours, likewise.
    pub fn owns_gate(&self, uuid: Uuid, row: &Row) -> bool {
        self.owns_load_balancer(uuid, row)
    }

    fn derived(&self, key: &RowKey, generation: u32) -> Uuid {
        // A line break is in no Kubernetes name, so that no two keys read the same.
        let mut text = match key {
            RowKey::LoadBalancer(service, protocol) => format!("Load_Balancer\n{service}\n{protocol}"),
            RowKey::Subnet(subnet, row) => format!("{}\n{subnet}", row.table()),
            RowKey::Gate(service, subnet, row) => format!("{ACL}\n{subnet}\n{service}\n{}", row.action()),
            RowKey::Outside(subnet, row) => format!("{ACL}\n{subnet}\n{}", row.action()),
        };
        if generation > 0 {
            text = format!("{text}\n{generation}");
        }
        Uuid::new_v5(&NAMESPACE, format!("{}\n{text}", self.cluster).as_bytes())
    }
}

/// The subnet of a group that is ours: a group has no `external_ids`, but its name is unique, and ours to give.
pub fn subnet_of_group(name: &str) -> Option<SubnetName> {
    name.strip_prefix(PREFIX).map(SubnetName::from)
}

pub(super) const PREFIX: &str = "ovn-vip.";

impl SubnetRow {
    /// All of them.
    pub const ALL: [SubnetRow; 4] =
        [SubnetRow::Group, SubnetRow::Router, SubnetRow::RouterPort, SubnetRow::SwitchPort];

    /// Its table.
    pub fn table(self) -> &'static str {
        match self {
            SubnetRow::Group => "Load_Balancer_Group",
            SubnetRow::Router => "Logical_Router",
            SubnetRow::RouterPort => "Logical_Router_Port",
            SubnetRow::SwitchPort => "Logical_Switch_Port",
        }
    }

    /// Its name. OVN wants the names of all switch and router ports to differ (ovn-nb(5)).
    pub fn name(self, subnet: &SubnetName) -> String {
        match self {
            SubnetRow::Group | SubnetRow::Router => format!("{PREFIX}{subnet}"),
            SubnetRow::RouterPort => format!("{PREFIX}{subnet}.lrp"),
            SubnetRow::SwitchPort => format!("{PREFIX}{subnet}.lsp"),
        }
    }
}

/// The name of a Service's row; for people, and unlike any that Kube-OVN knows.
pub fn load_balancer_name(service: &ServiceKey, protocol: Protocol) -> String {
    format!("{service}/{protocol}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const NAME: &str = "0971152e-fb25-5741-abf4-cf51854b4f49";

    fn nginx() -> ServiceKey {
        ServiceKey::new("default", "nginx")
    }

    fn row() -> Value {
        let marks = json!([[CLUSTER, "kubernetes"], [SERVICE, "default/nginx"]]);
        json!({ "name": "x", "protocol": "tcp", "external_ids": ["map", marks] })
    }

    /// Brings the replica to these rows, and tells the owner.
    fn becomes(owner: &mut Owner, replica: &mut Replica, rows: Value) {
        let changes =
            replica.become_level_with(Replica::from_json(json!({ "Load_Balancer": rows })).unwrap());
        changes.iter().for_each(|change| drop(owner.observe(replica, change)));
    }

    #[test]
    fn row_names_never_change_between_releases() {
        let owner = Owner::new("kubernetes", 0);
        assert_eq!(owner.load_balancer(&nginx(), Protocol::Tcp).to_string(), NAME);
    }

    #[test]
    fn a_row_that_is_gone_never_comes_back_under_its_name() {
        let (mut owner, mut replica) = (Owner::new("kubernetes", 0), Replica::new());
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..5 {
            let uuid = owner.load_balancer(&nginx(), Protocol::Tcp);
            assert!(seen.insert(uuid), "{uuid} comes back");
            becomes(&mut owner, &mut replica, json!({ uuid.to_string(): row() }));
            assert_eq!(owner.load_balancer(&nginx(), Protocol::Tcp), uuid, "while it is there it is the one");
            becomes(&mut owner, &mut replica, json!({}));
        }
    }

    #[test]
    fn a_row_from_an_earlier_process_is_kept() {
        let (mut owner, mut replica) = (Owner::new("kubernetes", 77), Replica::new());
        assert_ne!(owner.load_balancer(&nginx(), Protocol::Tcp).to_string(), NAME);
        becomes(&mut owner, &mut replica, json!({ NAME: row() }));
        assert_eq!(owner.load_balancer(&nginx(), Protocol::Tcp).to_string(), NAME);
        becomes(&mut owner, &mut replica, json!({}));
        assert_ne!(owner.load_balancer(&nginx(), Protocol::Tcp).to_string(), NAME);
    }

    #[test]
    fn of_two_rows_for_one_thing_the_first_is_kept_and_the_other_is_still_ours() {
        let (mut owner, mut replica) = (Owner::new("kubernetes", 0), Replica::new());
        let other = Uuid::from_u128(9);
        becomes(&mut owner, &mut replica, json!({ NAME: row(), other.to_string(): row() }));
        assert_eq!(owner.load_balancer(&nginx(), Protocol::Tcp).to_string(), NAME);
        assert!(owner.owns_load_balancer(other, replica.row("Load_Balancer", &other).unwrap()));
    }

    #[test]
    fn a_row_that_lost_its_marks_is_still_known() {
        let (mut owner, mut replica) = (Owner::new("kubernetes", 0), Replica::new());
        becomes(&mut owner, &mut replica, json!({ NAME: row() }));
        becomes(&mut owner, &mut replica, json!({ NAME: { "name": "x", "protocol": "tcp" } }));
        let uuid = NAME.parse().unwrap();
        assert!(owner.owns_load_balancer(uuid, replica.row("Load_Balancer", &uuid).unwrap()));
    }

    #[test]
    fn a_group_is_ours_by_its_name() {
        assert_eq!(subnet_of_group("ovn-vip.s"), Some(SubnetName::from("s")));
        assert_eq!(subnet_of_group("theirs"), None);
    }
}
