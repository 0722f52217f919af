//! The marks by which we know our rows: what we may touch, and nothing else.

use uuid::Uuid;

use crate::model::{Protocol, ServiceKey, SubnetName};
use crate::ovsdb::{Datum, Row};

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

/// One cluster's ownership of rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    cluster: String,
}

/// The rows that we keep for a subnet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    /// The owner of this cluster's rows.
    pub fn new(cluster: &str) -> Self {
        Self { cluster: cluster.to_owned() }
    }

    /// The cluster's name.
    pub fn cluster(&self) -> &str {
        &self.cluster
    }

    /// The row of a Service and protocol. The same on every run, so that creation is idempotent.
    pub fn load_balancer(&self, service: &ServiceKey, protocol: Protocol) -> Uuid {
        self.uuid(&["Load_Balancer", &service.to_string(), protocol.as_str()])
    }

    /// One of a subnet's rows.
    pub fn subnet_row(&self, subnet: &SubnetName, row: SubnetRow) -> Uuid {
        self.uuid(&[row.table(), subnet.as_str()])
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

    /// Whether `external_ids` bear this cluster's mark.
    pub fn owns(&self, external_ids: Option<&Datum>) -> bool {
        external_ids.and_then(|ids| ids.map_get(CLUSTER)) == Some(&self.cluster)
    }

    /// Whether a load balancer is ours: it bears our mark, or, where somebody took that away, its name still
    /// comes to the row's own name.
    pub fn owns_load_balancer(&self, uuid: Uuid, row: &Row) -> bool {
        let by_name = || {
            let (service, protocol) = row.get("name").and_then(Datum::as_str)?.rsplit_once('/')?;
            let protocol = Protocol::ALL.into_iter().find(|known| known.as_str() == protocol)?;
            Some(self.load_balancer(&ServiceKey::parse(service)?, protocol) == uuid)
        };
        self.owns(row.get("external_ids")) || by_name() == Some(true)
    }

    /// The subnet of a group that is ours: a group has no `external_ids`, so name and row name must agree.
    pub fn subnet_of_group(&self, uuid: Uuid, name: &str) -> Option<SubnetName> {
        let subnet = SubnetName::from(name.strip_prefix(PREFIX)?);
        (self.subnet_row(&subnet, SubnetRow::Group) == uuid).then_some(subnet)
    }

    fn uuid(&self, parts: &[&str]) -> Uuid {
        // A line break is in no Kubernetes name, so that no two lists of parts read the same.
        Uuid::new_v5(&NAMESPACE, format!("{}\n{}", self.cluster, parts.join("\n")).as_bytes())
    }
}

const PREFIX: &str = "ovn-vip.";

impl SubnetRow {
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

    #[test]
    fn row_names_never_change_between_releases() {
        let owner = Owner::new("kubernetes");
        let row = owner.load_balancer(&ServiceKey::new("default", "nginx"), Protocol::Tcp);
        assert_eq!(row.to_string(), "0971152e-fb25-5741-abf4-cf51854b4f49");
    }

    #[test]
    fn a_group_is_ours_only_when_name_and_row_name_agree() {
        let (ours, theirs) = (Owner::new("a"), Owner::new("b"));
        let subnet = SubnetName::from("s");
        let uuid = ours.subnet_row(&subnet, SubnetRow::Group);
        assert_eq!(ours.subnet_of_group(uuid, "ovn-vip.s"), Some(subnet));
        assert_eq!(theirs.subnet_of_group(uuid, "ovn-vip.s"), None);
        assert_eq!(ours.subnet_of_group(uuid, "ovn-vip.t"), None);
    }
}
