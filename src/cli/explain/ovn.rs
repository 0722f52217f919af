//! What OVN tells of a VIP's way, by the controller's own mind.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use uuid::Uuid;

use crate::controller::Reconciler;
use crate::model::{LspName, Protocol, ServiceKey, World};
use crate::nb::diff::{Change, Changes};
use crate::nb::network::disabled_ports;
use crate::nb::owner::{GateRow, RowKey, SubnetRow};
use crate::nb::rows::{ACL, LOAD_BALANCER, Selection};
use crate::ovsdb::Replica;
use crate::settings::{AssumedOvn, ExplainArgs};

use super::super::objects::Objects;
use super::super::writes::Step as Write;
use super::super::{assumed, mind, northbound};
use super::steps::Wrong;

/// The options without which DNAT does not stay on the announcing node.
const LOCALITY: [&str; 2] = ["distributed", "prefer_local_backend"];

/// What OVN tells.
pub struct Ovn {
    /// The controller's own mind, which has planned everything.
    pub reconciler: Reconciler,
    /// What of the northbound is not as planned; none where none was read.
    pub differences: Option<BTreeMap<ServiceKey, Vec<Difference>>>,
    /// Why nothing can be served at all, with what to do.
    pub fault: Option<Wrong>,
    /// The southbound, where it was read.
    pub southbound: Option<Replica>,
    /// Addresses whose port is disabled.
    pub disabled: BTreeMap<IpAddr, LspName>,
}

impl Ovn {
    /// Reads what was named. A database that does not answer is a fault, and no end.
    pub async fn look(arguments: &ExplainArgs, world: &World, objects: &Objects) -> anyhow::Result<Self> {
        let [northbound, southbound] = arguments.databases()?;
        let southbound = match southbound {
            Some(address) => told(northbound::southbound(&address, &arguments.northbound).await),
            None => None,
        };
        let fault = match northbound {
            Some(address) => match northbound::northbound(&address, &arguments.northbound).await {
                Ok((replica, selection)) => {
                    match Self::read(arguments, objects, &replica, selection, southbound)? {
                        Ok(found) => return Ok(found),
                        Err(fault) => Some(fault),
                    }
                }
                Err(error) => {
                    let cure = "what OVN has been told goes on; no change is served until it answers";
                    Some(Wrong { is: format!("{error:#}"), cure: cure.to_owned() })
                }
            },
            None => None,
        };
        let replica = assumed::northbound(world, AssumedOvn::KubeOvn)?;
        let (reconciler, _) = plan(arguments, objects, &replica, Selection::full(), None);
        Ok(Self { reconciler, differences: None, fault, southbound: None, disabled: BTreeMap::new() })
    }

    fn read(
        arguments: &ExplainArgs,
        objects: &Objects,
        replica: &Replica,
        selection: Selection,
        southbound: Option<Replica>,
    ) -> anyhow::Result<Result<Self, Wrong>> {
        let (reconciler, changes) = plan(arguments, objects, replica, selection, southbound.as_ref());
        if let Some(is) = mind::without_locality(&reconciler) {
            let cure = "use the OVN that Kube-OVN ships, or OVN 26.03 or newer".to_owned();
            return Ok(Err(Wrong { is, cure }));
        }
        if let Some(why) = reconciler.misnamed() {
            anyhow::bail!("{why}");
        }
        let differences = Some(differences(&reconciler, &changes, replica));
        let disabled = disabled_ports(replica);
        Ok(Ok(Self { reconciler, differences, fault: None, southbound, disabled }))
    }
}

/// What was read, or on standard error why not.
fn told<T>(read: anyhow::Result<T>) -> Option<T> {
    read.inspect_err(|error| eprintln!("ovn-vip: {error:#}")).ok()
}

