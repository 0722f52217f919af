//! Reading what the bridge has, ours and others', and when the switch's own tellings ask for it.

use std::time::Duration;

use super::{ANSWER_WITHIN, MOST_FLOWS, Monitor, Phase, SETTLE, Session, SessionError};
use crate::flows::wire::{FlowChange, Found, FoundMatch, Request};
use crate::flows::{COOKIE, COOKIE_MASK, Match, kube_ovn};

/// Where somebody's flow is that one of ours could replace, and its cookie: a flow that is added takes the place of any with the
/// same match and priority (OpenFlow 1.4 §6.4), whosever that is.
fn place(found: Found) -> Option<((u16, Match), u64)> {
    match found {
        Found { table: 0, priority, cookie, matches: FoundMatch::Known(matches), actions: _ } => {
            Some(((priority, matches), cookie))
        }
        _ => None,
    }
}

/// The answers to two requests, as they come.
#[derive(Debug)]
pub(super) struct Reading {
    ours: Part,
    all: Part,
}

/// The answer to one request.
#[derive(Debug)]
struct Part {
    xid: u32,
    found: Vec<Found>,
    complete: bool,
}

impl Part {
    fn of(xid: u32) -> Self {
        Self { xid, found: Vec::new(), complete: false }
    }
}

impl Reading {
    pub(super) fn asked(&self, xid: u32) -> bool {
        [&self.ours, &self.all].iter().any(|part| part.xid == xid)
    }

    fn part(&mut self, xid: u32) -> Option<&mut Part> {
        [&mut self.ours, &mut self.all].into_iter().find(|part| part.xid == xid)
    }
}

impl Session {
    pub(super) fn take_changes(&mut self, now: Duration, xid: u32, changes: &[FlowChange]) {
        if self.monitor == Monitor::Asked(xid) {
            self.monitor = Monitor::On;
        }
        if changes.iter().any(|change| *change != FlowChange::Other) {
            self.touched = true;
            if matches!(self.phase, Phase::Idle) {
                self.deadline = self.deadline.min(now.max(self.verified_at + SETTLE));
            }
        }
    }

    pub(super) fn read(&mut self, now: Duration) {
        self.touched = false;
        let [ours, all] = [Request::Flows, Request::AllFlows].map(|request| Part::of(self.send(&request)));
        self.enter(now, Phase::Reading(Reading { ours, all }));
    }

    pub(super) fn take_flows(
        &mut self,
        now: Duration,
        answers: u32,
        found: Vec<Found>,
        more: bool,
    ) -> Result<(), SessionError> {
        let Phase::Reading(reading) = &mut self.phase else { return Ok(()) };
        let Some(part) = reading.part(answers) else { return Ok(()) };
        part.found.extend(found);
        part.complete |= !more;
        if part.found.len() > MOST_FLOWS {
            return Err(SessionError::TooMany);
        }
        self.deadline = now + ANSWER_WITHIN;
        if reading.ours.complete && reading.all.complete {
            let [ours, all] =
                [&mut reading.ours, &mut reading.all].map(|part| std::mem::take(&mut part.found));
            let is_ours = |found: &Found| found.cookie & COOKIE_MASK == COOKIE;
            let (kube_ovns, others): (Vec<_>, Vec<_>) = all
                .into_iter()
                .filter(|found| !is_ours(found))
                .partition(|found| found.cookie & kube_ovn::COOKIE_MASK == kube_ovn::COOKIE);
            self.verified_at = now;
            self.others = others.into_iter().filter_map(place).collect();
            self.leaving.learn(kube_ovns);
            self.compare(now, &ours);
        }
        Ok(())
    }
}
