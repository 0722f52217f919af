use super::*;

const CADENCE: Cadence = Cadence { holder: Duration::from_millis(100), other: Duration::from_millis(1000) };

struct Wire {
    liveness: Liveness,
    start: Instant,
    sequence: u64,
}

impl Wire {
    fn new() -> Self {
        let mut liveness = Liveness::new(CADENCE);
        let start = Instant::now();
        liveness.expect(["a", "b", "c"].map(NodeName::from));
        liveness.open(start);
        Self { liveness, start, sequence: 0 }
    }

    fn at(&self, millis: u64) -> Instant {
        self.start + Duration::from_millis(millis)
    }

    fn hear(&mut self, node: &str, period: u64, millis: u64) {
        self.hear_state(node, State::Here(Duration::from_millis(period)), millis);
    }

    fn hear_state(&mut self, node: &str, state: State, millis: u64) {
        self.sequence += 1;
        let (node, subnet, boot) = (node.into(), "s".into(), 1);
        let beat = Beat { node, subnet, boot, sequence: self.sequence, state, said: None };
        self.liveness.hear(&beat, self.at(millis)).unwrap();
    }

    fn dead(&mut self, millis: u64) -> Vec<String> {
        self.liveness.tick(self.at(millis));
        self.liveness.dead().iter().map(ToString::to_string).collect()
    }
}

#[test]
fn one_that_was_late_itself_reads_first_what_waits_for_it() {
    let mut wire = Wire::new();
    ["a", "b", "c"].into_iter().for_each(|node| wire.hear(node, 100, 0));
    wire.liveness.read_first(wire.at(310));
    assert_eq!(wire.dead(310), Vec::<String>::new());
    wire.hear("a", 100, 315);
    wire.hear("b", 100, 315);
    assert_eq!(wire.dead(340), ["c"]);
    wire.liveness.read_first(wire.at(350));
    assert_eq!(wire.dead(350), ["c"], "and who was dead stays so");
}

#[test]
fn who_misses_three_beats_is_dead_and_lives_again_with_the_next() {
    let mut wire = Wire::new();
    wire.hear("a", 100, 0);
    wire.hear("b", 1000, 0);
    wire.hear("c", 1000, 0);
    assert!(wire.dead(299).is_empty());
    assert_eq!(wire.dead(300), ["a"]);
    wire.hear("a", 100, 310);
    assert!(wire.dead(310).is_empty());
}

#[test]
fn a_holders_death_calls_the_roll_and_who_is_silent_then_died_with_it() {
    let mut wire = Wire::new();
    wire.hear("a", 100, 0);
    wire.hear("b", 1000, 0);
    wire.hear("c", 1000, 0);
    wire.liveness.beat(false, wire.at(1));
    assert_eq!(wire.dead(300), ["a"]);
    assert!(wire.liveness.beat(false, wire.at(300)).is_some(), "it answers at once");
    wire.hear("b", 1000, 305);
    assert_eq!(wire.dead(500), ["a", "c"]);
    assert_eq!(wire.liveness.dead_holders().collect::<Vec<_>>(), [&NodeName::from("a")]);
    assert_eq!(wire.dead(3300), ["a", "c"]);
    assert_eq!(wire.dead(3305), ["a", "b", "c"]);
}

#[test]
fn where_no_beat_ever_came_through_nobody_is_judged() {
    let mut wire = Wire::new();
    assert!(wire.dead(60_000).is_empty());
    // One does: then the others should.
    wire.hear("a", 100, 60_000);
    assert!(wire.dead(60_200).is_empty());
    wire.hear("a", 100, 62_900);
    assert_eq!(wire.dead(63_000), ["b", "c"]);
}

#[test]
fn who_is_heard_otherwise_is_not_judged_until_it_beats_again() {
    let mut wire = Wire::new();
    ["a", "b", "c"].into_iter().for_each(|node| wire.hear(node, 100, 0));
    assert_eq!(wire.dead(300), ["a", "b", "c"]);
    assert_eq!(wire.liveness.dead_holders().count(), 3);
    wire.liveness.hear_otherwise(&"a".into());
    assert_eq!(wire.dead(400), ["b", "c"]);
    wire.hear("a", 100, 500);
    assert_eq!(wire.dead(1498), ["b", "c"], "its beat came late");
    assert_eq!(wire.dead(1500), ["a", "b", "c"]);
}

#[test]
fn who_says_that_it_will_be_back_is_waited_for_and_who_leaves_is_not() {
    let mut wire = Wire::new();
    ["a", "b", "c"].into_iter().for_each(|node| wire.hear(node, 1000, 0));
    wire.hear_state("a", State::BackSoon(Duration::from_secs(10)), 0);
    wire.hear_state("b", State::Leaving, 0);
    assert_eq!(wire.dead(0), ["b"]);
    assert_eq!(wire.dead(9_999), ["b", "c"]);
    assert_eq!(wire.dead(10_000), ["a", "b", "c"]);
}

