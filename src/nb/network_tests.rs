//! An index that follows a replica from state to state.

use super::*;
use serde_json::{Value, json};

fn uuid(number: u8) -> Uuid {
    Uuid::from_u128(u128::from(number))
}

/// Switch 1 "s" with these ports: row name, port name, addresses.
fn northbound(ports: &[(u8, &str, &str)]) -> Value {
    let names: Vec<Value> = ports.iter().map(|(row, ..)| json!(["uuid", uuid(*row).to_string()])).collect();
    let mut json = json!({
        "Logical_Switch": { uuid(1).to_string(): { "name": "s", "ports": ["set", names] } },
        "Logical_Switch_Port": {},
    });
    for (row, name, addresses) in ports {
        json["Logical_Switch_Port"][uuid(*row).to_string()] =
            json!({ "name": name, "type": "", "addresses": addresses });
    }
    json
}

/// An index that follows a replica from one state to the next.
#[derive(Default)]
struct Following {
    index: NetworkIndex,
    northbound: Replica,
    southbound: Replica,
}

impl Following {
    fn northbound(&mut self, json: Value) -> NetworkDirty {
        let changes = self.northbound.become_level_with(Replica::from_json(json).unwrap());
        self.index.northbound_changed(&Owner::new("c", 0), &self.northbound, &changes)
    }

    fn bind(&mut self, port: &str, chassis: u8) -> NetworkDirty {
        let row = json!({ "logical_port": port, "chassis": ["uuid", uuid(chassis).to_string()] });
        let json = json!({ "Port_Binding": { uuid(9).to_string(): row } });
        let changes = self.southbound.become_level_with(Replica::from_json(json).unwrap());
        self.index.southbound_changed(&self.southbound, &changes)
    }

    fn port_at(&self, address: &str) -> Option<(&str, Option<Uuid>)> {
        let switch = self.index.network().switches.get(&SubnetName::from("s"))?;
        let port = switch.ports.get(&address.parse().unwrap())?;
        Some((port.name.as_str(), port.chassis))
    }
}

#[test]
fn a_port_is_found_by_each_of_its_addresses() {
    let mut following = Following::default();
    following.northbound(northbound(&[(2, "p", "0a:00:00:00:00:01 10.0.0.1 fd00::1")]));
    assert_eq!(following.port_at("10.0.0.1"), Some(("p", None)));
    assert_eq!(following.port_at("fd00::1"), Some(("p", None)));
    assert_eq!(following.port_at("10.0.0.2"), None);
}

#[test]
fn of_two_ports_with_one_address_the_bound_one_has_it() {
    let mut following = Following::default();
    following.northbound(northbound(&[(2, "a", "m 10.0.0.1"), (3, "b", "m 10.0.0.1")]));
    assert_eq!(following.port_at("10.0.0.1"), Some(("a", None)));
    assert_eq!(following.bind("b", 7).addresses, BTreeSet::from(["10.0.0.1".parse().unwrap()]));
    assert_eq!(following.port_at("10.0.0.1"), Some(("b", Some(uuid(7)))));
    following.northbound(northbound(&[(2, "a", "m 10.0.0.1")]));
    assert_eq!(following.port_at("10.0.0.1"), Some(("a", None)));
}

#[test]
fn a_port_made_anew_under_its_name_keeps_its_binding_whichever_row_comes_first() {
    for (old, new) in [(2, 3), (3, 2)] {
        let mut following = Following::default();
        following.northbound(northbound(&[(old, "p", "m 10.0.0.1")]));
        following.bind("p", 7);
        following.northbound(northbound(&[(new, "p", "m 10.0.0.2")]));
        assert_eq!(following.port_at("10.0.0.1"), None);
        assert_eq!(following.port_at("10.0.0.2"), Some(("p", Some(uuid(7)))));
        following.bind("p", 8);
        assert_eq!(following.port_at("10.0.0.2"), Some(("p", Some(uuid(8)))), "it is followed as before");
    }
}

#[test]
fn only_a_change_that_alters_a_port_makes_anything_dirty() {
    let mut following = Following::default();
    assert!(following.northbound(northbound(&[(2, "p", "m 10.0.0.1")])).everything);
    assert_eq!(following.bind("elsewhere", 7), NetworkDirty::default());
    let more = following.northbound(northbound(&[(2, "p", "m 10.0.0.1"), (3, "q", "m 10.0.0.3")]));
    assert_eq!((more.everything, more.addresses), (false, BTreeSet::from(["10.0.0.3".parse().unwrap()])));
}

#[test]
fn a_disabled_port_is_told_by_its_addresses() {
    let port = |name: &str, last: u8, enabled: serde_json::Value| {
        serde_json::json!({ "name": name, "type": "", "enabled": enabled,
        "addresses": format!("02:00:00:00:00:01 10.0.0.{last} fd00::{last}") })
    };
    let id = |number: u8| format!("00000000-0000-4000-8000-0000000000{number:02x}");
    let replica = Replica::from_json(serde_json::json!({ "Logical_Switch_Port": {
        id(1): port("off", 1, serde_json::json!(false)),
        id(2): port("on", 2, serde_json::json!(true)),
        id(3): port("unsaid", 3, serde_json::json!(["set", []])),
    } }));
    let told: Vec<String> =
        disabled_ports(&replica.unwrap()).iter().map(|(address, port)| format!("{address} {port}")).collect();
    assert_eq!(told, ["10.0.0.1 off", "fd00::1 off"]);
}
