//! One segment: its rules, its socket, its responder, in that order.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use futures::FutureExt;
use k8s_openapi::jiff::Timestamp;
use tracing::{debug, info, trace, warn};

use crate::flows::{Flow, Wish, flows_for};
use crate::io::packet_socket::{PacketSocket, PacketSocketError};
use crate::l2::{ClaimMode, Peers, Received, Responder, Verdict};
use crate::model::{InterfaceName, SegmentPlan, Steered, SubnetName, VlanId};

use super::bridge::Located;
use super::handover::Handover;
use super::status::{Facts, VipStatus, state};

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// What a node does on one segment.
#[derive(Debug)]
pub struct Segment {
    subnet: SubnetName,
    plan: SegmentPlan,
    located: Located,
    flows: BTreeSet<Flow>,
    responder: Responder,
    socket: Option<PacketSocket>,
    spoken: BTreeSet<IpAddr>,
    /// Since when each of `spoken` is.
    since: BTreeMap<IpAddr, Timestamp>,
    handover: Handover,
    pause: Duration,
    open_at: Instant,
    said: Option<String>,
}

impl Segment {
    /// Speaks for nothing yet.
    pub fn new(subnet: SubnetName, plan: SegmentPlan, located: Located, now: Instant) -> Self {
        let mut responder = Responder::new(located.interface);
        // Speakers do not know each other's MAC addresses yet: a foreign one may be the node that a VIP moves from.
        // So nothing is defended, and nothing probed for, which a peer that has not let go yet would answer.
        responder.set_peers(Peers::Anybody);
        Self {
            subnet,
            flows: flows_for(&plan, &located.ports),
            responder,
            plan,
            located,
            socket: None,
            spoken: BTreeSet::new(),
            since: BTreeMap::new(),
            handover: Handover::default(),
            pause: FIRST_PAUSE,
            open_at: now,
            said: None,
        }
    }

    /// The bridge that its rules are on.
    pub fn bridge(&self) -> &InterfaceName {
        &self.plan.bridge
    }

    /// Takes a new plan. What is no longer to be said is silent from here on, before any rule is
    /// touched; what another node is to say goes on until that one is heard.
    pub fn set_plan(&mut self, plan: SegmentPlan, located: Located, now: Instant) {
        if self.located.carrier != located.carrier {
            info!(subnet = %self.subnet, nic = %plan.nic, carrier = located.carrier, "the NIC's link changed");
        }
        if self.located.speak_on != located.speak_on {
            self.socket = None;
            self.open_at = now;
        }
        self.flows = flows_for(&plan, &located.ports);
        self.plan = plan;
        self.located = located;
        let still = self.spoken.iter().filter(|vip| self.is_to_be_spoken(**vip, now)).copied().collect();
        self.speak(still, now);
        self.responder.set_interface(self.located.interface, now);
    }

    /// Whether the VIP is ours to answer for: to announce, or ours still until the next one is heard.
    /// Without a carrier nobody hears it, and once there is one again it has to be claimed anew.
    fn is_to_be_spoken(&self, vip: IpAddr, now: Instant) -> bool {
        let SegmentPlan { announced, handed_over, .. } = &self.plan;
        let awaited = || self.spoken.contains(&vip) && self.handover.is_awaited(vip, now);
        let ours = announced.contains(&vip) || (handed_over.contains(&vip) && awaited());
        ours && self.located.carrier
    }

    /// The rules it needs.
    pub fn flows(&self) -> &BTreeSet<Flow> {
        &self.flows
    }

