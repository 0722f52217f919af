//! Where a segment is in this node's Open vSwitch: port numbers, and the interface to speak on.

use std::collections::BTreeMap;

use crate::flows::{BridgePorts, PORT_LOCAL};
use crate::l2;
use crate::model::{InterfaceName, Mac, SegmentPlan};
use crate::ovsdb::{Datum, Replica, Row, TablesWanted};

/// The database.
pub const DATABASE: &str = "Open_vSwitch";

/// What we follow of it (ovs-vswitchd.conf.db(5)); `ovsdb-schemas/vswitch.ovsschema` has the same.
pub fn tables() -> TablesWanted {
    TablesWanted::new()
        .require("Open_vSwitch", &["external_ids"])
        .require("Bridge", &["name", "ports", "external_ids", "datapath_type"])
        .require("Port", &["name", "interfaces", "tag"])
        .require("Interface", &["name", "type", "ofport", "mac_in_use", "link_state", "admin_state"])
}

/// A segment, found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located {
    /// For its rules.
    pub ports: BridgePorts,
    /// The interface that the speaker's socket is on.
    pub speak_on: InterfaceName,
    /// What the speaker is on the wire.
    pub interface: l2::Interface,
    /// Whether the NIC is up and has a carrier, as ovs-vswitchd hears it from the kernel (rtnetlink(7)) at once.
    pub carrier: bool,
}

/// Why a segment cannot be served yet. It is looked for again at every change of the database.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotFound {
    /// The bridge is not there.
    #[error("bridge {0} does not exist; is the provider network ready on this node?")]
    Bridge(InterfaceName),
    /// The NIC is no port of the bridge.
    #[error(
        "bridge {bridge} has no port {nic}; have spec.defaultInterface or spec.customInterfaces of its ProviderNetwork name this node's NIC"
    )]
    Nic {
        /// The bridge.
        bridge: InterfaceName,
        /// The NIC.
        nic: InterfaceName,
    },
    /// ovn-controller makes the patch port once a pod of the subnet is on the node.
    #[error(
        "bridge {bridge} has no patch port {port}; ovn-controller makes it with the subnet's first pod here"
    )]
    PatchPort {
        /// The bridge.
        bridge: InterfaceName,
        /// The patch port.
        port: InterfaceName,
    },
    /// The interface has no MAC yet.
    #[error("interface {0} has no MAC address; is ovs-vswitchd running?")]
    Mac(InterfaceName),
}

/// Finds a segment's ports. The speaker sits on the bridge's own (LOCAL) interface, or, on a tagged VLAN, on an
/// internal access port with that tag where there is one: two ports with one MAC on one VLAN would fight for it in
/// the bridge's table. On a trunk without such a port it writes the tag itself.
pub fn locate(replica: &Replica, segment: &SegmentPlan) -> Result<Located, NotFound> {
    let bridge = &segment.bridge;
    let interfaces = interfaces(replica, bridge).ok_or_else(|| NotFound::Bridge(bridge.clone()))?;
    let ofport = |name: &InterfaceName| interfaces.get(name.as_str()).and_then(|(_, row)| ofport(row));
    let nic = ofport(&segment.nic)
        .ok_or_else(|| NotFound::Nic { bridge: bridge.clone(), nic: segment.nic.clone() })?;
    let patch = ofport(&segment.patch_port)
        .ok_or_else(|| NotFound::PatchPort { bridge: bridge.clone(), port: segment.patch_port.clone() })?;
    let wanted_tag = segment.vlan.map(|vlan| i64::from(vlan.get()));
    let access = interfaces.iter().find(|(_, (tag, row))| {
        // Its MAC is forgotten with the database server; a port that could not be made has no number.
        wanted_tag.is_some()
            && *tag == wanted_tag
            && text(row, "type") == "internal"
            && self::ofport(row).is_some()
    });
    let (speak_on, untagged) = match access {
        Some((name, _)) => (InterfaceName::from(*name), true),
        None => (bridge.clone(), segment.vlan.is_none()),
    };
    let mac = interfaces.get(speak_on.as_str()).and_then(|(_, row)| mac(row));
    let mac = mac.ok_or_else(|| NotFound::Mac(speak_on.clone()))?;
    let interface = l2::Interface { mac, vlan: if untagged { None } else { segment.vlan } };
    let carrier = interfaces.get(segment.nic.as_str()).is_some_and(|(_, row)| is_up(row));
    // The bridge's own port has a number that the database tells in OpenFlow 1.0's way.
    let own = if speak_on == *bridge { Some(PORT_LOCAL) } else { ofport(&speak_on) };
    let own = own.ok_or_else(|| NotFound::Mac(speak_on.clone()))?;
    Ok(Located { ports: BridgePorts { nic, patch, own, mac }, speak_on, interface, carrier })
}

