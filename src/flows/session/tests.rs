//! A session against a switch that is scripted or simulated, in virtual time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::fake::Fake;
use super::*;
use crate::flows::flow::tests::{flow, vip};
use crate::flows::{COOKIE, Flow, PRIORITY, Traffic, Version};
use crate::model::Protocol;

#[path = "kube_ovn_tests.rs"]
mod kube_ovn_tests;

const MULTIPART: u8 = 18;
const BUNDLE_CONTROL: u8 = 33;
const FLOW_MOD: u8 = 14;
const BAD_OUT_PORT: OpenFlowError = OpenFlowError { kind: 2, code: 4 };

fn flows(ports: impl IntoIterator<Item = u16>) -> BTreeSet<Flow> {
    ports.into_iter().map(|port| flow("10.0.0.9", Traffic::Port(Protocol::Tcp, port))).collect()
}

fn wanted(ports: impl IntoIterator<Item = u16>) -> Arc<Wanted> {
    Arc::new(Wanted::from(flows(ports)))
}

/// A session, its switch and their clock.
struct Pair {
    session: Session,
    switch: Fake,
    now: Duration,
    /// Bytes come in portions of this many.
    portion: usize,
}

impl Pair {
    fn new(switch: Fake, ports: impl IntoIterator<Item = u16>) -> Self {
        let now = Duration::from_secs(100);
        Self { session: Session::new(now, wanted(ports)), switch, now, portion: usize::MAX }
    }

    /// Carries bytes to and fro until both are silent.
    fn talk(&mut self) -> Result<Vec<Event>, SessionError> {
        loop {
            let sent = std::mem::take(self.session.output());
            self.switch.receive(&sent);
            let answers = std::mem::take(&mut self.switch.out);
            if sent.is_empty() && answers.is_empty() {
                return Ok(std::iter::from_fn(|| self.session.next_event()).collect());
            }
            for part in answers.chunks(self.portion) {
                self.session.receive(self.now, part)?;
            }
        }
    }

    /// Lets time pass to the session's own next deadline.
    fn wait(&mut self) -> Result<(Duration, Vec<Event>), SessionError> {
        let waited = self.session.deadline().saturating_sub(self.now);
        self.now += waited;
        self.session.tick(self.now)?;
        Ok((waited, self.talk()?))
    }

    fn want(&mut self, ports: impl IntoIterator<Item = u16>) -> Result<Vec<Event>, SessionError> {
        self.session.set_wanted(self.now, wanted(ports));
        self.talk()
    }

    fn count(&self) -> usize {
        self.switch.flows.len()
    }
}

fn connected(version: Version) -> Event {
    Event::Connected { version, datapath: 9 }
}

#[test]
fn a_flow_of_somebody_elses_that_one_of_ours_replaces_is_named_once() {
    let mut switch = Fake::new();
    for flow in flows([80]) {
        switch.put_anothers(&flow, 0x77);
    }
    let mut pair = Pair::new(switch, [80, 81]);
    let told = |events: Vec<Event>| {
        let cookies = events.into_iter().filter_map(|event| match event {
            Event::Replaces { flow, cookie } => Some((flow.contains("tp_dst=80"), cookie)),
            _ => None,
        });
        cookies.collect::<Vec<_>>()
    };
    assert_eq!(told(pair.talk().unwrap()), [(true, 0x77)]);
    assert_eq!(told(pair.wait().unwrap().1), []);
    assert_eq!(told(pair.want([80, 81, 82]).unwrap()), []);
}

#[test]
fn what_is_wanted_is_installed_in_one_bundle_and_the_difference_of_the_next_wish_too() {
    let mut pair = Pair::new(Fake::new(), [80, 81]);
    let events = pair.talk().unwrap();
    assert_eq!(events, [connected(Version::V14), Event::Installed { added: 2, removed: 0 }]);
    assert!(pair.session.is_installed() && pair.count() == 2);
    pair.switch.seen.clear();
    assert_eq!(pair.want([81, 82, 83]).unwrap(), [Event::Installed { added: 2, removed: 1 }]);
    assert_eq!(pair.switch.seen, [BUNDLE_CONTROL, 34, 34, 34, BUNDLE_CONTROL], "nothing is read");
    assert_eq!(pair.want([]).unwrap(), [Event::Installed { added: 0, removed: 3 }]);
    assert_eq!(pair.count(), 0);
}

