//! A controller beside kube-ovn-controller, in virtual time: who has which VIP and port, for how long nobody has it, and
//! how much is written. What the controller says on a Service wakes kube-ovn-controller, as any write to it does.

use std::time::Duration;

use ovn_vip::model::{Change, Object};

use super::kube_ovn::Release;
use super::{Step, history};

#[path = "together.rs"]
mod together;
use together::{Together, services, vips};

const SHARED_ROWS: [Release; 2] = [Release::V1_14, Release::V1_16];

#[test]
fn two_services_on_one_vip_are_not_fought_over() {
    for release in SHARED_ROWS {
        for dual_stack in [false, true] {
            let mut together = Together::start(release, true, services(&["a", "b"], dual_stack, false));
            for toucher in ["a", "b", "a"] {
                together.touch(toucher);
                together.pass(60);
                let (most, keys) = (3 * vips(dual_stack).len(), together.keys().len());
                let written = together.transactions;
                assert!(written <= most, "{release:?}, {keys} keys: {written} transactions after one event");
                assert_eq!(together.sayings, 0, "{release:?}: nothing to say on a Service");
                assert!(together.longest_dark() <= Duration::from_millis(1_100), "{:?}", together.dark);
            }
        }
    }
}

#[test]
fn at_rest_nothing_is_written_whoever_serves() {
    for release in [Release::V1_14, Release::V1_16, Release::V1_17] {
        for (native, ours) in [(true, false), (false, true)] {
            for template in [false, true] {
                let mut together = Together::start(release, native, services(&["a"], true, template));
                together.pass(700);
                assert_eq!((together.transactions, together.sayings), (0, 0), "{release:?} {native}");
                assert_eq!(together.ours() > 0, ours, "{release:?}, native {native}");
                assert_eq!(together.longest_dark(), Duration::ZERO);
            }
        }
    }
}

#[test]
fn what_is_left_over_is_ours_at_once_and_stays_so_when_kube_ovn_starts_again() {
    for release in SHARED_ROWS {
        let mut together = Together::start(release, true, services(&["a"], true, false));
        assert_eq!(together.ours(), 0);
        together.switch(false);
        together.pass(30);
        assert_eq!((together.ours(), together.sayings), (2, 0), "{release:?}: both families, nothing told");
        assert!(together.transactions <= 2, "{}", together.transactions);
        let left = together.rows()["cluster-tcp-loadbalancer"].clone();
        assert_eq!(left.keys().collect::<Vec<_>>(), ["10.96.0.10:80"], "its own ClusterIP stays");
        together.restart();
        together.pass(30);
        assert_eq!(together.ours(), 2, "its clean-up deleted our row");
        assert!(together.transactions <= 2, "{}", together.transactions);
    }
}

#[test]
fn the_native_path_is_switched_on_and_off_again_and_again_and_whoever_is_to_serve_serves() {
    for release in [Release::V1_14, Release::V1_16, Release::V1_17] {
        for template in [false, true] {
            let mut together = Together::start(release, false, services(&["a"], true, template));
            for _ in 0..3 {
                together.switch(true);
                together.pass(60);
                assert_eq!(together.ours(), 0, "{release:?}: it is Kube-OVN's");
                assert_eq!(together.longest_dark(), Duration::ZERO);
                assert!(together.transactions <= 2 && together.sayings == 0, "{}", together.transactions);
                together.switch(false);
                together.pass(60);
                assert_eq!(together.ours(), 2, "{release:?}: it is ours");
                assert_eq!(together.longest_dark(), Duration::ZERO, "{release:?}");
                assert!(together.transactions <= 2 && together.sayings == 0, "{}", together.transactions);
            }
        }
    }
}

#[test]
fn services_that_others_write_to_all_the_time_cost_little() {
    let mut together = Together::start(Release::V1_16, true, services(&["a", "b"], false, false));
    let mut written = 0;
    for event in 0..120 {
        together.touch(["a", "b"][event % 2]);
        together.pass(5);
        written += together.transactions;
        assert_eq!(together.sayings, 0);
    }
    assert!(written <= 100, "{written} transactions in ten minutes");
}

