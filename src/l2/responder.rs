//! The speaker of one interface: it answers for its VIPs and makes them known.
//!
//! Given frames and the time, decides what to say. Opens no socket and reads no clock: the shell hands in what
//! it received, and sends what [`Responder::poll_transmit`] gives. Nothing is ever said for a VIP that is not in
//! the set: frames are built when they are fetched, from the set as it is then.
//!
//! # To whom an answer goes
//! To the link-layer address that the packet itself names, as RFC 826 ("Packet Reception") and RFC 4861 §7.2.3
//! have it, even where the Ethernet source is another: relays and virtual router MACs do that. It gives an
//! attacker nothing: one unicast answer per question, and its content is true. A group as the sender is refused
//! when parsing, for that would make one question an answer to everyone.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Instant;

use super::ethernet::{ETHERTYPE_ARP, ETHERTYPE_IPV6, Tag};
use super::ndp::Message;
use super::schedule::Schedule;
use super::verdict::{Reason, Verdict, VerdictKind};
use super::{arp, ethernet, ndp};
use crate::model::{Mac, VlanId};

/// How many answers may wait for the socket. A shell that fetches after each frame has one; more than this means
/// that the wire asks faster than it takes answers, and an asker will ask again (RFC 4861 §10: after 1 s).
const MOST_ANSWERS: usize = 1024;

/// What we are on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Where clients shall send frames for the VIPs: the sender of all we say.
    pub mac: Mac,
    /// `Some`: frames carry the 802.1Q tag, and we write it. `None`: they carry none on this interface.
    pub vlan: Option<VlanId>,
}

/// A frame that came in, as a packet socket gives it: what this host sends is not among them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// From the destination address on, without the FCS.
    pub bytes: Vec<u8>,
    /// The outer tag, where the kernel took it off the frame.
    pub stripped: Option<Tag>,
}

/// The speaker of one interface.
#[derive(Debug)]
pub struct Responder {
    interface: Interface,
    /// In order: for whatever walks over all of them.
    vips: BTreeSet<IpAddr>,
    /// The same ones, for the look-up of every frame.
    known: HashSet<IpAddr>,
    schedule: Schedule,
    answers: VecDeque<Answer>,
    /// Frames of a round that `poll_transmit` has begun.
    round: VecDeque<(IpAddr, Packet)>,
    counters: BTreeMap<VerdictKind, u64>,
}

/// What is owed to an asker; becomes a frame when it is fetched, with the MAC address of then.
#[derive(Clone, Copy, Debug)]
enum Answer {
    Arp(arp::Repr),
    Ndp { vip: Ipv6Addr, asker: Ipv6Addr, to: Mac },
}

/// What goes into a frame, and to whom.
#[derive(Clone, Copy, Debug)]
enum Packet {
    Arp(arp::Repr),
    Ndp(ndp::Repr),
}

impl Responder {
    /// One that answers for nothing yet.
    pub fn new(interface: Interface) -> Self {
        Self {
            interface,
            vips: BTreeSet::new(),
            known: HashSet::new(),
            schedule: Schedule::default(),
            answers: VecDeque::new(),
            round: VecDeque::new(),
            counters: BTreeMap::new(),
        }
    }

    /// We are at another MAC address or VLAN now: every VIP is announced again. The same one again changes nothing.
    pub fn set_interface(&mut self, interface: Interface, now: Instant) {
        if interface == self.interface {
            return;
        }
        self.interface = interface;
        self.round.clear();
        for vip in &self.vips {
            self.schedule.start(*vip, now);
        }
    }

    /// Answer for exactly these. New ones are announced in spaced rounds, the first one at once (RFC 5227 §2.3,
    /// RFC 4861 §7.2.6); ones no longer named are never spoken again, even if an answer or a round was pending.
    pub fn set_vips(&mut self, vips: &BTreeSet<IpAddr>, now: Instant) {
        for gone in self.vips.difference(vips) {
            self.known.remove(gone);
            self.schedule.stop(*gone);
        }
        for new in vips.difference(&self.vips) {
            self.known.insert(*new);
            self.schedule.start(*new, now);
        }
        self.vips.clone_from(vips);
        let known = &self.known;
        self.answers.retain(|answer| known.contains(&answer.vip()));
        self.round.retain(|(vip, _)| known.contains(vip));
    }