#[test]
fn flows_that_are_there_already_are_left_alone() {
    let mut first = Pair::new(Fake::new(), [80, 81]);
    first.talk().unwrap();
    let mut switch = first.switch;
    switch.seen.clear();
    let mut second = Pair::new(switch, [80, 81]);
    assert_eq!(second.talk().unwrap()[1], Event::Installed { added: 0, removed: 0 });
    assert!(!second.switch.seen.contains(&BUNDLE_CONTROL), "{:?}", second.switch.seen);
}

#[test]
fn bytes_in_any_portions_and_replies_in_many_parts_mean_the_same() {
    for (portion, per_part) in [(1, 1), (7, 3), (usize::MAX, 1)] {
        let mut pair = Pair::new(Fake { per_part, ..Fake::new() }, 1..20);
        pair.portion = portion;
        pair.talk().unwrap();
        assert_eq!(pair.want(5..25).unwrap(), [Event::Installed { added: 5, removed: 4 }]);
        assert_eq!(pair.count(), 20);
    }
}

#[test]
fn a_switch_without_1_4_is_served_in_1_3_flow_by_flow() {
    let mut pair = Pair::new(Fake { versions: 1 << 4, ..Fake::new() }, [80]);
    assert_eq!(pair.talk().unwrap(), [connected(Version::V13), Event::Installed { added: 1, removed: 0 }]);
    assert!(pair.switch.seen.contains(&FLOW_MOD) && !pair.switch.seen.contains(&BUNDLE_CONTROL));
    assert!(pair.session.deadline() - pair.now <= VERIFY, "without a monitor it looks more often");
}

#[test]
fn a_switch_without_either_version_is_named_with_what_it_speaks() {
    let mut pair = Pair::new(Fake { versions: 0b110, ..Fake::new() }, [80]);
    let error = pair.talk().unwrap_err().to_string();
    assert_eq!(error, "it speaks only OpenFlow10, OpenFlow11, and this needs OpenFlow14 or OpenFlow13");
}

#[test]
fn a_switch_without_bundles_or_monitors_is_served_all_the_same() {
    let mut pair = Pair::new(Fake { bundles: false, monitors: false, ..Fake::new() }, [80, 81]);
    assert_eq!(pair.talk().unwrap()[1], Event::Installed { added: 2, removed: 0 });
    pair.switch.seen.clear();
    assert_eq!(pair.want([80]).unwrap(), [Event::Installed { added: 0, removed: 1 }]);
    assert!(!pair.switch.seen.contains(&BUNDLE_CONTROL), "asked once, not again");
}

#[test]
fn a_flow_that_is_refused_is_named_and_keeps_no_other_out() {
    let port_81 = vec![0x80, 0, 28, 2, 0, 81];
    let mut pair = Pair::new(Fake { refuses: Some(port_81), ..Fake::new() }, [80, 81, 82]);
    let events = pair.talk().unwrap();
    let [refused] = flows([81]).into_iter().collect::<Vec<_>>().try_into().unwrap();
    assert_eq!(
        events[1..],
        [
            Event::Refused { change: refused.to_string(), error: BAD_OUT_PORT },
            Event::Installed { added: 2, removed: 0 }
        ]
    );
    assert!(!pair.session.is_installed() && !pair.session.confirms(&refused));
    assert!(flows([80, 82]).iter().all(|flow| pair.session.confirms(flow)));

    let (first, second) = (pair.wait().unwrap(), pair.wait().unwrap());
    let waits = [first.0, second.0].map(|wait| wait.as_secs());
    assert_eq!(waits, [1, 2], "a table that was full for a moment has room soon");
    let retried = (0..20).flat_map(|_| pair.wait().unwrap().1).chain(first.1).chain(second.1);
    assert_eq!(retried.collect::<Vec<_>>(), [], "it is tried again, and told once");
    pair.switch.refuses = None;
    let retried = (0..20).flat_map(|_| pair.wait().unwrap().1).collect::<Vec<_>>();
    assert_eq!(retried, [Event::Installed { added: 1, removed: 0 }], "nobody had taken it away");
    assert!(pair.session.is_installed());
}

#[test]
fn a_flow_that_somebody_removes_is_back_as_soon_as_the_switch_tells() {
    let mut pair = Pair::new(Fake::new(), [80, 81]);
    pair.talk().unwrap();
    pair.now += Duration::from_secs(1);
    pair.switch.flows.pop_first();
    pair.switch.tell_change(2, COOKIE, PRIORITY);
    assert_eq!(pair.talk().unwrap(), []);
    let (waited, events) = pair.wait().unwrap();
    assert_eq!((waited, events), (Duration::ZERO, vec![Event::Repaired { added: 1, removed: 0 }]));
    assert_eq!(pair.count(), 2);
}

