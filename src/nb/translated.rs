//! What a switch translates, whosever row it is of: `ls_in_lb` flows of its datapath, read once. No I/O.
//!
//! A row that no switch has makes no flow; one of another network's switch makes them there only. So what a row says is not asked.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use uuid::Uuid;

use crate::model::Protocol;
use crate::ovsdb::{Replica, Row, TablesWanted};

use super::flows::{BALANCES, is_local};
use super::rows::{DATAPATH, DATAPATH_GROUP, LOGICAL_FLOW, TEMPLATE_VAR, southbound_tables, text};

/// What is to be read of the southbound for it, beside what is followed.
pub fn tables() -> TablesWanted {
    southbound_tables()
        .prefer(LOGICAL_FLOW, &["logical_datapath", "logical_dp_group"])
        .prefer_table(DATAPATH_GROUP, &["datapaths"])
        .prefer_table(DATAPATH, &["external_ids"])
        .prefer_table(TEMPLATE_VAR, &["variables"])
}

/// What becomes of a packet for a VIP's port at a switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Translation {
    /// No flow is about it.
    None,
    /// It is dropped or refused: the row has no backend.
    Refused,
    /// It goes to any backend, whatever node that is on; an underlay delivers to those of the announcing node alone.
    Anywhere,
    /// It goes to a backend of the node that it came to.
    Local,
}

/// The best that a flow of this switch does with what comes to the address and port.
pub fn translation(southbound: &Replica, switch: &str, protocol: Protocol, key: SocketAddr) -> Translation {
    let datapaths = datapaths(southbound, switch);
    let of_stage =
        |row: &&Row| row.get("external_ids").and_then(|ids| ids.map_get("stage-name")) == Some(BALANCES);
    let flows = southbound.rows(LOGICAL_FLOW).map(|(_, row)| row).filter(of_stage);
    let about = flows.filter(|row| {
        is_about(southbound, text(row, "match"), protocol, key) && is_of(southbound, row, &datapaths)
    });
    about.map(what_it_does).max().unwrap_or(Translation::None)
}

/// Local as our own rows are, or by a template: then `backends=^variable` has each chassis' own.
fn what_it_does(flow: &Row) -> Translation {
    let (matches, actions) = (text(flow, "match"), text(flow, "actions"));
    let is_local = is_local(matches, actions) || actions.contains("backends=^");
    match actions.contains("ct_lb") {
        true if is_local => Translation::Local,
        true => Translation::Anywhere,
        false => Translation::Refused,
    }
}

fn datapaths(southbound: &Replica, switch: &str) -> BTreeSet<Uuid> {
    let is_its = |row: &Row| row.get("external_ids").and_then(|ids| ids.map_get("name")) == Some(switch);
    southbound.rows(DATAPATH).filter(|(_, row)| is_its(row)).map(|(uuid, _)| *uuid).collect()
}

/// northd puts a flow that several datapaths have into one row, for a group of them.
fn is_of(southbound: &Replica, flow: &Row, datapaths: &BTreeSet<Uuid>) -> bool {
    let members = |column| flow.get(column).into_iter().flat_map(|datum| datum.uuid_members());
    let groups = members("logical_dp_group").filter_map(|group| southbound.row(DATAPATH_GROUP, &group));
    let of_groups = groups.filter_map(|group| group.get("datapaths")).flat_map(|datum| datum.uuid_members());
    members("logical_datapath").chain(of_groups).any(|datapath| datapaths.contains(&datapath))
}

/// `ct.new && ip4.dst == 10.0.0.1 && tcp.dst == 80` until 25.09, since then `… && reg1[16..23] == 6 && reg1[0..15] == 80`; an
/// address or port may be a variable: `ip4.dst == ^vip`.
fn is_about(southbound: &Replica, matches: &str, protocol: Protocol, key: SocketAddr) -> bool {
    let clauses = || matches.split("&&").filter_map(|clause| clause.split_once("=="));
    let has = |fields: &[String], wanted: &dyn Fn(&str) -> bool| {
        let mut clauses = clauses().map(|(field, value)| (field.trim(), value.trim()));
        clauses.any(|(field, value)| {
            fields.iter().any(|it| it == field) && is_or_stands_for(southbound, value, wanted)
        })
    };
    let family = if key.is_ipv6() { "ip6" } else { "ip4" };
    let is_address = |value: &str| value.parse::<IpAddr>() == Ok(key.ip());
    let is_port = |value: &str| value.parse() == Ok(key.port());
    let is_protocol = |value: &str| value.parse() == Ok(protocol.number());
    let port_of_protocol = [format!("{protocol}.dst")];
    let by_name = || has(&port_of_protocol, &is_port);
    let by_register =
        || has(&["reg1[0..15]".to_owned()], &is_port) && has(&["reg1[16..23]".to_owned()], &is_protocol);
    has(&[format!("{family}.dst")], &is_address) && (by_name() || by_register())
}

