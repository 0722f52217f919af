use proptest::prelude::*;

use super::*;
use crate::l2::beat::State;

const MAC: Mac = Mac([2, 0, 0, 0, 0, 1]);

fn vip(number: u8) -> IpAddr {
    if number.is_multiple_of(3) {
        IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, number.into()])
    } else {
        [10, 0, 0, number].into()
    }
}

fn held(vips: impl IntoIterator<Item = u8>) -> Words {
    let word = Word { claim: Claim::Holds(1), undelivered: false };
    vips.into_iter().map(|number| (vip(number), word)).collect()
}

struct Pair {
    talker: Talker,
    others: Others,
    boot: u64,
    sequence: u64,
}

impl Pair {
    fn new() -> Self {
        Self { talker: Talker::default(), others: Others::default(), boot: 1, sequence: 0 }
    }

    fn beat(&mut self, room: usize, asks: bool) -> Beat {
        self.sequence += 1;
        let said = Said { asks, ..self.talker.say(room) };
        let state = State::Leaving;
        Beat {
            node: "a".into(),
            subnet: "s".into(),
            boot: self.boot,
            sequence: self.sequence,
            state,
            said: Some(said),
        }
    }

    fn hear(&mut self, room: usize) -> bool {
        let beat = self.beat(room, false);
        self.others.hear(MAC, &beat)
    }

    fn hear_many(&mut self, times: usize, room: usize) {
        for _ in 0..times {
            self.hear(room);
        }
    }

    fn known(&self) -> Words {
        self.others.of(&"a".into()).unwrap().known()
    }
}

#[test]
fn what_fits_is_told_in_one_beat_and_what_does_not_in_several() {
    let mut pair = Pair::new();
    assert!(pair.talker.follow(held(1..=100)));
    assert!(pair.hear(1000), "the first news");
    assert!(!pair.others.have_told(&["a".into()].into()) && pair.talker.has_news());
    pair.hear(1000);
    assert_eq!(pair.known(), held(1..=100));
    assert!(pair.others.have_told(&["a".into()].into()) && !pair.talker.has_news());
    assert!(!pair.hear(1000), "nothing new");
}

#[test]
fn changes_come_first() {
    let mut pair = Pair::new();
    pair.talker.follow(held(1..=200));
    pair.hear_many(20, 200);
    pair.talker.follow(held(2..=201));
    assert!(pair.hear(50));
    assert_eq!(pair.known(), held(2..=201));
}

#[test]
fn what_was_let_go_goes_though_every_word_of_it_was_lost() {
    let mut pair = Pair::new();
    pair.talker.follow(held(1..=100));
    pair.hear_many(9, 600);
    pair.talker.follow(held(2..=100));
    for _ in 0..4 {
        pair.beat(600, false);
    }
    pair.hear(600);
    assert!(!pair.others.have_told(&["a".into()].into()), "its digest tells that something was missed");
    pair.hear_many(9, 600);
    assert_eq!(pair.known(), held(2..=100));
}

#[test]
fn who_begins_anew_and_asks_holds_what_it_held_until_it_says_what_is_so_now() {
    let mut pair = Pair::new();
    pair.talker.follow(held([1]));
    pair.hear(100);
    (pair.boot, pair.sequence, pair.talker) = (2, 0, Talker::default());
    let asks = pair.beat(100, true);
    assert!(!pair.others.hear(MAC, &asks), "nothing else is known");
    assert_eq!(pair.others.asking().collect::<Vec<_>>(), [(&"a".into(), &held([1]))]);
    assert!(pair.hear(100) && pair.known().is_empty() && pair.others.asking().next().is_none());
}

#[test]
fn one_of_an_older_version_tells_nothing() {
    let mut pair = Pair::new();
    let beat = Beat { said: None, ..pair.beat(100, false) };
    assert!(!pair.others.hear(MAC, &beat) && pair.others.of(&"a".into()).is_none());
}

#[test]
fn a_report_is_told_whole() {
    let mut words = held([1, 2]);
    words.insert(vip(4), Word { claim: Claim::Left(9), undelivered: true });
    words.insert(vip(5), Word { claim: Claim::Nothing, undelivered: true });
    assert_eq!(super::words(&report(MAC, &words)), words);
}

proptest! {
    /// Whatever changes and whatever is lost: once all is heard for long enough, what is known is what is so.
    #[test]
    fn in_the_end_all_is_known(steps in prop::collection::vec((prop::collection::btree_set(0..60_u8, 0..60), 0..4_u8, any::<bool>()), 1..12)) {
        let mut pair = Pair::new();
        let mut so = Words::new();
        for (vips, beats, heard) in steps {
            so = held(vips);
            pair.talker.follow(so.clone());
            for _ in 0..beats {
                let beat = pair.beat(120, false);
                if heard {
                    pair.others.hear(MAC, &beat);
                }
            }
        }
        for _ in 0..60 {
            pair.hear(120);
        }
        prop_assert_eq!(pair.known(), so);
        prop_assert!(pair.others.have_told(&["a".into()].into()));
    }
}