/// The bridge that OVN's own flows are on: `external_ids:ovn-bridge`, else `br-int` (ovn-controller(8)).
pub fn integration_bridge(replica: &Replica) -> InterfaceName {
    let settings = replica.rows("Open_vSwitch").find_map(|(_, row)| row.get("external_ids"));
    let named = settings.and_then(|settings| settings.map_get("ovn-bridge"));
    InterfaceName::from(named.unwrap_or("br-int"))
}

/// Every bridge but OVN's own, in order.
pub fn names(replica: &Replica) -> std::collections::BTreeSet<InterfaceName> {
    let integration = integration_bridge(replica);
    let names = replica.rows("Bridge").map(|(_, row)| InterfaceName::from(text(row, "name")));
    names.filter(|name| *name != integration).collect()
}

/// Whether the bridge exists.
pub fn exists(replica: &Replica, bridge: &InterfaceName) -> bool {
    replica.rows("Bridge").any(|(_, row)| text(row, "name") == bridge.as_str())
}

/// Whether the kernel forwards for it, and not ovs-vswitchd (`datapath_type`, ovs-vswitchd.conf.db(5)).
pub fn is_kernels(replica: &Replica, bridge: &InterfaceName) -> bool {
    let mut bridges = replica.rows("Bridge").filter(|(_, row)| text(row, "name") == bridge.as_str());
    bridges.any(|(_, row)| matches!(text(row, "datapath_type"), "" | "system"))
}

/// A bridge's interfaces by name, each with the tag of its port.
fn interfaces<'r>(
    replica: &'r Replica,
    bridge: &InterfaceName,
) -> Option<BTreeMap<&'r str, (Option<i64>, &'r Row)>> {
    let (_, bridge) = replica.rows("Bridge").find(|(_, row)| text(row, "name") == bridge.as_str())?;
    let ports = uuids(bridge, "ports").filter_map(|uuid| replica.row("Port", &uuid));
    let interfaces = ports.flat_map(|port| {
        let tag = port.get("tag").and_then(Datum::as_integer);
        let rows = uuids(port, "interfaces").filter_map(|uuid| replica.row("Interface", &uuid));
        rows.map(move |row| (text(row, "name"), (tag, row)))
    });
    Some(interfaces.collect())
}

/// `ofport`: -1 where OVS could not make the port.
fn ofport(row: &Row) -> Option<u32> {
    row.get("ofport")
        .and_then(Datum::as_integer)
        .and_then(|port| u32::try_from(port).ok())
        .filter(|port| *port > 0)
}

/// Up unless told otherwise: a NIC whose driver says nothing is taken to be (ovs-vswitchd.conf.db(5)).
fn is_up(row: &Row) -> bool {
    ["link_state", "admin_state"].into_iter().all(|column| text(row, column) != "down")
}

fn mac(row: &Row) -> Option<Mac> {
    row.get("mac_in_use").and_then(Datum::as_str).and_then(|mac| mac.parse().ok())
}

fn text<'r>(row: &'r Row, column: &str) -> &'r str {
    row.get(column).and_then(Datum::as_str).unwrap_or_default()
}

