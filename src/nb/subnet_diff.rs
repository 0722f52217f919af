//! A subnet's rows, wanted against found: the group and its attachment, the router port.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use crate::model::SubnetName;
use crate::ovsdb::{Datum, Replica, Row};

use super::diff::{Change, differing, push_refer};
use super::owner::{SUBNET, SubnetRow, subnet_of_group};
use super::render::RouterPort;
use super::rows::{GROUP, ROUTER, SWITCH, text};
use super::{Desired, Owner};

pub(super) fn diff(owner: &Owner, desired: &Desired, replica: &Replica, changes: &mut Vec<Change>) {
    let mut switches: BTreeMap<&str, Vec<Uuid>> = BTreeMap::new();
    for (uuid, row) in replica.rows(SWITCH) {
        switches.entry(text(row, "name")).or_default().push(*uuid);
    }
    for subnet in desired.groups.keys() {
        let uuid = owner.subnet_row(subnet, SubnetRow::Group);
        put_row(replica, SubnetRow::Group, subnet, uuid, columns_of_group(subnet), changes);
        for switch in switches.get(subnet.as_str()).into_iter().flatten() {
            attach(replica, *switch, subnet, "load_balancer_group", uuid, changes);
        }
    }
    for (subnet, port) in &desired.router_ports {
        for (row, columns) in router_rows(owner, subnet, port) {
            put_row(replica, row, subnet, owner.subnet_row(subnet, row), columns, changes);
        }
        let uuid = owner.subnet_row(subnet, SubnetRow::SwitchPort);
        for switch in switches.get(subnet.as_str()).into_iter().flatten().take(1) {
            attach(replica, *switch, subnet, "ports", uuid, changes);
        }
    }
    remove_strays(owner, desired, replica, changes);
}

/// Inserts the row, or updates the columns that differ.
fn put_row(
    replica: &Replica,
    row: SubnetRow,
    subnet: &SubnetName,
    uuid: Uuid,
    wanted: BTreeMap<String, Datum>,
    changes: &mut Vec<Change>,
) {
    let table = row.table();
    let Some(found) = replica.row(table, &uuid) else {
        changes.push(Change::Insert { table, uuid, columns: wanted });
        return;
    };
    let found: BTreeMap<String, Datum> =
        wanted.keys().filter_map(|column| Some((column.clone(), found.get(column)?.clone()))).collect();
    let columns = differing(wanted, &found);
    if !columns.is_empty() {
        changes.push(Change::Update { table, uuid, name: row.name(subnet), columns });
    }
}

/// Puts our row into a set of the switch, which is not ours.
fn attach(
    replica: &Replica,
    switch: Uuid,
    subnet: &SubnetName,
    column: &'static str,
    member: Uuid,
    changes: &mut Vec<Change>,
) {
    let found = replica.row(SWITCH, &switch).and_then(|row| row.get(column));
    if !found.is_some_and(|found| found.contains_uuid(&member)) {
        let (added, removed) = (BTreeSet::from([member]), BTreeSet::new());
        push_refer(changes, SWITCH, switch, subnet.to_string(), column, added, removed);
    }
}

/// Rows of ours for subnets that no longer want them. A switch's reference to a group is strong, so that it is
/// taken out too; a switch port goes when the switch no longer names it, a router port with its router (they are
/// in no root table).
fn remove_strays(owner: &Owner, desired: &Desired, replica: &Replica, changes: &mut Vec<Change>) {
    // What cannot be read is not gone.
    let is_unwanted = |subnet: &SubnetName| !desired.gaps.cover_subnet(subnet);
    for (uuid, row) in replica.rows(GROUP) {
        let name = text(row, "name");
        if subnet_of_group(name)
            .is_some_and(|subnet| is_unwanted(&subnet) && !desired.groups.contains_key(&subnet))
        {
            changes.push(Change::Delete { table: GROUP, uuid: *uuid, name: name.to_owned() });
            detach(replica, "load_balancer_group", *uuid, changes);
        }
    }
    for (uuid, row) in replica.rows(ROUTER).filter(|(_, row)| owner.owns(row.get("external_ids"))) {
        let Some(subnet) = row.get("external_ids").and_then(|ids| ids.map_get(SUBNET)).map(SubnetName::from)
        else {
            continue;
        };
        if desired.router_ports.contains_key(&subnet) || !is_unwanted(&subnet) {
            continue;
        }
        changes.push(Change::Delete { table: ROUTER, uuid: *uuid, name: text(row, "name").to_owned() });
        let port = owner.subnet_row(&subnet, SubnetRow::SwitchPort);
        detach(replica, "ports", port, changes);
    }
}

/// Takes our row out of a set of every switch that has it.
fn detach(replica: &Replica, column: &'static str, member: Uuid, changes: &mut Vec<Change>) {
    let has = |row: &Row| row.get(column).is_some_and(|set| set.contains_uuid(&member));
    for (switch, row) in replica.rows(SWITCH).filter(|(_, row)| has(row)) {
        let name = text(row, "name").to_owned();
        push_refer(changes, SWITCH, *switch, name, column, BTreeSet::new(), BTreeSet::from([member]));
    }
}

fn columns_of_group(subnet: &SubnetName) -> BTreeMap<String, Datum> {
    BTreeMap::from([("name".to_owned(), Datum::from(SubnetRow::Group.name(subnet).as_str()))])
}

/// Router, router port and switch port: the packet is routed back into the switch it came from.
fn router_rows(
    owner: &Owner,
    subnet: &SubnetName,
    port: &RouterPort,
) -> [(SubnetRow, BTreeMap<String, Datum>); 3] {
    let marks = owner.subnet_marks(subnet);
    let row = |row: SubnetRow, columns: Vec<(&str, Datum)>| {
        let marks = Datum::map(marks.iter().map(|(key, value)| (key.as_str(), value.as_str())));
        let common = [("name", Datum::from(row.name(subnet).as_str())), ("external_ids", marks)];
        let columns = columns.into_iter().chain(common).map(|(name, datum)| (name.to_owned(), datum));
        (row, columns.collect())
    };
    let router_port = owner.subnet_row(subnet, SubnetRow::RouterPort);
    let networks: Vec<String> = port.networks.iter().map(ToString::to_string).collect();
    let vips: String = port.vips.iter().map(|vip| format!(" {vip}")).collect();
    // The VIPs among a router-type port's addresses make OVN answer ARP and ND for them to pods of this switch
    // only, never to the wire (measured).
    let addresses = format!("{}{vips}", port.mac);
    let peer = SubnetRow::RouterPort.name(subnet);
    [
        row(SubnetRow::Router, vec![("ports", Datum::uuids([router_port]))]),
        row(
            SubnetRow::RouterPort,
            vec![
                ("mac", Datum::from(port.mac.to_string().as_str())),
                ("networks", Datum::strings(networks.iter().map(String::as_str))),
            ],
        ),
        row(
            SubnetRow::SwitchPort,
            vec![
                ("type", Datum::from("router")),
                ("options", Datum::map([("router-port", peer.as_str())])),
                ("addresses", Datum::strings([addresses.as_str()])),
            ],
        ),
    ]
}