/// The controller's own mind, beside databases that it does not write to.
fn plan(
    arguments: &ExplainArgs,
    objects: &Objects,
    replica: &Replica,
    selection: Selection,
    southbound: Option<&Replica>,
) -> (Reconciler, Changes) {
    let (policy, cluster) = (arguments.objects.policy.policy(), objects.changes.iter().cloned());
    let mut reconciler = mind::reconciler(&arguments.rules, policy, replica, selection, cluster);
    let changes = mind::look_later(&mut reconciler, replica, southbound);
    (reconciler, changes)
}

/// What would be written, by Service.
fn differences(
    reconciler: &Reconciler,
    changes: &Changes,
    replica: &Replica,
) -> BTreeMap<ServiceKey, Vec<Difference>> {
    let owners = owners(reconciler);
    let names = BTreeMap::new();
    let mut found: BTreeMap<ServiceKey, Vec<Difference>> = BTreeMap::new();
    for change in changes.all() {
        let rows: Vec<Uuid> = match change {
            Change::Insert { uuid, .. } | Change::Update { uuid, .. } | Change::Delete { uuid, .. } => {
                vec![*uuid]
            }
            Change::Refer { added, removed, .. } => added.iter().chain(removed).copied().collect(),
            Change::RemoveKeys { .. } => Vec::new(),
        };
        let difference = Difference::of(&Write::of(change, replica, &names));
        for key in rows.iter().filter_map(|row| owners.get(row)).flatten() {
            let all = found.entry((*key).clone()).or_default();
            if !all.contains(&difference) {
                all.push(difference.clone());
            }
        }
    }
    found
}

/// Whose each row is.
fn owners(reconciler: &Reconciler) -> BTreeMap<Uuid, Vec<&ServiceKey>> {
    let owner = reconciler.owner();
    let mut owners: BTreeMap<Uuid, Vec<&ServiceKey>> = BTreeMap::new();
    for (key, outcome) in reconciler.outcomes() {
        for protocol in Protocol::ALL {
            owners.entry(owner.load_balancer(key, protocol)).or_default().push(key);
        }
        for subnet in outcome.vips.values() {
            let rows = SubnetRow::ALL.map(|row| owner.subnet_row(subnet, row));
            let gates = GateRow::ALL.into_iter().flat_map(|row| {
                let outside = owner.gate(&RowKey::Outside(subnet.clone(), row));
                [owner.gate(&RowKey::Gate(key.clone(), subnet.clone(), row)), outside]
            });
            for row in rows.into_iter().chain(gates) {
                owners.entry(row).or_default().push(key);
            }
        }
    }
    owners
}

/// Something of the northbound that is not as planned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// For people.
    pub words: String,
    /// The VIPs whose keys it is about; none where it is about all of the row.
    pub vips: BTreeSet<IpAddr>,
    /// Whether clients find these dark.
    pub darkens: bool,
}

impl Difference {
    fn of(write: &Write) -> Self {
        let name = if write.table == ACL { String::new() } else { format!(" {}", write.name) };
        let mut words = format!("to {}: {}{name}: {}", write.action, write.table, write.why);
        if write.action != "update" || write.table != LOAD_BALANCER {
            // A gate too few opens, and darkens nothing; a row too many is nobody's.
            let darkens = write.table != ACL && write.action != "delete";
            return Self { words, vips: BTreeSet::new(), darkens };
        }
        write.lines().iter().for_each(|line| words.push_str(&format!("; {line}")));
        let keys = write.details.iter().filter(|detail| detail.column == "vips");
        let vips = keys.filter_map(|detail| detail.key.as_ref()?.parse::<SocketAddr>().ok());
        let vips: BTreeSet<IpAddr> = vips.map(|key| key.ip()).collect();
        let darkens = write.details.iter().any(|detail| match detail.column.as_str() {
            // With a backend too few, or too many, the others serve.
            "vips" => detail.from.as_deref().is_none_or(str::is_empty),
            "options" => detail.key.as_deref().is_some_and(|key| LOCALITY.contains(&key)),
            "ip_port_mappings" | "protocol" => true,
            _ => false,
        });
        Self { words, vips, darkens }
    }
}
