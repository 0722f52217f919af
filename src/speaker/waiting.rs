//! What waits in the sockets when time is up for something.

use super::line::Line;
use super::{Input, Speaker};

impl Speaker {
    /// Time is up, for another speaker's next beat perhaps: what waits was there before. On a busy machine it is that beat.
    pub(super) fn take_waiting(&mut self) {
        for subnet in self.lines.keys().cloned().collect::<Vec<_>>() {
            for frame in self.lines.get(&subnet).map(Line::waiting).unwrap_or_default() {
                self.take(Input::Frame(subnet.clone(), frame));
            }
        }
    }
}
