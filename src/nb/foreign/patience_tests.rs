//! Keys that come and go, in virtual time.

use uuid::Uuid;

use super::*;
use crate::model::Protocol;

fn place() -> Place {
    ((Protocol::Tcp, "10.0.0.9:80".parse().unwrap()), "underlay".into())
}

/// Whatever it says of how long and why.
const AWAITED: Holder = Holder::Awaited { seconds: 0, undone: 0 };

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
        let judged = self.patience.judge(&place(), self.held.as_ref()).map(|row| row.holder);
        judged.map(|holder| if matches!(holder, Holder::Awaited { .. }) { AWAITED } else { holder })
    }
}

#[test]
fn a_key_that_is_gone_for_less_than_a_second_is_not_gone() {
    let mut story = Story::default();
    story.becomes(0, Some(Holder::KubeOvn));
    assert_eq!(story.at(5_000), Some(Holder::KubeOvn));
    story.becomes(10_000, None);
    assert_eq!(story.patience.due(), Some(Duration::from_secs(11)));
    assert_eq!(story.at(10_999), Some(AWAITED));
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
    assert_eq!(story.at(12_099), Some(AWAITED));
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
    for waits in [1_000, 2_000, 4_000, 8_000, 10_000, 10_000, 10_000] {
        story.becomes(now, None);
        assert_eq!(story.at(now + waits - 1), Some(AWAITED), "{waits}");
        assert_eq!(story.at(now + waits), None, "{waits}");
        now += waits;
        story.becomes(now, Some(Holder::KubeOvn));
        assert_eq!(story.at(now), Some(Holder::KubeOvn), "what Kube-OVN has is left to it at once");
    }
}

#[test]
fn what_is_held_back_says_for_how_long_and_why() {
    let mut story = Story::default();
    story.becomes(0, Some(Holder::KubeOvn));
    let mut said = Vec::new();
    for gone in [10_000, 20_000, 30_000, 40_000] {
        story.becomes(gone, None);
        said.extend(story.patience.judge(&place(), None).map(|row| row.holder));
        story.at(gone + 9_000);
        story.becomes(gone + 9_500, Some(Holder::KubeOvn));
    }
    let awaited = |seconds, undone| Holder::Awaited { seconds, undone };
    assert_eq!(said, [awaited(1, 0), awaited(2, 1), awaited(4, 2), awaited(8, 3)]);
}

#[test]
fn what_comes_and_goes_and_is_never_ours_is_not_waited_for_any_longer() {
    for with_its_row in [true, false] {
        let mut story = Story::default();
        story.becomes(0, Some(Holder::KubeOvn));
        for start in (10_000..19_000).step_by(600) {
            story.changes(start, None, with_its_row);
            story.becomes(start + 300, Some(Holder::KubeOvn));
        }
        story.changes(19_000, None, with_its_row);
        assert_eq!(story.at(20_699), Some(AWAITED));
        assert_eq!(story.at(20_700), None, "two seconds after it was written last");
    }
}

/// Whatever a writer does, a key that nobody has is dark for ten seconds at the most, and changes hands a bounded number of times.
#[test]
fn however_a_key_comes_and_goes_nobody_waits_for_long_and_nothing_swings() {
    for (away, there) in
        [(50, 50), (900, 100), (1_100, 100), (2_500, 300), (4_000, 4_000), (9_000, 10), (10_100, 10)]
    {
        for with_its_row in [true, false] {
            let (mut story, mut changes, mut ours) = (Story::default(), 0, false);
            story.becomes(0, Some(Holder::KubeOvn));
            let mut now = 1_000;
            while now < 1_000 + 300_000 {
                story.changes(now, None, with_its_row);
                for step in (0..away).step_by(50) {
                    let free = story.at(now + step).is_none();
                    assert!(free || step < 10_000, "dark for {step} ms of {away}");
                    changes += usize::from(ours != free);
                    ours = free;
                }
                now += away;
                story.becomes(now, Some(Holder::KubeOvn));
                changes += usize::from(std::mem::take(&mut ours));
                now += there;
            }
            assert!(
                changes <= 2 * 6 * 5 + 10,
                "{changes} changes of owner in five minutes of {away}/{there}"
            );
        }
    }
}

#[test]
fn what_stays_for_a_while_is_waited_for_a_second_only() {
    let mut story = Story::default();
    for (at, holder) in [(0, Some(Holder::KubeOvn)), (5_000, None), (6_000, Some(Holder::KubeOvn))] {
        story.becomes(at, holder);
    }
    story.becomes(60_000, None);
    assert_eq!(story.at(60_999), Some(AWAITED));
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
