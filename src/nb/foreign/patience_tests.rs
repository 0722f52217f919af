//! Keys that come and go, in virtual time.

use uuid::Uuid;

use super::*;
use crate::model::Protocol;

fn place() -> Place {
    ((Protocol::Tcp, "10.0.0.9:80".parse().unwrap()), "underlay".into())
}

fn row(holder: Holder) -> NativeRow {
    NativeRow { holder, uuid: Uuid::from_u128(1), name: "cluster-tcp-loadbalancer".into() }
}

/// One key and its row, at a time in milliseconds.
#[derive(Default)]
struct Story {
    patience: Patience,
    held: Option<NativeRow>,
}

impl Story {
    fn becomes(&mut self, at: u64, holder: Option<Holder>) {
        self.changes(at, holder, false);
    }

    fn changes(&mut self, at: u64, holder: Option<Holder>, with_its_row: bool) {
        self.patience.advance(Duration::from_millis(at));
        let held = holder.map(row);
        let before = std::mem::replace(&mut self.held, held);
        if before != self.held {
            self.patience.saw(place(), before, self.held.as_ref(), with_its_row);
        }
    }

    fn at(&mut self, at: u64) -> Option<Holder> {
        self.patience.advance(Duration::from_millis(at));
        self.patience.judge(&place(), self.held.as_ref()).map(|row| row.holder)
    }
}

#[test]
fn a_key_that_is_gone_for_less_than_a_second_is_not_gone() {
    let mut story = Story::default();
    story.becomes(0, Some(Holder::KubeOvn));
    assert_eq!(story.at(5_000), Some(Holder::KubeOvn));
    story.becomes(10_000, None);
    assert_eq!(story.patience.due(), Some(Duration::from_secs(11)));
    assert_eq!(story.at(10_999), Some(Holder::Awaited));
    assert_eq!(story.at(11_000), None);
}

#[test]
fn a_key_whose_row_is_gone_is_given_up_and_left_alone_only_if_it_came_back_before() {
    let mut story = Story::default();
    story.becomes(0, Some(Holder::KubeOvn));
    story.changes(10_000, None, true);
    assert_eq!(story.at(10_000), None);
    story.becomes(10_100, Some(Holder::KubeOvn));
    story.changes(10_200, None, true);
    assert_eq!(story.at(12_099), Some(Holder::Awaited));
    assert_eq!(story.at(12_100), None);
}

#[test]
fn what_does_not_serve_is_ours_as_soon_as_it_is_gone() {
    for holder in [Holder::Stranger, Holder::Idle, Holder::Leftover] {
        let mut story = Story::default();
        story.becomes(0, Some(holder));
        story.becomes(10_000, None);
        assert_eq!(story.at(10_000), None, "{holder:?}");
    }
}

#[test]
fn what_is_written_again_is_left_alone_for_longer_each_time() {
    let mut story = Story::default();
    story.becomes(0, Some(Holder::KubeOvn));
    let mut now = 0;
    for waits in [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000] {
        story.becomes(now, None);
        assert_eq!(story.at(now + waits - 1), Some(Holder::Awaited), "{waits}");
        assert_eq!(story.at(now + waits), None, "{waits}");
        now += waits;
        story.becomes(now, Some(Holder::KubeOvn));
        assert_eq!(story.at(now), Some(Holder::KubeOvn), "what Kube-OVN has is left to it at once");
    }
}

#[test]
fn what_stays_for_a_while_is_waited_for_a_second_only() {
    let mut story = Story::default();
    for (at, holder) in [(0, Some(Holder::KubeOvn)), (5_000, None), (6_000, Some(Holder::KubeOvn))] {
        story.becomes(at, holder);
    }
    story.becomes(60_000, None);
    assert_eq!(story.at(60_999), Some(Holder::Awaited));
    assert_eq!(story.at(61_000), None);
}

#[test]
fn a_leftover_is_taken_at_once_and_one_that_is_written_again_later() {
    let mut story = Story::default();
    story.becomes(0, Some(Holder::Leftover));
    assert_eq!(story.at(0), Some(Holder::Leftover));
    story.becomes(10, None);
    story.becomes(20, Some(Holder::Leftover));
    assert_eq!(story.at(2_019), Some(Holder::Idle), "somebody writes it");
    assert_eq!(story.at(2_020), Some(Holder::Leftover));
}

#[test]
fn in_the_end_all_is_forgotten_and_nothing_is_due() {
    let mut story = Story::default();
    for (at, holder) in [(0, Some(Holder::KubeOvn)), (1_000, None), (9_000, Some(Holder::KubeOvn))] {
        story.becomes(at, holder);
    }
    assert_eq!(story.at(700_000), Some(Holder::KubeOvn));
    assert!(story.patience.turns.is_empty());
    assert_eq!(story.patience.due(), None);
}

#[test]
fn a_key_that_kube_ovn_writes_every_other_second_is_never_ours() {
    let mut story = Story::default();
    let (mut ours, mut writes) = (false, 0);
    for second in 0..3_600 {
        story.becomes(second * 1_000, (second % 2 == 0).then_some(Holder::KubeOvn));
        let free = story.at(second * 1_000 + 999).is_none();
        writes += usize::from(ours != free);
        ours = free;
    }
    assert_eq!(writes, 0);
}