fn is_or_stands_for(southbound: &Replica, value: &str, wanted: &dyn Fn(&str) -> bool) -> bool {
    let Some(variable) = value.strip_prefix('^') else { return wanted(value) };
    let variables =
        southbound.rows(TEMPLATE_VAR).filter_map(|(_, row)| row.get("variables")?.map_get(variable));
    let mut variables = variables;
    variables.any(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const OURS: &str = "00000000-0000-4000-8000-0000000000a1";
    const OTHERS: &str = "00000000-0000-4000-8000-0000000000a2";
    const BOTH: &str = "00000000-0000-4000-8000-0000000000a3";

    /// One flow of the stage, of a datapath or of a group of them.
    fn southbound(matches: &str, column: &str, of: &str) -> Replica {
        doing(matches, "ct_lb_mark(backends=10.0.0.1:80);", column, of)
    }

    fn doing(matches: &str, actions: &str, column: &str, of: &str) -> Replica {
        Replica::from_json(json!({
            "Datapath_Binding": {
                OURS: { "external_ids": ["map", [["name", "underlay"], ["logical-switch", "x"]]] },
                OTHERS: { "external_ids": ["map", [["name", "other-vpc"]]] },
            },
            "Logical_DP_Group": { BOTH: { "datapaths": ["set", [["uuid", OURS], ["uuid", OTHERS]]] } },
            "Chassis_Template_Var": { "00000000-0000-4000-8000-0000000000a4":
                { "variables": ["map", [["vip4", "10.0.0.9"]]] } },
            "Logical_Flow": { "00000000-0000-4000-8000-0000000000a5": { "match": matches, "actions": actions, column: ["uuid", of],
                "external_ids": ["map", [["stage-name", "ls_in_lb"]]] } },
        }))
        .unwrap()
    }

    #[test]
    fn a_key_is_translated_where_a_flow_of_the_switch_itself_says_so() {
        let flow = "ct.new && ip4.dst == 10.0.0.9 && tcp.dst == 80";
        let is = |southbound: &Replica, protocol, key: &str| {
            translation(southbound, "underlay", protocol, key.parse().unwrap()) > Translation::None
        };
        let own = southbound(flow, "logical_datapath", OURS);
        assert!(is(&own, Protocol::Tcp, "10.0.0.9:80"));
        assert!(is(&southbound(flow, "logical_dp_group", BOTH), Protocol::Tcp, "10.0.0.9:80"));
        assert!(
            !is(&southbound(flow, "logical_datapath", OTHERS), Protocol::Tcp, "10.0.0.9:80"),
            "another's"
        );
        assert!(!is(&own, Protocol::Udp, "10.0.0.9:80"));
        assert!(!is(&own, Protocol::Tcp, "10.0.0.9:81"));
        assert!(!is(&own, Protocol::Tcp, "10.0.0.8:80"));
    }

    #[test]
    fn every_form_of_a_match_is_read() {
        for (flow, key) in [
            ("ct.new && ip4.dst == 10.0.0.9 && reg1[16..23] == 6 && reg1[0..15] == 80", "10.0.0.9:80"),
            ("ct.new && ip6.dst == fd00::9 && reg1[16..23] == 6 && reg1[0..15] == 80", "[fd00::9]:80"),
            ("ct.new && ip4.dst == 10.0.0.9 && tcp.dst == 80 && is_chassis_resident(\"p\")", "10.0.0.9:80"),
            ("ct.new && ip4.dst == ^vip4 && tcp.dst == 80", "10.0.0.9:80"),
        ] {
            let found = southbound(flow, "logical_datapath", OURS);
            let found = translation(&found, "underlay", Protocol::Tcp, key.parse().unwrap());
            assert_ne!(found, Translation::None, "{flow}");
        }
    }

    #[test]
    fn where_a_packet_goes_is_told_by_the_flow() {
        let flow = "ct.new && ip4.dst == 10.0.0.9 && tcp.dst == 80";
        let resident = format!("{flow} && is_chassis_resident(\"p\")");
        for (matches, actions, goes) in [
            (flow, "drop;", Translation::Refused),
            (flow, "reject { outport <-> inport; next(pipeline=egress,table=6);};", Translation::Refused),
            (flow, "ct_lb_mark(backends=10.0.0.1:80);", Translation::Anywhere),
            (flow, "ct_lb_mark_local(backends=10.0.0.1:80);", Translation::Local),
            (flow, "reg1 = ^vip4; ct_lb_mark(backends=^backends4);", Translation::Local),
            (&resident, "ct_lb_mark(backends=10.0.0.1:80);", Translation::Local),
        ] {
            let found = doing(matches, actions, "logical_datapath", OURS);
            let key = "10.0.0.9:80".parse().unwrap();
            assert_eq!(translation(&found, "underlay", Protocol::Tcp, key), goes, "{matches} {actions}");
        }
    }
}
