//! The machine of one node: takes in what happens, plans where something changed, and says what is to be done.
//!
//! The order of acts is what it is for: rules first, then speech; silence first, then rules. So whoever drives it calls,
//! after each input, [`Agent::plan`], hands the rules and wishes of then to the switches, and calls [`Agent::act`]; then
//! it sends what [`Agent::poll_transmit`] gives and tells what [`Agent::poll_told`] gives.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::bridge::NotFound;
use super::hearsay::Hearsay;
use super::published::Published;
use super::segment::{Manner, Segment};
use super::sight::{Sight, see};
use super::tenure::is_known;
use crate::flows::{Flow, Wishes};
use crate::l2::beat::State;
use crate::l2::{Received, Verdict};
use crate::model::{Change, Dirty, InterfaceName, NodeName, SubnetName, World};
use crate::plan::{Absent, Announcer, Policy, Replanned};

/// A node that did nothing for so long was stopped, with its host or alone (SIGSTOP, a paused virtual machine): others may
/// have taken over what it holds.
const STOPPED_AFTER: Duration = Duration::from_millis(1500);

/// What a node is told once.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which node it is.
    pub node: NodeName,
    /// The settings that change decisions.
    pub policy: Policy,
    /// How segments are spoken on.
    pub manner: Manner,
    /// Whether there is an API server by which speakers know each other.
    pub reports: bool,
}

/// One node.
#[derive(Debug)]
pub struct Agent {
    pub(super) settings: Settings,
    pub(super) world: World,
    pub(super) announcer: Announcer,
    /// What of the world changed since it was planned.
    pub(super) dirty: Dirty,
    pub(super) segments: BTreeMap<SubnetName, Segment>,
    /// Segments that have ended, until what they have to tell is told.
    pub(super) ended: Vec<(SubnetName, Segment)>,
    /// Whether all of the cluster was told once.
    cluster_known: bool,
    /// Whether Open vSwitch's database has been read: before that nothing is known of the bridges.
    vswitch_known: bool,
    /// Whether it is time to plan.
    pub(super) stale: bool,
    /// Whether where things are may have changed.
    vswitch_changed: bool,
    /// Whether what the switches confirm may have changed.
    pub(super) sight_changed: bool,
    /// How long the host had been up when this was last called.
    last_up: Option<Duration>,
    /// When there is more to do at once.
    again_at: Option<Instant>,
    /// What the other speakers can read of this one: the report as the API server has it.
    pub(super) published: Published,
    /// Whether the report may have to be another.
    pub(super) report_stale: bool,
    /// Whether this run has reported anything: before that, the last report of the run before counts.
    pub(super) has_reported: bool,
    /// Whether something may have to be written.
    pub(super) writing_due: bool,
    /// Whether the status may have to be another.
    pub(super) status_stale: bool,
    /// Segments whose bridge or port went: somebody may take what this node holds there before it is back.
    lost: BTreeSet<SubnetName>,
    /// The highest number of a beat on segments that have ended: the others take no lower one from this process.
    last_beat: u64,
    problems: BTreeSet<String>,
    /// Who is dead, by segment, as far as this node hears.
    pub(super) absent: Absent,
    /// What others hold, by their reports and beats.
    pub(super) hearsay: Hearsay,
}

impl Agent {
    /// Knows nothing yet.
    pub fn new(settings: Settings) -> Self {
        Self {
            announcer: Announcer::new(settings.node.clone(), settings.policy.clone()),
            settings,
            world: World::default(),
            dirty: Dirty::everything(),
            segments: BTreeMap::new(),
            ended: Vec::new(),
            cluster_known: false,
            vswitch_known: false,
            stale: true,
            vswitch_changed: true,
            sight_changed: false,
            last_up: None,
            again_at: None,
            published: Published::default(),
            report_stale: true,
            has_reported: false,
            writing_due: false,
            status_stale: true,
            lost: BTreeSet::new(),
            last_beat: 0,
            problems: BTreeSet::new(),
            absent: Absent::new(),
            hearsay: Hearsay::default(),
        }
    }

    /// To be called before everything else, twice a second at least. `up`: how long the host has been up, the time that it
    /// slept included (CLOCK_BOOTTIME). Whether this node was stopped meanwhile: then it asks first, and frames that wait
    /// for it are of the past.
    pub fn wake(&mut self, up: Duration, now: Instant) -> bool {
        let before = self.last_up.replace(up).unwrap_or(up);
        let was_stopped = up.saturating_sub(before) >= self.patience();
        if was_stopped {
            self.segments.values_mut().for_each(|segment| segment.listen_first(now));
        }
        was_stopped
    }

    /// How long it may do nothing before others may have taken over what it holds.
    pub fn patience(&self) -> Duration {
        let beats = self.settings.manner.beats.as_ref().map(|beats| beats.cadence.patience());
        let said = self.segments.values().filter_map(Segment::said_patience).min().unwrap_or_default();
        beats.map_or(STOPPED_AFTER, |patience| patience.max(said).min(STOPPED_AFTER))
    }