/// OVN 26.03 does not know `prefer_local_backend` any more: what Kube-OVN of before serves by it is dark there.
#[test]
fn what_northd_does_not_keep_local_any_more_is_ours_whatever_kube_ovn_writes() {
    for release in SHARED_ROWS {
        let mut together =
            Together::start_on("26.03.3-21.8.0-82.14", release, true, services(&["a"], true, false));
        assert_eq!(together.ours(), 2, "{release:?}: both families");
        for _ in 0..5 {
            together.touch("a");
            together.pass(5);
            assert_eq!((together.ours(), together.sayings), (2, 0), "{release:?}");
            assert!(together.transactions <= 2, "{}", together.transactions);
        }
        together.pass(60);
        assert_eq!(together.transactions, 0, "at rest");
    }
}

#[test]
fn with_consent_what_kube_ovn_writes_is_taken_each_time_and_it_is_not_woken() {
    for release in SHARED_ROWS {
        let mut together = Together::start(release, true, services(&["a", "b"], true, false));
        let Object::Subnet(mut subnet) = history::subnet("underlay", true, true) else { panic!("no subnet") };
        subnet.wishes.takeover = true;
        together.beside.take(&Step::Cluster(Box::new(Change::Apply(Object::Subnet(subnet)))));
        together.pass(10);
        for event in 0..20 {
            together.touch(["a", "b"][event % 2]);
            together.pass(5);
            assert_eq!((together.ours(), together.sayings), (4, 0), "{release:?}");
            assert!(together.transactions <= 2, "{} transactions after one event", together.transactions);
            assert_eq!(together.longest_dark(), Duration::ZERO);
        }
    }
}

/// `node-<node>` bound nowhere: a key that Kube-OVN hands to it is dark on every node, so the speaker lets go, Kube-OVN takes
/// the mark away, all is delivered again, the speaker tells so, Kube-OVN marks the key …
#[test]
fn what_kube_ovn_hands_to_a_port_that_is_nowhere_is_ours_and_nothing_goes_in_a_circle() {
    for dual_stack in [false, true] {
        let services = services(&["a"], dual_stack, false);
        let keys = vips(dual_stack).len();
        let mut together = Together::start(Release::V1_16, true, services);
        together.put_speaker(false);
        together.pass(10);
        for event in 0..10 {
            if event % 2 == 1 {
                together.touch("a");
            }
            together.pass(60);
            let told = together.speaker.as_ref().unwrap().tellings;
            assert_eq!((told, together.ours(), together.sayings), (0, keys, 0), "after event {event}");
            assert_eq!(together.longest_dark(), Duration::ZERO);
            assert!(together.transactions <= event % 2 * keys, "{} transactions", together.transactions);
        }
        // Its port comes back: what Kube-OVN writes from then on is its own.
        together.put_speaker(true);
        together.touch("a");
        together.pass(60);
        assert_eq!((together.ours(), together.speaker.as_ref().unwrap().tellings), (0, 0));
        together.pass(60);
        assert_eq!((together.transactions, together.sayings), (0, 0), "at rest");
    }
}

/// The same where no southbound is followed: it goes round a few times, and no more for a while; twice as long each time.
#[test]
fn without_a_southbound_the_circle_ends_after_a_few_turns() {
    for dual_stack in [false, true] {
        let keys = vips(dual_stack).len();
        let mut together = Together::start(Release::V1_16, true, services(&["a"], dual_stack, false));
        together.put_speaker_unseen(false);
        together.pass(30);
        let told = together.speaker.as_ref().unwrap().tellings;
        assert!(told <= 16, "it goes round for a moment: {told} tellings");
        assert_eq!(together.ours(), keys);
        let mut told = 0;
        for event in 0..30 {
            together.touch("a");
            together.pass(60);
            told += together.speaker.as_ref().unwrap().tellings;
            assert!(together.transactions <= 10 * keys, "{event}: {} transactions", together.transactions);
        }
        assert!(told <= 5 * 16, "{told} tellings in half an hour");
    }
}

#[test]
fn without_a_southbound_a_port_that_is_there_is_kube_ovns_whatever_happens_to_the_service() {
    let mut together = Together::start(Release::V1_16, true, services(&["a"], true, false));
    together.put_speaker_unseen(true);
    together.pass(10);
    for _ in 0..60 {
        together.touch("a");
        together.pass(1);
        assert_eq!((together.ours(), together.transactions, together.sayings), (0, 0, 0));
    }
}
