//! Rules that are about to be others.

use super::*;

#[test]
fn while_rules_are_replaced_the_old_ones_deliver_and_the_vip_is_spoken_on() {
    let (mut segment, now) = held(Whose::Ours { first: false });
    segment.socket_opened(now);
    let old: BTreeSet<Flow> = segment.flows.clone();
    news(&mut segment);
    let mut narrower = plan(Whose::Ours { first: false });
    let sources = Sources::only(["192.0.2.0/24".parse().unwrap()]);
    let steered = narrower.steered.get_mut(&VIP).unwrap();
    // It is let in by a mark from here on: every rule is another.
    (steered.gated, steered.ports) = (true, [((Protocol::Tcp, 80), sources)].into());
    segment.set_plan(narrower, located(true), now);
    let new: BTreeSet<Flow> = segment.flows.clone();
    assert!(new.is_disjoint(&old));

    let on = |rules: &BTreeSet<Flow>, segment: &mut Segment| {
        let is_on_bridge = |flow: &Flow| rules.contains(flow);
        segment.speak_what_is_delivered(&Ready { is_on_bridge: &is_on_bridge, ..READY }, now);
        (segment.claimed.contains(&VIP), news(segment))
    };
    assert_eq!(on(&old, &mut segment), (true, vec![]), "the bundle is under way");
    assert_eq!(on(&new, &mut segment), (true, vec![]));
    let (claimed, told) = on(&old, &mut segment);
    assert!(
        !claimed && matches!(told[..], [News::Withdrawn(..)]),
        "what was replaced counts no more: {told:?}"
    );
}