    /// Judges a frame. After it, fetch what there is to say from [`Responder::poll_transmit`].
    pub fn handle_frame(&mut self, frame: &Received) -> Verdict {
        let verdict = self.judge(frame);
        *self.counters.entry(verdict.kind()).or_default() += 1;
        verdict
    }

    /// The next frame to send: answers first, then what is due of the announcements, at their pace.
    /// Fetch until `None`, after each call of another method and at [`Responder::poll_timeout`].
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Vec<u8>> {
        if let Some(answer) = self.answers.pop_front() {
            return Some(self.answer_frame(answer));
        }
        if self.round.is_empty() {
            let vip = self.schedule.pop(now)?;
            self.round.extend(announcement(vip, self.interface.mac).map(|packet| (vip, packet)));
        }
        let (_, packet) = self.round.pop_front()?;
        Some(self.announcement_frame(packet))
    }

    /// When [`Responder::poll_transmit`] has something again, though nothing was received.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.schedule.next()
    }

    /// How many frames got which verdict.
    pub fn counters(&self) -> &BTreeMap<VerdictKind, u64> {
        &self.counters
    }

    fn judge(&mut self, frame: &Received) -> Verdict {
        let (header, payload) = match ethernet::Repr::parse(&frame.bytes) {
            Ok(parsed) => parsed,
            Err(error) => return error.into(),
        };
        if header.source == self.interface.mac {
            return Verdict::Ignored(Reason::OwnFrame);
        }
        if !self.is_our_vlan(frame.stripped, header.tag) {
            return Verdict::Ignored(Reason::OtherVlan);
        }
        match header.ethertype {
            ETHERTYPE_ARP => self.judge_arp(&header, payload),
            ETHERTYPE_IPV6 => self.judge_ndp(&header, payload),
            _ => Verdict::Ignored(Reason::OtherProtocol),
        }
    }

    /// At most one tag, wherever it is; a priority tag counts as none (IEEE 802.1Q §6.9.1).
    fn is_our_vlan(&self, stripped: Option<Tag>, written: Option<Tag>) -> bool {
        match (stripped, written) {
            (Some(_), Some(_)) => false,
            (Some(tag), None) | (None, Some(tag)) => tag.vlan() == Ok(self.interface.vlan),
            (None, None) => self.interface.vlan.is_none(),
        }
    }

    fn judge_arp(&mut self, header: &ethernet::Repr, payload: &[u8]) -> Verdict {
        let packet = match arp::Repr::parse(payload) {
            Ok(packet) => packet,
            Err(error) => return error.into(),
        };
        if packet.sender_mac == self.interface.mac {
            return Verdict::Ignored(Reason::OwnFrame);
        }
        // RFC 5227 §2.4: any packet whose sender has our address and another MAC, to whomever it went.
        if self.known.contains(&packet.sender_ip.into()) {
            return Verdict::Conflict { vip: packet.sender_ip.into(), mac: packet.sender_mac };
        }
        if packet.operation == arp::Operation::Reply {
            return Verdict::Ignored(Reason::ArpReply);
        }
        let vip = IpAddr::V4(packet.target_ip);
        if !self.known.contains(&vip) {
            return Verdict::Ignored(Reason::NotOurVip);
        }
        if header.destination != Mac::BROADCAST && header.destination != self.interface.mac {
            return Verdict::Ignored(Reason::WrongDestination);
        }
        self.owe(Answer::Arp(packet), packet.sender_mac)
    }

    fn judge_ndp(&mut self, header: &ethernet::Repr, payload: &[u8]) -> Verdict {
        let packet = match ndp::Repr::parse(payload) {
            Ok(packet) => packet,
            Err(error) => return error.into(),
        };
        let (claimed, target, named) = match packet.message {
            Message::Solicitation { target, source_mac } => (packet.source, Some(target), source_mac),
            Message::Advertisement { target, target_mac, .. } => (target, None, target_mac),
        };
        let sender = named.unwrap_or(header.source);
        if sender == self.interface.mac {
            return Verdict::Ignored(Reason::OwnFrame);
        }
        // RFC 4862 §5.4.4: an advertisement of our address. And nobody else sends from it.
        if self.known.contains(&claimed.into()) {
            return Verdict::Conflict { vip: claimed.into(), mac: sender };
        }
        let Some(vip) = target else {
            return Verdict::Ignored(Reason::NeighborAdvertisement);
        };
        if !self.known.contains(&vip.into()) {
            return Verdict::Ignored(Reason::NotOurVip);
        }
        if !self.reaches(vip, packet.destination, header.destination) {
            return Verdict::Ignored(Reason::WrongDestination);
        }
        let asker = packet.source;
        let to = if asker.is_unspecified() { ndp::group_mac(ndp::ALL_NODES) } else { sender };
        self.owe(Answer::Ndp { vip, asker, to }, to)
    }

    /// Whether a host that has `vip` would hear this: its solicited-node group (RFC 4861 §7.2.2), all nodes, or
    /// itself (reachability probes, §7.3.1); a group may also come in a frame to us alone (RFC 6085).
    fn reaches(&self, vip: Ipv6Addr, destination: Ipv6Addr, frame: Mac) -> bool {
        let heard = [vip, ndp::solicited_node(vip), ndp::ALL_NODES].contains(&destination);
        let group = destination.is_multicast() && frame == ndp::group_mac(destination);
        heard && (group || frame == self.interface.mac)
    }

    fn owe(&mut self, answer: Answer, to: Mac) -> Verdict {
        if self.answers.len() >= MOST_ANSWERS {
            return Verdict::Ignored(Reason::Overloaded);
        }
        self.answers.push_back(answer);
        Verdict::Answered { vip: answer.vip(), to }
    }

    fn answer_frame(&self, answer: Answer) -> Vec<u8> {
        let mac = self.interface.mac;
        match answer {
            Answer::Arp(request) => {
                let reply = request.answer(mac);
                self.frame(reply.target_mac, Packet::Arp(reply))
            }
            Answer::Ndp { vip, asker, to } => self.frame(to, Packet::Ndp(ndp::Repr::answer(vip, mac, asker))),
        }
    }

    fn announcement_frame(&self, packet: Packet) -> Vec<u8> {
        let destination = match packet {
            Packet::Arp(_) => Mac::BROADCAST,
            Packet::Ndp(packet) => ndp::group_mac(packet.destination),
        };
        self.frame(destination, packet)
    }

    fn frame(&self, destination: Mac, packet: Packet) -> Vec<u8> {
        let Interface { mac: source, vlan } = self.interface;
        let (ethertype, payload) = match packet {
            Packet::Arp(packet) => (ETHERTYPE_ARP, packet.emit().to_vec()),
            Packet::Ndp(packet) => (ETHERTYPE_IPV6, packet.emit()),
        };
        ethernet::Repr { destination, source, tag: vlan.map(Tag::of), ethertype }.emit(&payload)
    }
}

impl Answer {
    fn vip(&self) -> IpAddr {
        match self {
            Answer::Arp(request) => request.target_ip.into(),
            Answer::Ndp { vip, .. } => (*vip).into(),
        }
    }
}

/// One round. Of ARP both forms, for there are hosts that heed only one of them.
fn announcement(vip: IpAddr, mac: Mac) -> impl Iterator<Item = Packet> {
    let arp = |vip: Ipv4Addr| {
        [arp::Repr::announcement(vip, mac), arp::Repr::gratuitous_reply(vip, mac)].map(Packet::Arp)
    };
    let (arp, ndp) = match vip {
        IpAddr::V4(vip) => (Some(arp(vip)), None),
        IpAddr::V6(vip) => (None, Some(Packet::Ndp(ndp::Repr::announcement(vip, mac)))),
    };
    arp.into_iter().flatten().chain(ndp)
}

#[cfg(test)]
#[path = "responder_tests.rs"]
mod tests;
