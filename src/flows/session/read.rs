//! Reading what the bridge has, ours and Kube-OVN's, and when the switch's own tellings ask for it.

use std::time::Duration;

use super::{ANSWER_WITHIN, MOST_FLOWS, Monitor, Phase, SETTLE, Session, SessionError};
use crate::flows::wire::{FlowChange, Found, Request};

/// The answers to two requests, as they come.
#[derive(Debug)]
pub(super) struct Reading {
    ours: Part,
    kube_ovns: Part,
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
        [&self.ours, &self.kube_ovns].iter().any(|part| part.xid == xid)
    }

    fn part(&mut self, xid: u32) -> Option<&mut Part> {
        [&mut self.ours, &mut self.kube_ovns].into_iter().find(|part| part.xid == xid)
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
        let [ours, kube_ovns] =
            [Request::Flows, Request::KubeOvnFlows].map(|request| Part::of(self.send(&request)));
        self.enter(now, Phase::Reading(Reading { ours, kube_ovns }));
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
        if reading.ours.complete && reading.kube_ovns.complete {
            let [ours, kube_ovns] =
                [&mut reading.ours, &mut reading.kube_ovns].map(|part| std::mem::take(&mut part.found));
            self.verified_at = now;
            self.leaving.learn(kube_ovns);
            self.compare(now, &ours);
        }
        Ok(())
    }
}
