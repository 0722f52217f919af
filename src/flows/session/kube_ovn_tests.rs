//! What is left to Kube-OVN's own rules.

use super::*;
use crate::flows::Action;
use crate::flows::session::leave::DISTRUST;
use crate::model::{Mac, VlanId};

fn tcp(port: u16) -> Flow {
    flow("10.0.0.9", Traffic::Port(Protocol::Tcp, port))
}

/// With another MAC.
pub(super) fn wrong(mut flow: Flow) -> Flow {
    flow.actions[0] = Action::SetEthDst(Mac([0, 0, 0, 9, 9, 9]));
    flow
}

/// A session that wants these flows.
fn wanting(switch: Fake, flows: impl IntoIterator<Item = Flow>) -> Pair {
    let mut pair = Pair::new(switch, []);
    pair.session = Session::new(pair.now, Arc::new(Wanted::from(flows.into_iter().collect::<BTreeSet<_>>())));
    pair
}

/// How many flows of ours there are.
fn ours(pair: &Pair) -> usize {
    pair.switch.flows.keys().filter(|key| key.1 == PRIORITY).count()
}

/// Lets the switch's telling be read.
fn after_telling(pair: &mut Pair) -> Vec<Event> {
    pair.talk().unwrap();
    pair.wait().unwrap().1
}

#[test]
fn what_kube_ovns_own_rule_does_is_left_to_it_and_confirmed_and_path_mtu_is_always_ours() {
    let path_mtu = flow("10.0.0.9", Traffic::PathMtu);
    let v6 = flow("fd00::9", Traffic::Port(Protocol::Udp, 53));
    let mut switch = Fake::new();
    switch.put_kube_ovns(&tcp(80), 0x1000);
    switch.put_kube_ovns(&path_mtu, 0x1000);
    switch.put_kube_ovns(&v6, 0x1001);
    switch.out.clear();
    let mut pair = wanting(switch, [tcp(80), tcp(81), path_mtu, v6.clone()]);
    let wanted = [Event::LeftToKubeOvn { left: 2, taken_back: 0 }, Event::Installed { added: 2, removed: 0 }];
    assert_eq!(pair.talk().unwrap()[1..], wanted);
    assert_eq!(ours(&pair), 2);
    assert!(pair.session.is_installed() && pair.session.confirms(&tcp(80)) && pair.session.confirms(&v6));
    assert_eq!(pair.count(), 5, "its rules are left alone");
}

#[test]
fn a_rule_of_kube_ovns_that_is_wrong_or_another_is_not_relied_on() {
    let mut output = tcp(80);
    output.actions[1] = Action::Output(7);
    let mut more = tcp(80);
    more.actions.push(Action::Output(7));
    let mut nothing = tcp(80);
    nothing.actions.clear();
    let mut other_nic = tcp(80);
    vip(&mut other_nic).in_port = 9;
    let mut tagged = tcp(80);
    vip(&mut tagged).vlan = VlanId::new(341);
    let udp = flow("10.0.0.9", Traffic::Port(Protocol::Udp, 80));
    for theirs in [wrong(tcp(80)), output, more, nothing, other_nic, tagged, udp, tcp(81)] {
        let mut switch = Fake::new();
        switch.put_kube_ovns(&theirs, 0x1000);
        let mut pair = wanting(switch, [tcp(80)]);
        assert_eq!(pair.talk().unwrap()[1..], [Event::Installed { added: 1, removed: 0 }], "{theirs}");
    }
    for (cookie, table, priority) in [(0x1002, 0, 10000), (0x1000, 1, 10000), (0x1000, 0, 10001)] {
        let mut switch = Fake::new();
        switch.put_kube_ovns(&tcp(80), cookie);
        let (key, rule) = switch.flows.pop_first().unwrap();
        switch.flows.insert((table, priority, key.2), rule);
        let mut pair = wanting(switch, [tcp(80)]);
        assert_eq!(pair.talk().unwrap()[1..], [Event::Installed { added: 1, removed: 0 }]);
    }
}

#[test]
fn ours_goes_when_kube_ovns_comes_and_is_back_at_once_when_that_goes_or_turns_wrong() {
    type Break = fn(&mut Fake);
    let breaks: [Break; 2] =
        [|switch| switch.remove_kube_ovns(&tcp(80)), |switch| switch.put_kube_ovns(&wrong(tcp(80)), 0x1000)];
    for break_it in breaks {
        let mut pair = wanting(Fake::new(), [tcp(80), tcp(81)]);
        pair.talk().unwrap();
        pair.now += SETTLE;
        pair.switch.put_kube_ovns(&tcp(80), 0x1000);
        assert_eq!(after_telling(&mut pair), [Event::LeftToKubeOvn { left: 1, taken_back: 0 }]);
        assert_eq!(ours(&pair), 1);
        break_it(&mut pair.switch);
        let back = Event::LeftToKubeOvn { left: 0, taken_back: 1 };
        assert_eq!(after_telling(&mut pair), [back], "handing over is no repair");
        assert!(ours(&pair) == 2 && pair.session.confirms(&tcp(80)));
    }
}

#[test]
fn a_rule_of_kube_ovns_that_comes_and_goes_is_relied_on_again_only_after_it_stayed() {
    let mut pair = wanting(Fake::new(), [tcp(80)]);
    pair.switch.put_kube_ovns(&tcp(80), 0x1000);
    pair.talk().unwrap();
    let since = pair.now;
    for _ in 0..5 {
        pair.switch.remove_kube_ovns(&tcp(80));
        after_telling(&mut pair);
        assert_eq!(ours(&pair), 1);
        pair.switch.put_kube_ovns(&tcp(80), 0x1000);
        assert_eq!(after_telling(&mut pair), [], "ours stays");
        let until = pair.now + Duration::from_secs(15);
        while pair.now < until {
            pair.wait().unwrap();
            assert_eq!(ours(&pair), 1);
        }
    }
    assert!(pair.now - since > DISTRUST * 2);
    let until = pair.now + DISTRUST;
    while pair.now < until {
        pair.wait().unwrap();
    }
    assert_eq!(ours(&pair), 0);
    assert!(pair.session.confirms(&tcp(80)));
}

#[test]
fn a_rule_without_a_tag_is_right_only_if_it_is_so_in_every_vlan_where_its_frames_are_wanted() {
    let tagged = |vlan| {
        let mut flow = tcp(80);
        vip(&mut flow).vlan = VlanId::new(vlan);
        flow
    };
    for (other, left) in [(tagged(342), 2), (wrong(tagged(342)), 0)] {
        let mut switch = Fake::new();
        switch.put_kube_ovns(&tcp(80), 0x1000);
        let mut pair = wanting(switch, [tagged(341), other]);
        pair.talk().unwrap();
        assert_eq!(ours(&pair), 2 - left);
        assert!(pair.session.is_installed());
    }
}

#[test]
fn a_flow_of_ours_that_kube_ovns_replacing_brings_back_goes_again_and_that_is_a_repair() {
    let mut switch = Fake::new();
    switch.put_kube_ovns(&tcp(80), 0x1000);
    let mut pair = wanting(switch, [tcp(80), tcp(81)]);
    pair.talk().unwrap();
    let mut other = wanting(Fake::new(), [tcp(80), tcp(81)]);
    other.talk().unwrap();
    pair.switch.flows.extend(other.switch.flows);
    pair.switch.tell_change(1, COOKIE, PRIORITY);
    assert_eq!(after_telling(&mut pair), [Event::Repaired { added: 0, removed: 1 }]);
    assert_eq!(ours(&pair), 1);
}
