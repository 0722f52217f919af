//! What was confirmed before a bridge fell silent, where its silence has a reason.
//!
//! While its database server is away ovs-vswitchd runs no bridge (`bridge_run` in vswitchd/bridge.c returns before, without the
//! lock that the server keeps for it): it answers no OpenFlow, and the kernel's datapath forwards on, by the flows that
//! it has and, for new ones, by threads of their own. So what was confirmed before counts on, until the bridge answers or its
//! socket closes. A datapath in user space forwards nothing meanwhile: there, nothing is excused.

/// So many conversations may fail once the database is back: ovs-vswitchd itself waits up to 8 s before it asks for it again.
const FAILURES: u8 = 3;

/// A conversation that ended in silence, `S`, while there was a reason.
#[derive(Debug)]
pub(super) struct Excuse<S> {
    /// There is a reason now.
    is_given: bool,
    before: Option<S>,
    failures: u8,
}

impl<S> Default for Excuse<S> {
    fn default() -> Self {
        Self { is_given: false, before: None, failures: 0 }
    }
}

impl<S> Excuse<S> {
    /// Whether there is a reason.
    pub fn give(&mut self, is_given: bool) {
        self.is_given = is_given;
    }

    /// A conversation ended in silence.
    pub fn fell_silent(&mut self, last: S) {
        match (&self.before, self.is_given) {
            (None, true) => (self.before, self.failures) = (Some(last), 0),
            (None, false) | (Some(_), true) => {}
            (Some(_), false) => {
                self.failures += 1;
                if self.failures >= FAILURES {
                    self.before = None;
                }
            }
        }
    }

    /// Nobody is there, or the bridge has answered: what was before is over.
    pub fn end(&mut self) {
        self.before = None;
    }

    /// What counts instead of an answer.
    pub fn before(&self) -> Option<&S> {
        self.before.as_ref()
    }

    /// The same, to change it.
    pub fn before_mut(&mut self) -> Option<&mut S> {
        self.before.as_mut()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_silence_that_began_with_a_reason_is_excused() {
        let mut excuse = Excuse::default();
        excuse.fell_silent("a");
        assert_eq!(excuse.before(), None);
        excuse.give(true);
        excuse.fell_silent("b");
        excuse.fell_silent("a conversation that came to nothing");
        assert_eq!(excuse.before(), Some(&"b"));
        excuse.end();
        assert_eq!(excuse.before(), None);
    }

    #[test]
    fn once_the_reason_is_gone_it_ends_after_a_few_more_failures() {
        let mut excuse = Excuse::default();
        excuse.give(true);
        excuse.fell_silent("b");
        excuse.give(false);
        for _ in 1..FAILURES {
            excuse.fell_silent("again");
            assert_eq!(excuse.before(), Some(&"b"));
        }
        excuse.fell_silent("again");
        assert_eq!(excuse.before(), None);
    }
}
