//! A northbound that nobody named: the switches and pods that the folder itself tells of, and nothing of ours.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::model::{Subnet, World};
use crate::ovsdb::Replica;
use crate::plan::is_eligible;
use crate::settings::AssumedOvn;

/// What such a northbound holds.
pub fn northbound(world: &World, ovn: AssumedOvn) -> anyhow::Result<Replica> {
    let option = match ovn {
        AssumedOvn::KubeOvn => ["ls_dnat_mod_dl_dst", "true"],
        AssumedOvn::Upstream => ["northd_internal_version", "26.03.0"],
    };
    let external_ids = match ovn {
        AssumedOvn::KubeOvn => json!(["map", [["vendor", "kube-ovn"]]]),
        AssumedOvn::Upstream => json!(["map", []]),
    };
    let (mut switches, mut ports) = (json!({}), json!({}));
    for subnet in world.subnets().filter(|subnet| is_eligible(subnet)) {
        let found = ports_of(world, subnet);
        let names: Vec<Value> = found.keys().map(|name| json!(["uuid", uuid(subnet, name)])).collect();
        switches[uuid(subnet, "")] = json!({
            "name": subnet.name.as_str(), "ports": ["set", names], "external_ids": external_ids,
        });
        for (name, addresses) in &found {
            let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
            ports[uuid(subnet, name)] =
                json!({ "name": name, "type": "", "addresses": format!("unknown {}", addresses.join(" ")) });
        }
    }
    Ok(Replica::from_json(json!({
        "NB_Global": { Uuid::from_u128(1).to_string(): { "options": ["map", [option]] } },
        "Logical_Switch": switches,
        "Logical_Switch_Port": ports,
    }))?)
}

/// The endpoints inside the subnet, by the name of their port: Kube-OVN's IP has the same, and where it is not in the
/// folder the address must do.
fn ports_of(world: &World, subnet: &Subnet) -> BTreeMap<String, BTreeSet<IpAddr>> {
    let mut ports: BTreeMap<String, BTreeSet<IpAddr>> = BTreeMap::new();
    let slices = world.services().flat_map(|service| world.slices_of(&service.key));
    for address in slices.flat_map(|slice| &slice.endpoints).map(|endpoint| endpoint.address) {
        let booked = world.allocations_of(address).find(|found| found.subnet == subnet.name);
        let elsewhere = world.allocations_of(address).next().is_some();
        if let Some(allocation) = booked {
            ports.entry(allocation.name.to_string()).or_default().insert(address);
        } else if subnet.contains(address) && !elsewhere {
            ports.entry(format!("port-of-{address}")).or_default().insert(address);
        }
    }
    ports
}

fn uuid(subnet: &Subnet, port: &str) -> String {
    Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("{}\n{port}", subnet.name).as_bytes()).to_string()
}