#[test]
fn a_flow_of_our_priority_or_of_kube_ovns_is_looked_at_whatever_its_cookie_and_others_are_not() {
    let mut pair = Pair::new(Fake::new(), [80]);
    pair.talk().unwrap();
    pair.switch.tell_change(1, 0x1002, 10001);
    pair.talk().unwrap();
    assert_eq!(pair.session.deadline() - pair.now, VERIFY_MONITORED);
    for (cookie, priority) in [(0x1000, PRIORITY), (0, 10000), (0x1001, 7)] {
        pair.switch.tell_change(3, cookie, priority);
        pair.talk().unwrap();
        assert_eq!(pair.session.deadline() - pair.now, SETTLE, "but not more often than that");
        pair.wait().unwrap();
        assert_eq!(pair.session.deadline() - pair.now, VERIFY_MONITORED);
    }
}

#[test]
fn a_flow_that_was_lost_untold_is_found_at_the_next_reading() {
    let mut pair = Pair::new(Fake { monitors: false, ..Fake::new() }, [80, 81]);
    pair.talk().unwrap();
    pair.switch.flows.clear();
    let (waited, events) = pair.wait().unwrap();
    assert_eq!((waited, events), (VERIFY, vec![Event::Repaired { added: 2, removed: 0 }]));
}

#[test]
fn a_wish_that_changes_while_the_switch_is_busy_is_served_next() {
    let mut pair = Pair::new(Fake::new(), [80]);
    pair.talk().unwrap();
    pair.session.set_wanted(pair.now, wanted([81]));
    assert!(!pair.session.is_installed());
    assert!(matches!(pair.session.phase, Phase::Committing(_)));
    pair.session.set_wanted(pair.now, wanted([90, 91]));
    assert_eq!(pair.talk().unwrap(), [Event::Installed { added: 2, removed: 1 }]);
    assert_eq!(pair.count(), 2);
}

/// Whether a new wish is read for.
fn reads_for(pair: &mut Pair, ports: impl IntoIterator<Item = u16>) -> bool {
    pair.switch.seen.clear();
    assert!(matches!(pair.want(ports).unwrap()[..], [Event::Installed { .. }]));
    pair.switch.seen.contains(&MULTIPART)
}

#[test]
fn a_new_wish_is_read_for_only_where_the_bridge_is_not_known() {
    let mut pair = Pair::new(Fake::new(), [80]);
    pair.talk().unwrap();
    assert!(!reads_for(&mut pair, [81]) && !reads_for(&mut pair, []) && !reads_for(&mut pair, [80, 82]));
    assert_eq!(pair.count(), 2);
    pair.switch.flows.pop_first();
    pair.switch.tell_change(2, COOKIE, PRIORITY);
    pair.talk().unwrap();
    assert!(reads_for(&mut pair, [80, 82, 83]), "somebody touched it");
    assert!(pair.count() == 3 && !reads_for(&mut pair, [80, 82]));

    let mut unmonitored = Pair::new(Fake { monitors: false, ..Fake::new() }, [80]);
    unmonitored.talk().unwrap();
    assert!(reads_for(&mut unmonitored, [81]));

    let port_81 = vec![0x80, 0, 28, 2, 0, 81];
    let mut refusing = Pair::new(Fake { refuses: Some(port_81), ..Fake::new() }, [80, 81]);
    refusing.talk().unwrap();
    assert!(reads_for(&mut refusing, [80, 81, 82]), "not all that was wanted is there");
}

#[test]
fn a_wish_that_changes_all_the_time_does_not_put_off_the_next_reading() {
    let mut pair = Pair::new(Fake::new(), [80]);
    pair.talk().unwrap();
    let begin = pair.now;
    pair.switch.flows.clear();
    for port in 1000.. {
        pair.now += Duration::from_millis(400);
        let read = reads_for(&mut pair, [80, port]);
        assert!(pair.now - begin <= VERIFY_MONITORED + Duration::from_millis(400));
        if read {
            break;
        }
    }
    assert_eq!(pair.count(), 2, "what was lost untold is back");
}

#[test]
fn a_switch_that_falls_silent_is_given_up_whatever_it_was_asked() {
    let mut pair = Pair::new(Fake { mute: true, ..Fake::new() }, [80]);
    pair.talk().unwrap();
    assert_eq!(pair.wait().unwrap_err(), SessionError::Silent("hello"));
    let mut pair = Pair::new(Fake::new(), [80]);
    pair.talk().unwrap();
    pair.switch.mute = true;
    pair.wait().unwrap();
    assert_eq!(pair.wait().unwrap_err(), SessionError::Silent("a request for its flows"));
}