    /// What OVN has to deliver here before the announced VIPs may be spoken.
    pub fn wishes(&self) -> impl Iterator<Item = (IpAddr, Wish)> + '_ {
        let held = self.plan.handed_over.intersection(&self.spoken);
        self.plan.announced.iter().chain(held).filter_map(|vip| {
            let Steered { ports, local, elsewhere } = self.plan.steered.get(vip)?;
            let (local, elsewhere) = (local.clone(), elsewhere.clone());
            Some((*vip, Wish { ports: ports.len(), local, elsewhere }))
        })
    }

    /// Speaks for the announced VIPs whose rules are on the bridge and that OVN delivers, and for no other.
    pub fn speak_what_is_delivered(
        &mut self,
        is_on_bridge: impl Fn(&Flow) -> bool,
        is_delivered: impl Fn(IpAddr) -> bool,
        now: Instant,
    ) {
        let rules = self.steered_vips(is_on_bridge);
        let is_speakable =
            |vip: &&IpAddr| self.socket.is_some() && rules.get(*vip) == Some(&true) && is_delivered(**vip);
        let ours = self.plan.announced.union(&self.plan.handed_over);
        let ours = ours.filter(|vip| self.is_to_be_spoken(**vip, now));
        let speakable = ours.filter(is_speakable).copied().collect();
        self.speak(speakable, now);
    }

    /// How far each VIP is that this node can deliver.
    pub fn status(
        &self,
        is_on_bridge: impl Fn(&Flow) -> bool,
        is_delivered: impl Fn(IpAddr) -> bool,
    ) -> Vec<VipStatus> {
        let rules = self.steered_vips(is_on_bridge);
        let about = |(vip, steered): (&IpAddr, &Steered)| {
            let (state, why) = state(Facts {
                spoken: self.spoken.contains(vip),
                ours: self.plan.announced.contains(vip),
                has_carrier: self.located.carrier,
                has_socket: self.socket.is_some(),
                has_rules: rules.get(vip) == Some(&true),
                is_delivered: is_delivered(*vip),
            });
            let Steered { ports, local, elsewhere } = steered;
            VipStatus {
                vip: *vip,
                subnet: self.subnet.to_string(),
                state,
                why: why.to_owned(),
                since: self.since.get(vip).map(ToString::to_string),
                mac: self.located.interface.mac.to_string(),
                interface: self.located.speak_on.to_string(),
                vlan: self.located.interface.vlan.map(VlanId::get),
                ports: ports.iter().map(|(protocol, port)| format!("{protocol}/{port}")).collect(),
                local: local.clone(),
                elsewhere: elsewhere.clone(),
            }
        };
        self.plan.steered.iter().map(about).collect()
    }

    /// Whether all rules of a VIP are on the bridge.
    fn steered_vips(&self, is_on_bridge: impl Fn(&Flow) -> bool) -> BTreeMap<IpAddr, bool> {
        let mut rules: BTreeMap<IpAddr, bool> = BTreeMap::new();
        for flow in &self.flows {
            *rules.entry(flow.matches.destination).or_insert(true) &= is_on_bridge(flow);
        }
        rules
    }

    /// Says nothing any more, and says so in the log.
    pub fn fall_silent(mut self, now: Instant) {
        self.speak(BTreeSet::new(), now);
    }

    fn speak(&mut self, vips: BTreeSet<IpAddr>, now: Instant) {
        let Located { interface, speak_on, .. } = &self.located;
        for vip in vips.difference(&self.spoken) {
            info!(%vip, subnet = %self.subnet, mac = %interface.mac, interface = %speak_on, "announcing");
        }
        for vip in self.spoken.difference(&vips) {
            info!(%vip, subnet = %self.subnet, "withdrawn");
        }
        self.since.retain(|vip, _| vips.contains(vip));
        for vip in &vips {
            self.since.entry(*vip).or_insert_with(Timestamp::now);
        }
        let claims = vips.iter().map(|vip| (*vip, ClaimMode::TakeOver)).collect();
        self.responder.set_vips(&claims, now);
        self.spoken = vips;
    }

    /// Opens the socket where there is something to say; tries again after a pause. Whether it has just opened.
    pub fn open_socket(&mut self, now: Instant) -> bool {
        if self.socket.is_some() || self.plan.announced.is_empty() || now < self.open_at {
            return false;
        }
        match PacketSocket::open(self.located.speak_on.as_str()) {
            Ok(socket) => {
                self.socket = Some(socket);
                self.pause = FIRST_PAUSE;
                self.said = None;
                true
            }
            Err(error) => {
                self.lose_socket(&error, now);
                false
            }
        }
    }

    fn lose_socket(&mut self, error: &PacketSocketError, now: Instant) {
        let error = error.to_string();
        if self.said.as_ref() != Some(&error) {
            warn!(subnet = %self.subnet, "{error}");
        }
        self.said = Some(error);
        self.socket = None;
        self.open_at = now + self.pause;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        self.speak(BTreeSet::new(), now);
    }

    /// The next frame, or that the socket is of no more use; never, without a socket. Cancel-safe.
    pub async fn receive(&self) -> Result<Received, PacketSocketError> {
        match &self.socket {
            Some(socket) => socket.receive().await,
            None => std::future::pending().await,
        }
    }

    /// The VIPs that it answers for.
    pub fn spoken(&self) -> &BTreeSet<IpAddr> {
        &self.spoken
    }

    /// Takes a frame in, or the loss of the socket. What became of the frame.
    pub fn received(
        &mut self,
        frame: Result<Received, PacketSocketError>,
        now: Instant,
    ) -> Option<&'static str> {
        let frame = match frame {
            Ok(frame) => frame,
            Err(error) => {
                self.lose_socket(&error, now);
                return None;
            }
        };
        let verdict = self.responder.handle_frame(&frame, now);
        match verdict {
            Verdict::Conflict { vip, mac, outcome } => {
                self.handover.hear(vip, now);
                if self.plan.handed_over.contains(&vip) {
                    info!(%vip, subnet = %self.subnet, to = %mac, "handed over");
                    let rest = self.spoken.iter().filter(|spoken| **spoken != vip).copied().collect();
                    self.speak(rest, now);
                } else {
                    warn!(%vip, foreign_mac = %mac, ?outcome, subnet = %self.subnet, "another host claims a VIP of ours");
                }
            }
            Verdict::Answered { .. } => debug!(subnet = %self.subnet, ?verdict, "answered"),
            Verdict::Ignored(_) => trace!(subnet = %self.subnet, ?verdict, "ignored"),
        }
        Some(verdict.as_str())
    }

    /// Sends what is due. A frame that the interface does not take at once is lost: its asker asks again.
    pub fn transmit(&mut self, now: Instant) {
        while let Some(frame) = self.responder.poll_transmit(now) {
            let Some(socket) = &self.socket else { return };
            match socket.send(&frame).now_or_never() {
                Some(Err(error @ PacketSocketError::InterfaceGone { .. })) => {
                    return self.lose_socket(&error, now);
                }
                Some(Err(error)) => debug!(subnet = %self.subnet, %error, "not sent"),
                Some(Ok(())) => {}
                None => debug!(subnet = %self.subnet, "not sent: the interface's queue is full"),
            }
        }
    }

    /// When something is due.
    pub fn deadline(&self) -> Option<Instant> {
        let open_at = (self.socket.is_none() && !self.plan.announced.is_empty()).then_some(self.open_at);
        self.responder.poll_timeout().into_iter().chain(open_at).min()
    }
}
