//! Whose speaker was heard of lately (ADR 0044). A speaker renews its report again and again; one that is older than its
//! writer said it would be is the word of somebody who may be there no more. No I/O.
//!
//! What counts is when a renewal was seen here: clocks of nodes differ. What is not heard changes what is said of VIPs and
//! nothing else: who announces them is for the speakers to settle, which hear each other on the wire.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::kube::marks::Pulse;
use crate::model::NodeName;

/// The nodes whose speakers are not heard, each with when its report was written last, by its own clock.
pub type Silent = BTreeMap<NodeName, String>;

/// What was heard.
#[derive(Debug, Default)]
pub struct Heard {
    speakers: BTreeMap<NodeName, Seen>,
    silent: Silent,
    /// Since when the API server tells what is written there.
    listening: Option<Instant>,
}

#[derive(Debug)]
struct Seen {
    pulse: Pulse,
    at: Instant,
    /// It was renewed since it was first seen.
    renewed: bool,
}

impl Heard {
    /// Takes the reports in as they stand. `listening`: a renewal would be seen at once, and others do write. Whether others are
    /// silent than before.
    pub fn listen<'p>(
        &mut self,
        reports: impl Iterator<Item = (&'p NodeName, &'p Pulse)>,
        listening: bool,
        now: Instant,
    ) -> bool {
        self.listening = listening.then(|| self.listening.unwrap_or(now));
        let mut before = std::mem::take(&mut self.speakers);
        for (node, pulse) in reports {
            let seen = match before.remove(node) {
                Some(seen) if seen.pulse == *pulse => seen,
                before => Seen { pulse: pulse.clone(), at: now, renewed: before.is_some() },
            };
            self.speakers.insert(node.clone(), seen);
        }
        // Who hears nothing at all believes what was said last.
        let Some(since) = self.listening else { return self.forgive() };
        let is_silent = |seen: &Seen| ends(seen, since).is_some_and(|end| end <= now);
        let silent = self.speakers.iter().filter(|(_, seen)| is_silent(seen));
        let silent: Silent = silent.map(|(node, seen)| (node.clone(), seen.pulse.renewed.clone())).collect();
        std::mem::replace(&mut self.silent, silent) != self.silent
    }

    /// Those that have spoken since are heard, whoever listens.
    fn forgive(&mut self) -> bool {
        let before = self.silent.len();
        let speakers = &self.speakers;
        self.silent.retain(|node, since| speakers.get(node).is_some_and(|seen| seen.pulse.renewed == *since));
        self.silent.len() != before
    }

    /// Who is not heard.
    pub fn silent(&self) -> &Silent {
        &self.silent
    }

    /// Whether it is not known yet if somebody still speaks for the node: its report was not renewed while this one looked.
    pub fn is_doubtful(&self, node: &NodeName) -> bool {
        self.speakers.get(node).is_some_and(|seen| seen.pulse.lasts.is_some() && !seen.renewed)
    }

    /// How many are heard, and how many are not.
    pub fn counts(&self) -> [(&'static str, usize); 2] {
        let silent = self.silent.len();
        [("true", self.speakers.len().saturating_sub(silent)), ("false", silent)]
    }

    /// When somebody may have been silent for too long.
    pub fn due(&self, now: Instant) -> Option<Instant> {
        let since = self.listening?;
        self.speakers.values().filter_map(|seen| ends(seen, since)).filter(|end| now < *end).min()
    }
}

/// Until when a report counts. Of a speaker from before there were renewals it does for ever.
fn ends(seen: &Seen, listening: Instant) -> Option<Instant> {
    Some(seen.at.max(listening) + seen.pulse.lasts?)
}

/// The same for whoever looks once, and has only the clocks: a report older than its writer said it would be.
pub fn is_outdated(pulse: &Pulse, age: Duration) -> bool {
    pulse.lasts.is_some_and(|lasts| age > lasts)
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "an Instant has no other beginning than now")]
mod tests {
    use super::*;