    /// This process ends: on each segment the others are told what to do about it. Fetch the frames, and send them.
    pub fn part(&mut self, state: State) {
        self.segments.values_mut().for_each(|segment| segment.part(state));
    }

    /// The cluster changed. `is_complete`: all of it was told once.
    pub fn cluster_changed(&mut self, changes: impl IntoIterator<Item = Change>, is_complete: bool) {
        for change in changes {
            let change = self.with_served(change);
            let change = self.with_heard(change);
            self.writing_due = true;
            if self.published.take(&self.settings.node, &change) {
                self.sight_changed = true;
                if self.has_reported {
                    continue;
                }
            }
            // What is spared may be another.
            self.vswitch_changed |= matches!(change, Change::Gaps(_));
            let dirty = self.world.apply(change);
            self.stale |= !dirty.is_empty() || self.vswitch_changed;
            self.dirty.merge(dirty);
        }
        self.writing_due |= self.cluster_known != is_complete;
        self.cluster_known = is_complete;
    }

    /// Open vSwitch's database was read, or has changed.
    pub fn vswitch_changed(&mut self) {
        (self.stale, self.vswitch_changed, self.vswitch_known) = (true, true, true);
    }

    /// What a switch confirms has changed: rules of a bridge, or what OVN delivers.
    pub fn sight_changed(&mut self) {
        self.sight_changed = true;
    }

    /// There is a socket on the segment.
    pub fn socket_opened(&mut self, subnet: &SubnetName, now: Instant) {
        if let Some(segment) = self.segments.get_mut(subnet) {
            segment.socket_opened(now);
            self.sight_changed = true;
        }
    }

    /// A socket on the segment was tried for in vain, or lost.
    pub fn socket_failed(&mut self, subnet: &SubnetName, now: Instant) {
        if let Some(segment) = self.segments.get_mut(subnet) {
            segment.socket_failed(now);
            self.status_stale = true;
        }
    }

    /// A frame came. What became of it; nothing, on a segment that is no more.
    pub fn receive(&mut self, subnet: &SubnetName, frame: &Received, now: Instant) -> Option<Verdict> {
        let verdict = self.segments.get_mut(subnet)?.receive(frame, now);
        self.status_stale |= matches!(verdict, Verdict::Conflict { .. });
        if verdict == Verdict::Beat {
            self.take_in_beats(subnet);
        }
        self.contest(subnet, verdict, now);
        Some(verdict)
    }

    /// Plans what changed. Whether rules and wishes may be others.
    pub fn plan(&mut self, sight: &dyn Sight, now: Instant) -> bool {
        let segments = self.segments.values_mut();
        let is_answering = segments.fold(false, |any, segment| any | segment.renew_answers(now));
        // Rules and speech of an earlier run stay while not everything is known.
        if self.waiting_for().is_some() || !std::mem::take(&mut self.stale) {
            return is_answering;
        }
        let dirty = std::mem::take(&mut self.dirty);
        let replanned = self.announcer.update(&self.world, Some(&self.absent), &dirty);
        let is_moved = std::mem::take(&mut self.vswitch_changed);
        // Also where no segment is left: then its rules go.
        let is_all = replanned == Replanned::Everything;
        let segments: BTreeSet<SubnetName> = match replanned {
            Replanned::Only { vips, services } if !is_moved => {
                self.writing_due |= !services.is_empty();
                vips.into_iter().map(|(subnet, _)| subnet).collect()
            }
            Replanned::Everything | Replanned::Only { .. } => {
                self.end_others(now);
                self.problems = self.announcer.refusals().iter().map(ToString::to_string).collect();
                self.announcer.plan().segments.keys().cloned().collect()
            }
        };
        let is_changed = is_answering || is_moved || is_all || !segments.is_empty();
        self.plan_segments(segments, sight, now);
        is_changed
    }

    /// Segments that are in the plan no more fall silent; their rules go next.
    fn end_others(&mut self, now: Instant) {
        let plan = self.announcer.plan();
        let gone = self.segments.extract_if(.., |subnet, _| !plan.segments.contains_key(subnet));
        for (subnet, segment) in gone.collect::<Vec<_>>() {
            self.absent.remove(&subnet);
            self.end(subnet, segment, now);
        }
        self.report_stale = true;
    }

    fn end(&mut self, subnet: SubnetName, mut segment: Segment, now: Instant) {
        segment.fall_silent(now);
        self.last_beat = self.last_beat.max(segment.last_beat());
        self.ended.push((subnet, segment));
    }

