//! The tables and columns that we use, and typed rows of them.
//!
//! `ovsdb-schemas/` writes them down with the OVN release in which each appeared; a test holds the two together.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use crate::ovsdb::{Atom, Datum, MissingRequired, Replica, Row, Schema, TablesWanted};

/// The northbound's name.
pub const NORTHBOUND: &str = "OVN_Northbound";
/// The southbound's name.
pub const SOUTHBOUND: &str = "OVN_Southbound";
/// `Load_Balancer`.
pub const LOAD_BALANCER: &str = "Load_Balancer";
/// `Load_Balancer_Group`.
pub const GROUP: &str = "Load_Balancer_Group";
/// `Logical_Switch`.
pub const SWITCH: &str = "Logical_Switch";
/// `Logical_Switch_Port`.
pub const SWITCH_PORT: &str = "Logical_Switch_Port";
/// `Logical_Router`.
pub const ROUTER: &str = "Logical_Router";
/// `Logical_Router_Port`.
pub const ROUTER_PORT: &str = "Logical_Router_Port";
/// `ACL`.
pub const ACL: &str = "ACL";
/// `Chassis_Template_Var`.
pub const TEMPLATE_VAR: &str = "Chassis_Template_Var";
/// `NB_Global`.
pub const NB_GLOBAL: &str = "NB_Global";
/// `Port_Binding`, of the southbound.
pub const PORT_BINDING: &str = "Port_Binding";

/// `Logical_Flow`, of the southbound.
pub const LOGICAL_FLOW: &str = "Logical_Flow";
/// `Datapath_Binding`, of the southbound.
pub const DATAPATH: &str = "Datapath_Binding";
/// `Logical_DP_Group`, of the southbound.
pub const DATAPATH_GROUP: &str = "Logical_DP_Group";
/// `Chassis`, of the southbound.
pub const CHASSIS: &str = "Chassis";

/// What we follow of the northbound.
pub fn northbound_tables() -> TablesWanted {
    let balancer = ["name", "protocol", "vips", "ip_port_mappings", "options", "external_ids"];
    TablesWanted::new()
        .require(NB_GLOBAL, &["options"])
        .require(LOAD_BALANCER, &balancer)
        .prefer(LOAD_BALANCER, &["selection_fields"])
        .prefer_table(TEMPLATE_VAR, &["variables"])
        .require(GROUP, &["name", "load_balancer"])
        .require(SWITCH, &["name", "ports", "load_balancer_group", "acls", "external_ids"])
        .prefer(SWITCH, &["load_balancer"])
        .require(ACL, &["name", "direction", "priority", "match", "action", "external_ids"])
        .prefer(ACL, &["tier"])
        .require(SWITCH_PORT, &["name", "type", "addresses", "options", "external_ids"])
        .prefer(SWITCH_PORT, &["dynamic_addresses", "tag", "enabled"])
        .require(ROUTER, &["name", "ports", "external_ids"])
        .require(ROUTER_PORT, &["name", "mac", "networks", "external_ids"])
}

/// What we follow of the southbound.
pub fn southbound_tables() -> TablesWanted {
    TablesWanted::new()
        .require(PORT_BINDING, &["logical_port", "chassis"])
        .require(CHASSIS, &["name"])
        .require(LOGICAL_FLOW, &["match", "actions", "external_ids", "priority"])
}

/// The newest of the OVN releases in which the missing columns appeared, as `ovsdb-schemas/` has them.
pub fn needed_release(missing: &MissingRequired) -> String {
    let file = if missing.database == SOUTHBOUND {
        include_str!("../../ovsdb-schemas/ovn-sb.ovsschema")
    } else {
        include_str!("../../ovsdb-schemas/ovn-nb.ovsschema")
    };
    let schema: serde_json::Value = serde_json::from_str(file).unwrap_or_default();
    let since = missing.missing.iter().filter_map(|missing| {
        let table = &schema["tables"][missing.table.as_str()];
        let entry = missing.column.as_deref().map_or(table, |column| &table["columns"][column]);
        entry["since"].as_str().map(str::to_owned)
    });
    since.max().unwrap_or_else(|| "26.03".to_owned())
}

/// Which fields this northbound can select a backend by (`Load_Balancer.selection_fields`): older ones know
/// no IPv6 address, the oldest no field at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection(BTreeSet<String>);

impl Selection {
    /// The values that the schema allows.
    pub fn read(schema: &Schema) -> Self {
        let column = schema.column(LOAD_BALANCER, "selection_fields");
        let allowed = column.and_then(|column| column.key.allowed.as_ref());
        Self(
            allowed
                .into_iter()
                .flat_map(Datum::members)
                .filter_map(Atom::as_str)
                .map(str::to_owned)
                .collect(),
        )
    }

    /// A northbound of today.
    pub fn full() -> Self {
        Self(["ip_src", "ipv6_src"].map(str::to_owned).into())
    }