    struct Play {
        heard: Heard,
        start: Instant,
    }

    impl Play {
        /// At that second the reports stand there with these times; who is not heard.
        fn at(&mut self, second: u64, reports: &[(&str, &str, Option<u64>)], listening: bool) -> Vec<String> {
            let reports: Vec<(NodeName, Pulse)> = reports
                .iter()
                .map(|(node, renewed, lasts)| {
                    let lasts = lasts.map(Duration::from_secs);
                    (NodeName::from(*node), Pulse { renewed: (*renewed).to_owned(), lasts })
                })
                .collect();
            let now = self.start + Duration::from_secs(second);
            let reports = reports.iter().map(|(node, pulse)| (node, pulse));
            let before = self.heard.silent().clone();
            let told = self.heard.listen(reports, listening, now);
            assert_eq!(told, before != *self.heard.silent());
            self.heard.silent().iter().map(|(node, since)| format!("{node} {since}")).collect()
        }
    }

    fn play() -> Play {
        Play { heard: Heard::default(), start: Instant::now() }
    }

    #[test]
    fn one_that_renews_is_heard_and_one_that_stops_is_not() {
        let mut play = play();
        for second in 0..100 {
            let renewed = format!("t{}", second / 10);
            let silent = play.at(second, &[("a", &renewed, Some(40)), ("b", "t0", Some(40))], true);
            let expected: &[&str] = if second < 40 { &[] } else { &["b t0"] };
            assert_eq!(silent, expected, "{second}");
        }
        assert_eq!(play.heard.counts(), [("true", 1), ("false", 1)]);
        assert!(play.at(100, &[("a", "t9", Some(40)), ("b", "t10", Some(40))], true).is_empty());
    }

    #[test]
    fn clocks_do_not_matter() {
        let mut play = play();
        let (past, future) = ("1970-01-01T00:00:00Z", "2999-01-01T00:00:00Z");
        assert!(play.at(0, &[("a", past, Some(40)), ("b", future, Some(40))], true).is_empty());
        assert_eq!(
            play.at(40, &[("a", "1970-01-01T00:00:10Z", Some(40)), ("b", future, Some(40))], true),
            [format!("b {future}")]
        );
    }

    #[test]
    fn an_older_speaker_is_believed_as_before() {
        let mut play = play();
        assert!(play.at(0, &[("a", "t0", None)], true).is_empty());
        assert!(play.at(10_000, &[("a", "t0", None)], true).is_empty());
        assert!(!play.heard.is_doubtful(&"a".into()));
    }

    #[test]
    fn who_heard_nothing_at_all_blames_nobody() {
        let mut play = play();
        assert!(play.at(0, &[("a", "t0", Some(40))], true).is_empty());
        assert!(play.at(30, &[("a", "t0", Some(40))], false).is_empty());
        assert!(play.at(300, &[("a", "t0", Some(40))], false).is_empty());
        assert!(play.at(301, &[("a", "t0", Some(40))], true).is_empty());
        assert_eq!(
            play.heard.due(play.start + Duration::from_secs(301)),
            Some(play.start + Duration::from_secs(341))
        );
        assert_eq!(play.at(341, &[("a", "t0", Some(40))], true), ["a t0"]);
        // What is known of somebody stays known.
        assert_eq!(play.at(350, &[("a", "t0", Some(40))], false), ["a t0"]);
        assert!(play.at(351, &[("a", "t1", Some(40))], false).is_empty());
    }

    #[test]
    fn one_that_was_not_renewed_while_this_one_looked_is_doubtful() {
        let mut play = play();
        play.at(0, &[("a", "t0", Some(40))], true);
        assert!(play.heard.is_doubtful(&"a".into()));
        play.at(1, &[("a", "t1", Some(40))], true);
        assert!(!play.heard.is_doubtful(&"a".into()));
        assert!(play.at(2, &[], true).is_empty(), "and one that is gone is nobody");
        assert_eq!(play.heard.due(play.start), None);
    }
}