fn uuids<'r>(row: &'r Row, column: &str) -> impl Iterator<Item = uuid::Uuid> + 'r {
    row.get(column).into_iter().flat_map(Datum::uuid_members)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::VlanId;
    use serde_json::json;
    use std::collections::BTreeSet;

    fn replica(access_tag: Option<u16>) -> Replica {
        let uuid = |number: u8| format!("00000000-0000-4000-8000-0000000000{number:02x}");
        let reference = |number: u8| json!(["uuid", uuid(number)]);
        let interface = |name: &str, kind: &str, ofport: i64, mac: &str| json!({ "name": name, "type": kind, "ofport": ofport, "mac_in_use": mac });
        let port = |interface: u8| json!({ "interfaces": reference(interface), "tag": ["set", []] });
        let mut access = port(0x14);
        if let Some(tag) = access_tag {
            access["tag"] = json!(tag);
        }
        Replica::from_json(json!({
            "Bridge": { uuid(1): { "name": "br-p", "ports": ["set", [reference(2), reference(3), reference(4), reference(5)]] } },
            "Port": { uuid(2): port(0x11), uuid(3): port(0x12), uuid(4): port(0x13), uuid(5): access },
            "Interface": {
                uuid(0x11): interface("br-p", "internal", 65534, "02:00:00:00:00:01"),
                uuid(0x12): interface("nic", "", 1, "02:00:00:00:00:01"),
                uuid(0x13): interface("patch", "patch", 2, "aa:00:00:00:00:01"),
                uuid(0x14): interface("nic.341", "internal", 3, "02:00:00:00:00:01"),
            },
        }))
        .unwrap()
    }

    fn segment(vlan: Option<u16>) -> SegmentPlan {
        SegmentPlan {
            bridge: "br-p".into(),
            nic: "nic".into(),
            vlan: vlan.and_then(VlanId::new),
            patch_port: "patch".into(),
            steering_mac: Mac([0x0a; 6]),
            steered: BTreeMap::new(),
            peers: None,
            beating: [].into(),
            announced: BTreeMap::new(),
            handed_over: BTreeSet::new(),
            successors: BTreeMap::new(),
            taken_over: BTreeSet::new(),
        }
    }

    #[test]
    fn an_untagged_segment_is_spoken_on_the_bridge_itself() {
        let located = locate(&replica(Some(341)), &segment(None)).unwrap();
        assert_eq!((located.speak_on.as_str(), located.interface.vlan), ("br-p", None));
        assert_eq!((located.ports.nic, located.ports.patch), (1, 2));
    }

    #[test]
    fn a_tagged_segment_is_spoken_on_its_access_port() {
        let located = locate(&replica(Some(341)), &segment(Some(341))).unwrap();
        assert_eq!((located.speak_on.as_str(), located.interface.vlan), ("nic.341", None));
    }

    #[test]
    fn a_mac_that_is_not_told_yet_moves_no_segment_to_another_interface() {
        let mut replica = replica(Some(341));
        let access = "00000000-0000-4000-8000-000000000014";
        let row = json!({ "name": "nic.341", "type": "internal", "ofport": 3, "mac_in_use": ["set", []] });
        for change in [json!({ "delete": null }), json!({ "insert": row })] {
            replica.apply(&json!({ "Interface": { access: change } })).unwrap();
        }
        assert_eq!(locate(&replica, &segment(Some(341))), Err(NotFound::Mac("nic.341".into())));
    }

    #[test]
    fn the_kernel_forwards_for_a_bridge_of_its_own_datapath() {
        let of = |kind: &str| {
            let bridge = "00000000-0000-4000-8000-000000000001";
            let row = json!({ "name": "br-p", "datapath_type": kind });
            is_kernels(&Replica::from_json(json!({ "Bridge": { bridge: row } })).unwrap(), &"br-p".into())
        };
        assert_eq!(["", "system", "netdev"].map(of), [true, true, false]);
    }

    #[test]
    fn a_tagged_segment_without_access_port_is_spoken_with_our_own_tag() {
        for access_tag in [None, Some(342)] {
            let located = locate(&replica(access_tag), &segment(Some(341))).unwrap();
            assert_eq!((located.speak_on.as_str(), located.interface.vlan), ("br-p", VlanId::new(341)));
        }
    }

    #[test]
    fn a_nic_is_up_unless_its_link_or_its_admin_says_down() {
        let carrier = |state: serde_json::Value| {
            let mut replica = replica(None);
            let nic = "00000000-0000-4000-8000-000000000012";
            replica.apply(&json!({ "Interface": { nic: { "modify": state } } })).unwrap();
            locate(&replica, &segment(None)).unwrap().carrier
        };
        assert!(carrier(json!({ "link_state": ["set", []], "admin_state": "up" })));
        assert!(!carrier(json!({ "link_state": "down", "admin_state": "up" })));
        assert!(!carrier(json!({ "link_state": "up", "admin_state": "down" })));
    }

    #[test]
    fn what_is_missing_is_named() {
        let missing = |change: fn(&mut SegmentPlan)| {
            let mut segment = segment(None);
            change(&mut segment);
            locate(&replica(None), &segment).unwrap_err().to_string()
        };
        assert!(missing(|segment| segment.bridge = "br-x".into()).contains("bridge br-x does not exist"));
        assert!(missing(|segment| segment.nic = "eth9".into()).contains("no port eth9"));
        assert!(missing(|segment| segment.patch_port = "patch-x".into()).contains("no patch port patch-x"));
    }
}