    /// The fields that keep a client with its backend, as far as this northbound knows them.
    pub fn of_client_address(&self) -> BTreeSet<String> {
        Self::full().0.intersection(&self.0).cloned().collect()
    }
}

/// One row of Load_Balancer, wanted or found: the same type, so that a difference is `!=`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadBalancerRow {
    /// `name`; for people, it need not be unique.
    pub name: String,
    /// `protocol`.
    pub protocol: String,
    /// `vips`: `"10.0.0.9:80" = "10.0.0.1:80,10.0.0.2:80"`, IPv6 in brackets.
    pub vips: BTreeMap<String, String>,
    /// `ip_port_mappings`.
    pub ip_port_mappings: BTreeMap<String, String>,
    /// `options`.
    pub options: BTreeMap<String, String>,
    /// `selection_fields`.
    pub selection_fields: BTreeSet<String>,
    /// `external_ids`.
    pub external_ids: BTreeMap<String, String>,
}

impl LoadBalancerRow {
    /// Reads the row of that name.
    pub fn read(replica: &Replica, uuid: Uuid) -> Option<Self> {
        let row = replica.row(LOAD_BALANCER, &uuid)?;
        Some(Self {
            name: text(row, "name").to_owned(),
            protocol: text(row, "protocol").to_owned(),
            vips: map(row, "vips"),
            ip_port_mappings: map(row, "ip_port_mappings"),
            options: map(row, "options"),
            selection_fields: strings(row, "selection_fields"),
            external_ids: map(row, "external_ids"),
        })
    }

    /// The columns as the database holds them.
    pub fn columns(&self) -> BTreeMap<String, Datum> {
        let Self { name, protocol, vips, ip_port_mappings, options, selection_fields, external_ids } = self;
        let columns = [
            ("name", Datum::from(name.as_str())),
            ("protocol", Datum::from(protocol.as_str())),
            ("vips", string_map(vips)),
            ("ip_port_mappings", string_map(ip_port_mappings)),
            ("options", string_map(options)),
            ("selection_fields", Datum::strings(selection_fields.iter().map(String::as_str))),
            ("external_ids", string_map(external_ids)),
        ];
        columns.into_iter().map(|(name, datum)| (name.to_owned(), datum)).collect()
    }
}

/// One row of ACL, wanted or found. Ours all see what enters a switch (`from-lport`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AclRow {
    /// `name`; for people, 63 characters at most.
    pub name: String,
    /// `priority`.
    pub priority: i64,
    /// `tier`.
    pub tier: i64,
    /// `action`.
    pub action: String,
    /// `match`.
    pub matches: String,
    /// `external_ids`.
    pub external_ids: BTreeMap<String, String>,
}

impl AclRow {
    /// Reads the row of that name.
    pub fn read(replica: &Replica, uuid: Uuid) -> Option<Self> {
        let row = replica.row(ACL, &uuid)?;
        let number = |column| row.get(column).and_then(Datum::as_integer).unwrap_or_default();
        Some(Self {
            name: text(row, "name").to_owned(),
            priority: number("priority"),
            tier: number("tier"),
            action: text(row, "action").to_owned(),
            matches: text(row, "match").to_owned(),
            external_ids: map(row, "external_ids"),
        })
    }

    /// The columns as the database holds them.
    pub fn columns(&self) -> BTreeMap<String, Datum> {
        let Self { name, priority, tier, action, matches, external_ids } = self;
        let columns = [
            ("name", Datum::from(name.as_str())),
            ("direction", Datum::from("from-lport")),
            ("priority", Datum::from(*priority)),
            ("tier", Datum::from(*tier)),
            ("action", Datum::from(action.as_str())),
            ("match", Datum::from(matches.as_str())),
            ("external_ids", string_map(external_ids)),
        ];
        columns.into_iter().map(|(name, datum)| (name.to_owned(), datum)).collect()
    }
}

/// A text column; empty where it is not there.
pub fn text<'r>(row: &'r Row, column: &str) -> &'r str {
    row.get(column).and_then(Datum::as_str).unwrap_or_default()
}

/// A column of uuids.
pub fn uuids<'r>(row: &'r Row, column: &str) -> impl Iterator<Item = Uuid> + 'r {
    row.get(column).into_iter().flat_map(Datum::uuid_members)
}

/// A column of strings.
pub fn strings(row: &Row, column: &str) -> BTreeSet<String> {
    row.get(column).into_iter().flat_map(Datum::string_members).map(str::to_owned).collect()
}

/// A column of string pairs.
pub fn map(row: &Row, column: &str) -> BTreeMap<String, String> {
    let pairs = row.get(column).into_iter().flat_map(Datum::string_map);
    pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// String pairs as a column.
pub fn string_map(map: &BTreeMap<String, String>) -> Datum {
    Datum::map(map.iter().map(|(key, value)| (key.as_str(), value.as_str())))
}