#[test]
fn who_could_not_hear_judges_nobody_by_it() {
    let mut wire = Wire::new();
    ["a", "b", "c"].into_iter().for_each(|node| wire.hear(node, 100, 0));
    wire.liveness.listen_anew(wire.at(5_000));
    assert!(wire.dead(5_000).is_empty());
    wire.liveness.close();
    assert!(wire.dead(60_000).is_empty());
    wire.liveness.open(wire.at(60_000));
    assert!(wire.dead(60_299).is_empty());
    assert_eq!(wire.dead(60_300), ["a", "b", "c"]);
}

#[test]
fn what_was_heard_before_is_not_heard_again() {
    let mut wire = Wire::new();
    let state = State::Here(CADENCE.holder);
    let beat =
        |boot, sequence| Beat { node: "a".into(), subnet: "s".into(), boot, sequence, state, said: None };
    for (boot, sequence, is_new) in [(5, 9, true), (5, 9, false), (4, 99, false), (5, 10, true), (6, 1, true)]
    {
        let heard = wire.liveness.hear(&beat(boot, sequence), wire.at(0));
        assert_eq!(heard.is_ok(), is_new, "{boot} {sequence}");
    }
}

#[test]
fn a_holder_beats_more_often() {
    let mut wire = Wire::new();
    assert_eq!(wire.liveness.beat(false, wire.at(0)), Some((1, State::Here(CADENCE.other))));
    assert_eq!(wire.liveness.beat(true, wire.at(999)), None);
    wire.liveness.hurry(wire.at(500));
    assert_eq!(wire.liveness.beat(true, wire.at(500)), Some((2, State::Here(CADENCE.holder))));
    assert_eq!(wire.liveness.next_beat(), Some(wire.at(600)));
    assert_eq!(wire.liveness.next_death(), None, "none was heard");
}

/// A machine whose processors are busy is late more than once; and who is never late is missed as soon as ever.
#[test]
fn who_is_late_is_waited_for_longer_and_for_a_second_at_most() {
    let mut wire = Wire::new();
    wire.liveness.expect(["a".into()]);
    wire.hear("a", 100, 0);
    wire.hear("a", 100, 110);
    assert!(wire.dead(409).is_empty());
    assert_eq!(wire.dead(410), ["a"], "ten milliseconds are nothing");
    wire.hear("a", 100, 420);
    wire.hear("a", 100, 520);
    assert!(wire.dead(1438).is_empty());
    assert_eq!(wire.dead(1450), ["a"], "three times 100 ms and its delay of 210 ms");
    wire.hear("a", 100, 9_000);
    assert!(wire.dead(9_998).is_empty());
    assert_eq!(wire.dead(10_000), ["a"], "a second at most");
    // Two minutes later it counts no more.
    (90..2_000).for_each(|beat| wire.hear("a", 100, beat * 100 + 10));
    assert!(wire.dead(199_910 + 299).is_empty());
    assert_eq!(wire.dead(199_910 + 300), ["a"]);
}

/// The others wait as long as it says, and it takes itself for stopped no sooner.
#[test]
fn who_is_late_itself_says_so() {
    let mut wire = Wire::new();
    assert_eq!(wire.liveness.beat(true, wire.at(10)), Some((1, State::Here(CADENCE.holder))));
    let late = Duration::from_millis(150);
    assert_eq!(wire.liveness.beat(true, wire.at(260)), Some((2, State::Here(CADENCE.holder + late))));
    assert_eq!(wire.liveness.next_beat(), Some(wire.at(360)), "it beats as often as ever");
    assert_eq!(wire.liveness.said_patience(), (CADENCE.holder + late) * 3);
}

/// docs/beats.md has the table.
#[test]
fn all_together_keep_to_a_ceiling() {
    for (speakers, holders, cadence, frames) in [
        (3, 1, CADENCE, 12),
        (50, 10, CADENCE, 140),
        (500, 100, CADENCE, 1_000),
        (500, 500, CADENCE, 600),
        (500, 0, CADENCE, 400),
        (50, 50, FAST, 600),
        (3, 3, FAST, 150),
    ] {
        let mut wire = Wire { liveness: Liveness::new(cadence), ..Wire::new() };
        for node in 1..speakers {
            let holder = node < holders;
            let period = if holder { cadence.holder } else { cadence.other };
            let said = Some(crate::l2::beat::Said { holder, ..Default::default() });
            let (node, subnet, boot) = (format!("n{node}").as_str().into(), "s".into(), 1);
            let beat = Beat { node, subnet, boot, sequence: 1, state: State::Here(period), said };
            wire.liveness.hear(&beat, wire.start).unwrap();
        }
        // This node is one of the holders, where there are any; and of the others it would be one more.
        let a_second = |period: Duration, of: u32| (f64::from(of) / period.as_secs_f64()).round();
        let mut sum = if holders > 0 { a_second(wire.liveness.period(true), holders) } else { 0.0 };
        wire.liveness.heard.pop_last();
        sum += a_second(wire.liveness.period(false), speakers - holders);
        assert!((sum - f64::from(frames)).abs() <= 3.0, "{speakers} {holders}: {sum}");
    }
}

const FAST: Cadence = Cadence { holder: Duration::from_millis(20), other: Duration::from_millis(200) };
