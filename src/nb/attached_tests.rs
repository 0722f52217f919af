//! One row at a time, on the switches, in the groups and at the routers that may have it: who holds its key on which switch.

use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::model::{Holder, Protocol};

const ROW: Uuid = Uuid::from_u128(9);

/// What has the row: `underlay` and `second` have a localnet port, `overlay` has none, `ours` and `theirs` are groups.
#[derive(Clone, Copy, Default)]
struct Has<'a> {
    /// These have it in `load_balancer`.
    switches: &'a [&'a str],
    /// These have the group.
    group_on: &'a [&'a str],
    /// The group has it.
    grouped: bool,
    /// A router has it.
    routed: bool,
}

fn is(switches: &[&str]) -> Has<'static> {
    let switches: Vec<&'static str> =
        ["underlay", "second", "overlay"].into_iter().filter(|name| switches.contains(name)).collect();
    Has { switches: switches.leak(), ..Has::default() }
}

fn set(is_there: bool, uuid: Uuid) -> Value {
    json!(["set", is_there.then(|| json!(["uuid", uuid])).into_iter().collect::<Vec<_>>()])
}

fn northbound(has: Has<'_>, row: &Value) -> Replica {
    let group = Uuid::from_u128(8);
    let switch = |name: &str, port: u128| {
        let ports = set(port > 0, Uuid::from_u128(port));
        json!({ "name": name, "ports": ports, "load_balancer": set(has.switches.contains(&name), ROW),
                "load_balancer_group": set(has.group_on.contains(&name), group) })
    };
    let wire = |name: &str| json!({ "name": name, "type": "localnet" });
    let id = |number| Uuid::from_u128(number).to_string();
    Replica::from_json(json!({
        "Logical_Switch": { id(1): switch("underlay", 11), id(2): switch("second", 12), id(3): switch("overlay", 0) },
        "Logical_Switch_Port": { id(11): wire("localnet.underlay"), id(12): wire("localnet.second") },
        "Logical_Router": { id(5): { "name": "blue", "load_balancer": set(has.routed, ROW) } },
        "Load_Balancer_Group": { id(8): { "name": "theirs", "load_balancer": set(has.grouped, ROW) } },
        "Chassis_Template_Var": { id(6): { "chassis": "a", "variables": ["map", [["vip", "10.0.0.9"]]] } },
        "Load_Balancer": { ROW.to_string(): row },
    }))
    .unwrap()
}

/// A controller's view of it, as it changes.
#[derive(Default)]
struct View {
    index: NetworkIndex,
    replica: Replica,
}

impl View {
    /// Where the key is held once this is so.
    fn held(&mut self, has: Has<'_>, row: &Value) -> Vec<(String, Holder)> {
        let changes = self.replica.become_level_with(northbound(has, row));
        self.index.northbound_changed(&Owner::new("test", 0), &self.replica, &changes);
        self.again()
    }

    fn again(&self) -> Vec<(String, Holder)> {
        let on = self.index.network().native.get(&(Protocol::Tcp, "10.0.0.9:80".parse().unwrap()));
        on.into_iter().flatten().map(|(switch, row)| (switch.to_string(), row.holder)).collect()
    }
}

fn rows() -> [(&'static str, Value, Holder); 4] {
    let vips = json!(["map", [["10.0.0.9:80", "10.0.0.1:80"]]]);
    [
        (
            "of Kube-OVN's",
            json!({ "name": "vpc-blue-tcp-load", "vips": vips, "options": ["map", [["prefer_local_backend", "true"]]] }),
            Holder::KubeOvn,
        ),
        ("a stranger's", json!({ "name": "foo", "vips": vips }), Holder::Stranger),
        (
            "for a Service",
            json!({ "name": "service:default/web:tcp:external", "vips": vips,
                    "external_ids": ["map", [["kube-ovn.io/lb-owner-name", "web"]]] }),
            Holder::KubeOvn,
        ),
        (
            "a template",
            json!({ "name": "service:default/web:tcp:external", "vips": ["map", [["^vip:80", "^backends"]]],
                    "options": ["map", [["template", "true"]]] }),
            Holder::Template,
        ),
    ]
}

#[test]
fn a_row_holds_its_keys_on_the_switches_that_have_it_and_on_no_other() {
    let nowhere = Has::default();
    let both = &["underlay", "second"][..];
    for (what, row, holder) in rows() {
        for (where_, has, wanted) in [
            ("the VIP's switch", is(&["underlay"]), &["underlay"][..]),
            ("another switch on the wire", is(&["second"]), &["second"]),
            ("both", is(both), both),
            ("a switch of no wire", is(&["overlay"]), &[]),
            ("nowhere", nowhere, &[]),
            ("a router", Has { routed: true, ..nowhere }, &[]),
            ("a group", Has { grouped: true, group_on: &["underlay"], ..nowhere }, &["underlay"]),
            ("another switch's group", Has { grouped: true, group_on: &["second"], ..nowhere }, &["second"]),
            ("a group that nobody has", Has { grouped: true, ..nowhere }, &[]),
            ("a group without it", Has { group_on: both, ..nowhere }, &[]),
        ] {
            let held = View::default().held(has, &row);
            let wanted: BTreeSet<_> = wanted.iter().map(|switch| ((*switch).to_owned(), holder)).collect();
            assert_eq!(held.into_iter().collect::<BTreeSet<_>>(), wanted, "{what}: {where_}");
        }
    }
}

#[test]
fn what_is_attached_later_holds_and_what_is_taken_off_lets_go_on_that_switch_only() {
    let on = |names: &[&str], holder| names.iter().map(|it| ((*it).to_owned(), holder)).collect::<Vec<_>>();
    for (what, row, holder) in rows() {
        let mut view = View::default();
        for (has, wanted) in [
            (is(&[]), &[][..]),
            (is(&["second"]), &["second"]),
            (is(&["second", "underlay"]), &["second", "underlay"]),
            (is(&["second"]), &["second"]),
            (is(&["overlay"]), &[]),
        ] {
            assert_eq!(view.held(has, &row), on(wanted, holder), "{what}: {:?}", has.switches);
        }
        // Attached again it was written again: it is waited for on that switch.
        let group = Has { grouped: true, group_on: &["underlay"], ..Has::default() };
        assert_eq!(view.held(group, &row), on(&["underlay"], holder), "{what}");
        let awaited = if holder.serves() { &["underlay"][..] } else { &[] };
        assert_eq!(
            view.held(is(&[]), &row),
            on(awaited, Holder::Awaited { seconds: 2, undone: 1 }),
            "{what}"
        );
        view.index.advance(Duration::from_secs(30));
        assert_eq!(view.again(), [], "{what}");
    }
}