#[test]
fn a_conversation_outlives_its_numbers() {
    let mut pair = Pair::new(Fake::new(), [80]);
    pair.talk().unwrap();
    pair.session.next_xid = u32::MAX - 3;
    assert_eq!(pair.want(81..95).unwrap(), [Event::Installed { added: 14, removed: 1 }]);
    pair.session.next_xid = u32::MAX;
    assert_eq!(pair.want(81..82).unwrap(), [Event::Installed { added: 0, removed: 13 }]);
}

#[test]
fn an_echo_is_given_back_with_its_payload_and_xid() {
    let mut pair = Pair::new(Fake::new(), [80]);
    pair.talk().unwrap();
    pair.switch.reply(2, 77, b"hello");
    let echo = std::mem::take(&mut pair.switch.out);
    pair.session.receive(pair.now, &echo).unwrap();
    assert_eq!(*pair.session.output(), b"\x05\x03\x00\x0d\x00\x00\x00\x4dhello");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_happens_each_frame_gets_what_is_wanted_and_foreign_flows_stay(
        steps in prop::collection::vec((0..9u8, prop::collection::btree_set(1..9u16, 0..6)), 1..16),
        portion in 1..200usize,
    ) {
        let mut pair = Pair::new(Fake { per_part: 2, ..Fake::new() }, []);
        pair.portion = portion;
        pair.talk().unwrap();
        let foreign = (0, 10000, vec![0, 1, 0, 4, 0, 0, 0, 0]);
        pair.switch.flows.insert(foreign.clone(), (0x1000, Vec::new()));
        let (mut last, mut kube_ovns) = (BTreeSet::new(), BTreeMap::new());
        for (what, ports) in steps {
            let one = flows(ports.first().copied()).pop_first();
            match (what, one) {
                (0, _) => pair.switch.flows.retain(|key, _| key.0 != 0 || key.1 != PRIORITY),
                (1, _) => {
                    let key = (0, PRIORITY, vec![0, 1, 0, 9, 0x80, 0, 21, 1, 6, 0, 0, 0, 0, 0, 0, 0]);
                    drop(pair.switch.flows.insert(key, (COOKIE, Vec::new())));
                }
                (2..=3, Some(one)) => {
                    let right = what == 2;
                    let rule = if right { one.clone() } else { kube_ovn_tests::wrong(one.clone()) };
                    pair.switch.put_kube_ovns(&rule, 0x1000);
                    kube_ovns.insert(one, right);
                }
                (4, _) => if let Some((one, _)) = kube_ovns.pop_first() { pair.switch.remove_kube_ovns(&one); },
                (5, _) => pair.now = pair.session.deadline(),
                _ => {
                    pair.session.set_wanted(pair.now, wanted(ports.clone()));
                    last = ports;
                }
            }
            pair.session.tick(pair.now).unwrap();
            pair.talk().unwrap();
        }
        for _ in 0..8 { pair.wait().unwrap(); }
        prop_assert!(pair.session.is_installed());
        prop_assert!(pair.switch.flows.remove(&foreign).is_some());
        let left = flows(last.clone()).iter().filter(|flow| kube_ovns.get(flow) == Some(&true)).count();
        prop_assert_eq!(pair.count(), last.len() - left + kube_ovns.len());
    }

    #[test]
    fn a_mad_switch_does_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..300), kind in 0..35u8) {
        let mut pair = Pair::new(Fake::new(), [80]);
        pair.talk().unwrap();
        pair.switch.reply(kind, 3, &bytes);
        let reply = std::mem::take(&mut pair.switch.out);
        let _ = pair.session.receive(pair.now, &reply);
        let _ = pair.session.receive(pair.now, &bytes);
    }
}

#[test]
fn what_was_only_looked_at_is_read_again_before_it_is_changed() {
    let mut pair = Pair::new(Fake::new(), [80, 443]);
    pair.talk().unwrap();
    // Another conversation with the same switch: somebody who looks.
    pair.session = Session::new(pair.now, Arc::new(Wanted::default().sparing(crate::flows::Spared::All)));
    assert!(pair.talk().unwrap().contains(&Event::Installed { added: 0, removed: 0 }));
    assert_eq!((pair.session.found(), pair.count()), (2, 2));
    assert_eq!(pair.want([]).unwrap(), [Event::Installed { added: 0, removed: 2 }]);
    assert_eq!(pair.count(), 0);
}
