//! `--once`: what was written, and when it is enough.

use std::fmt::Write;
use std::process::ExitCode;
use std::time::Duration;

use tokio::time::Instant;

use super::due;
use crate::nb::diff::Changes;

/// One run to convergence.
#[derive(Debug)]
pub struct Once {
    started: Instant,
    deadline: Instant,
    lines: String,
    writes: usize,
}

impl Once {
    /// Starts now and may take so long.
    pub fn new(now: Instant, timeout: Duration) -> Self {
        Self { started: now, deadline: now + timeout, lines: String::new(), writes: 0 }
    }

    /// Ends at the deadline; never where there is none. Cancel-safe.
    pub async fn expired(once: Option<&Self>) {
        due::reached(once.map(|once| once.deadline)).await;
    }

    /// These were written.
    pub fn wrote(&mut self, changes: &Changes) {
        self.writes += changes.len();
        let _ = write!(self.lines, "{changes}");
    }

    /// Prints what was written; an error where something could not be read, so that not all may be as it should be.
    pub fn end(&self, now: Instant, unread: Option<String>) -> anyhow::Result<ExitCode> {
        print!("{}", self.summary(now, unread.is_none()));
        unread.map_or(Ok(ExitCode::SUCCESS), |why| anyhow::bail!("{why}"))
    }

    /// What to print at the end.
    fn summary(&self, now: Instant, is_whole: bool) -> String {
        let took = (now - self.started).as_millis();
        match self.writes {
            0 if !is_whole => format!("nothing was written, and not all could be read ({took} ms)\n"),
            0 => format!("nothing to write: the northbound is as it should be ({took} ms)\n"),
            writes => format!("{}{writes} writes, {took} ms\n", self.lines),
        }
    }
}
