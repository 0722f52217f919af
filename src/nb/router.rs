//! The router port of somebody else on a switch: where frames for the switch's VIPs must be steered.

use crate::model::{Mac, SubnetName};
use crate::ovsdb::Replica;

use super::Owner;
use super::rows::{ROUTER_PORT, SWITCH, SWITCH_PORT, map, text, uuids};

/// The MAC of the router port on a subnet's switch that is not ours (Kube-OVN's, with `logicalGateway` or
/// `u2oInterconnection`); of several the first by name. Costs a look at all of the switch's ports.
pub fn foreign_router_mac(replica: &Replica, owner: &Owner, subnet: &SubnetName) -> Option<Mac> {
    let (_, switch) = replica.rows(SWITCH).find(|(_, row)| text(row, "name") == subnet.as_str())?;
    let ports = uuids(switch, "ports").filter_map(|port| replica.row(SWITCH_PORT, &port));
    let routers =
        ports.filter(|port| text(port, "type") == "router" && !owner.owns(port.get("external_ids")));
    // ovn-nb(5): options:router-port names the Logical_Router_Port.
    let names = routers.filter_map(|port| map(port, "options").remove("router-port"));
    let name = names.min()?;
    let (_, port) = replica.rows(ROUTER_PORT).find(|(_, row)| text(row, "name") == name)?;
    text(port, "mac").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn mac_of(port_type: &str, owned: bool) -> Option<Mac> {
        let id = |number: u8| format!("00000000-0000-4000-8000-00000000000{number}");
        let owner = Owner::new("c", 0);
        let marks = if owned { json!([["ovn-vip.io/cluster", "c"]]) } else { json!([]) };
        let replica = Replica::from_json(json!({
            "Logical_Switch": { id(1): { "name": "s", "ports": ["uuid", id(2)] } },
            "Logical_Switch_Port": { id(2): { "name": "s-r", "type": port_type,
                "options": ["map", [["router-port", "r-s"]]], "external_ids": ["map", marks] } },
            "Logical_Router_Port": { id(3): { "name": "r-s", "mac": "0a:00:00:00:00:07" } },
        }));
        foreign_router_mac(&replica.unwrap(), &owner, &"s".into())
    }

    #[test]
    fn the_mac_is_the_router_ports_that_the_switch_port_names() {
        assert_eq!(mac_of("router", false), "0a:00:00:00:00:07".parse().ok());
    }

    #[test]
    fn neither_a_pods_port_nor_our_own_is_a_foreign_router_port() {
        assert_eq!(mac_of("", false), None);
        assert_eq!(mac_of("router", true), None);
    }
}