    /// What it waits for before it does anything.
    pub fn waiting_for(&self) -> Option<&'static str> {
        match (self.cluster_known, self.vswitch_known) {
            (false, _) => Some("the cluster's objects"),
            (true, false) => Some("Open vSwitch's database"),
            (true, true) => None,
        }
    }

    fn plan_segments(&mut self, subnets: BTreeSet<SubnetName>, sight: &dyn Sight, now: Instant) {
        self.sight_changed |= !subnets.is_empty();
        self.report_stale |= !subnets.is_empty();
        for subnet in subnets {
            let Some(plan) = self.announcer.plan().segments.get(&subnet).cloned() else { continue };
            let old = self.segments.remove(&subnet);
            // Open vSwitch forgets MACs with its database server, and writes them again (`mac_in_use` is ephemeral).
            let located = match (sight.locate(&plan), &old) {
                (Err(NotFound::Mac(_)), Some(old)) if old.bridge() == &plan.bridge => {
                    Ok(old.located().clone())
                }
                (located, _) => located,
            };
            match (located, old) {
                (Ok(located), Some(mut segment)) => {
                    segment.set_plan(plan, located, now);
                    self.expect_all_on(&mut segment);
                    self.segments.insert(subnet, segment);
                }
                (Ok(located), None) => {
                    let report = self.world.report_of(&self.settings.node);
                    let held = report.and_then(|report| report.segments.get(&subnet));
                    let held = held.map(|segment| segment.held.clone()).unwrap_or_default();
                    let manner = self.settings.manner.clone();
                    let mut segment = Segment::new(subnet.clone(), plan, located, held, manner);
                    segment.beat_after(self.last_beat);
                    self.expect_all_on(&mut segment);
                    if self.lost.remove(&subnet) {
                        segment.comes_back(now);
                    }
                    self.segments.insert(subnet, segment);
                }
                (Err(error), old) => {
                    if !plan.steered.is_empty() {
                        self.problems.insert(format!("Subnet {subnet}: {error}"));
                    }
                    if let Some(segment) = old {
                        self.lost.insert(subnet.clone());
                        self.end(subnet, segment, now);
                    }
                }
            }
        }
    }

    /// Speaks for what is steered and delivered by now, and keeps the report.
    pub fn act(&mut self, sight: &dyn Sight, now: Instant) {
        self.ask_for_what_was_given_up(now);
        self.hold_back_what_others_claimed(now);
        if std::mem::take(&mut self.sight_changed) {
            self.status_stale = true;
            let mut segments = std::mem::take(&mut self.segments);
            for (subnet, segment) in &mut segments {
                let is_known = self.is_known(subnet, segment);
                see(sight, subnet, &segment.bridge().clone(), is_known, |ready| {
                    segment.speak_what_is_delivered(ready, now);
                });
            }
            self.segments = segments;
        }
        self.settle_rivals(now);
        self.tick_segments(now);
        if self.waiting_for().is_none() {
            self.keep_report(now);
        }
        // What the report says of this node is part of the world that the plan is made from.
        self.again_at = (self.waiting_for().is_none() && self.stale).then_some(now);
    }

    /// The next frame that is due, and where to send it. Fetch until there is none.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<(SubnetName, Vec<u8>)> {
        let mut segments = self.segments.iter_mut();
        segments.find_map(|(subnet, segment)| Some((subnet.clone(), segment.poll_transmit(now)?)))
    }

    /// When to come again though nothing happens.
    pub fn deadline(&self) -> Option<Instant> {
        self.segments.values().filter_map(Segment::deadline).chain(self.again_at).min()
    }

    /// The bridges where rules of this program may lie, with those that they shall have.
    pub fn rules(&self) -> BTreeMap<InterfaceName, BTreeSet<Flow>> {
        let mut rules: BTreeMap<InterfaceName, BTreeSet<Flow>> = BTreeMap::new();
        for bridge in &self.announcer.plan().bridges {
            rules.entry(bridge.clone()).or_default();
        }
        for segment in self.segments.values() {
            rules.entry(segment.bridge().clone()).or_default().extend(segment.rules().cloned());
        }
        rules
    }

    /// What OVN is asked for: whether it delivers what this node is to announce.
    pub fn wishes(&self) -> Wishes {
        let mut wishes = Wishes::new();
        for (subnet, segment) in &self.segments {
            for (vip, wish) in segment.wishes() {
                wishes.entry(vip).or_default().insert(subnet.clone(), wish);
            }
        }
        wishes
    }

    /// Each segment, the interface that its socket is on, and whether one is to be opened where there is none.
    pub fn sockets(&self) -> impl Iterator<Item = (&SubnetName, &InterfaceName, bool)> {
        self.segments
            .iter()
            .map(|(subnet, segment)| (subnet, &segment.located().speak_on, segment.wants_socket()))
    }

    /// What is wrong, with the cure: what is declined, and what is missing on the node.
    pub fn problems(&self) -> &BTreeSet<String> {
        &self.problems
    }

    /// The world as this node knows it.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// How many VIPs it answers for.
    pub fn answered(&self) -> usize {
        self.segments.values().map(Segment::answered).sum()
    }

    /// How many rules it needs, on all bridges.
    pub fn rules_wanted(&self) -> usize {
        self.segments.values().map(|segment| segment.rules().count()).sum()
    }

    /// Whether the other speakers can know this one's MAC: by its report, or by the beats with which it asked them.
    pub(super) fn is_known(&self, subnet: &SubnetName, segment: &Segment) -> bool {
        let mac = segment.located().interface.mac;
        match self.settings.reports {
            true => is_known(self.published.report(), subnet, mac),
            false => segment.has_listened(),
        }
    }
}
