//! The last two steps: who may announce a VIP, and who does.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use super::steps::{Mark, Step, Way, wrong};
use crate::controller::announcer::{Announcer, announcer};
use crate::kube::marks::Status as Condition;
use crate::model::{L2StatusKey, NodeName, Subnet};
use crate::node::status::{State, Status};
use crate::plan::Refusal;
use crate::plan::Stage;

impl Way<'_> {
    pub(super) fn nodes_step(&self) -> Step {
        let Some((subnet, vip)) = self.subnet.zip(self.vip) else {
            return self.step(Stage::Nodes, Mark::Unknown, Vec::new());
        };
        let world = self.facts.reconciler.world();
        let addresses: BTreeSet<IpAddr> = self.backends.values().flatten().map(SocketAddr::ip).collect();
        let endpoints = world.slices_of(&self.service.key).flat_map(|slice| &slice.endpoints);
        let nodes: BTreeSet<&NodeName> = endpoints
            .filter(|endpoint| addresses.contains(&endpoint.address))
            .filter_map(|endpoint| endpoint.node.as_ref())
            .collect();
        let mut words: Vec<String> =
            nodes.iter().map(|node| format!("{node}: {}", self.node_words(node, subnet, vip))).collect();
        for status in self.facts.speakers {
            let said = status.vips.iter().filter(|said| said.vip == vip);
            words.extend(
                said.map(|said| format!("{} says {}: {}", status.node, said.state.as_str(), said.why)),
            );
        }
        if words.is_empty() {
            words.push("not looked at: no backend of ours tells which nodes may announce it".to_owned());
            return self.step(Stage::Nodes, Mark::Unknown, words);
        }
        self.step(Stage::Nodes, Mark::Right, words)
    }

    fn node_words(&self, node: &NodeName, subnet: &Subnet, vip: IpAddr) -> String {
        if !self.facts.live {
            return "has a backend".to_owned();
        }
        let Some(report) = self.facts.reconciler.world().report_of(node) else {
            return "has a backend; no speaker reports from there".to_owned();
        };
        let Some(segment) = report.segments.get(&subnet.name) else {
            return "has a backend; its speaker has no bridge or port on this segment".to_owned();
        };
        let state = match (segment.ready, segment.held.contains_key(&vip), segment.undelivered.contains(&vip))
        {
            (_, true, false) => "announces it",
            (_, true, true) => "announces it and cannot deliver it",
            (true, false, false) => "stands by",
            (true, false, true) => {
                "cannot deliver it: `ovn-vip status` there says what is missing in its Open vSwitch"
            }
            (false, false, _) => "cannot speak: no bridge or NIC, no carrier, or no socket",
        };
        format!("has a backend; its speaker {state}")
    }

    pub(super) fn announced_step(&self) -> Step {
        let step = |mark, words: String| self.step(Stage::Announced, mark, vec![words]);
        let Some((subnet, vip)) = self.subnet.zip(self.vip) else {
            return step(Mark::Unknown, String::new());
        };
        if !subnet.wishes.announce {
            return step(
                Mark::Unknown,
                "left to others, by the Subnet's annotation ovn-vip.io/announce".to_owned(),
            );
        }
        let speaks = |status: &&Status| {
            status.vips.iter().any(|said| said.vip == vip && said.state == State::Announced)
        };
        if let Some(status) = self.facts.speakers.iter().find(speaks) {
            return step(Mark::Right, format!("by {}, as its speaker says", status.node));
        }
        if !self.facts.live && !self.facts.speakers.is_empty() {
            let nodes: Vec<&str> = self.facts.speakers.iter().map(|status| status.node.as_str()).collect();
            return wrong(
                Stage::Announced,
                format!("by none of {}, as their speakers say", nodes.join(", ")),
                "ask the speakers of all nodes with a backend; each says above what it waits for".to_owned(),
            );
        }
        if !self.facts.live {
            let words = match self.facts.asked {
                true => "not known: no speaker that was asked has answered",
                false => "not known: a folder has no speakers; --speakers asks them",
            };
            return step(Mark::Unknown, words.to_owned());
        }
        self.by_report(subnet, vip)
    }

    /// Who announces it, by the speakers' reports.
    fn by_report(&self, subnet: &Subnet, vip: IpAddr) -> Step {
        let step = |mark, words: String| self.step(Stage::Announced, mark, vec![words]);
        let world = self.facts.reconciler.world();
        match announcer(world, self.facts.silent, &subnet.name, vip) {
            Announcer::Node(node) => {
                let segment = world.report_of(node).and_then(|report| report.segments.get(&subnet.name));
                let mac = segment.map(|segment| format!(", with MAC {}", segment.mac)).unwrap_or_default();
                let heard = step(Mark::Right, format!("by {node}{mac}"));
                self.missed(node, subnet).map_or(heard, |missed| missed)
            }
            Announcer::Undelivered(node) => wrong(
                Stage::Announced,
                format!("{node} holds {vip} and cannot deliver it"),
                format!(
                    "`ovn-vip status` on {node} says what is missing in its Open vSwitch; does ovn-controller run there?"
                ),
            ),
            Announcer::Lost(node) => wrong(
                Stage::Announced,
                format!(
                    "{node} announced {vip} last, and its Node is not ready: no other has taken it over yet"
                ),
                "another node with a ready backend would take it over".to_owned(),
            ),
            Announcer::NotHeard(node, since) => wrong(
                Stage::Announced,
                format!(
                    "{node} announced {vip} last, and its speaker has not been heard since {since}, by the clocks of both"
                ),
                format!("does the Pod of ovn-vip-speaker run on {node}, and does it reach the API server?"),
            ),
            Announcer::Nobody => self.by_nobody(subnet, vip),
            Announcer::Unreported if self.others().is_some() => self.by_nobody(subnet, vip),
            // The controller, which may read reports, says that somebody announces it.
            Announcer::Unreported if self.facts.said.is_some_and(|said| said.status == Condition::True) => {
                step(Mark::Unknown, "no speaker's report can be read: may Leases be listed?".to_owned())
            }
            Announcer::Unreported => wrong(
                Stage::Announced,
                "no speaker reports".to_owned(),
                "does the DaemonSet ovn-vip-speaker run, and may it write Leases?".to_owned(),
            ),
        }
    }

    /// Other speakers of the segment, where clients are, miss the beats of the one that announces it. Where it is one that does,
    /// either may be cut off.
    fn missed(&self, node: &NodeName, subnet: &Subnet) -> Option<Step> {
        let world = self.facts.reconciler.world();
        let others = world.reports().filter(|report| report.node != *node);
        let others = others.filter(|report| !self.facts.silent.contains_key(&report.node));
        let others = others.filter_map(|report| Some((&report.node, report.segments.get(&subnet.name)?)));
        let (missing, hearing): (Vec<_>, Vec<_>) = others
            .filter(|(_, segment)| segment.beats && segment.ready)
            .partition(|(_, segment)| segment.missed.contains(node));
        let names: Vec<String> = missing.iter().map(|(other, _)| other.to_string()).collect();
        let fault =
            format!("{node} announces it, and {} hear nothing of it on the wire", names.join(" and "));
        let cure = format!(
            "is the VLAN carried to {node} by every switch between, and does its speaker run? Its log says whom it misses"
        );
        match (missing.len(), hearing.len()) {
            (0, _) => None,
            (1, _) | (_, 1..) => Some(Step { mark: Mark::Doubtful, ..wrong(Stage::Announced, fault, cure) }),
            (_, 0) => Some(wrong(Stage::Announced, fault, cure)),
        }
    }

    /// The node that others announce it from, and whose word that is.
    pub(super) fn others(&self) -> Option<(&NodeName, &L2StatusKey)> {
        self.refusals.iter().find_map(|refusal| match refusal {
            Refusal::AnnouncedByOthers { node, status, .. } => Some((node, status)),
            _ => None,
        })
    }

    /// Nobody says that it announces it: those that say why.
    fn by_nobody(&self, subnet: &Subnet, vip: IpAddr) -> Step {
        if let Some((node, L2StatusKey { namespace, name })) = self.others() {
            let words = format!(
                "by others on {node}, as ServiceL2Status {namespace}/{name} says: it is left to them"
            );
            let step = self.step(Stage::Announced, Mark::Doubtful, vec![words]);
            return step;
        }
        let reports = self.facts.reconciler.world().reports();
        let unable = reports.filter(|report| report.cannot_deliver(&subnet.name, vip));
        let unable: Vec<String> = unable.map(|report| report.node.to_string()).collect();
        if unable.is_empty() {
            let cure = "`ovn-vip status` on the nodes above says what each waits for, and so do the logs of ovn-vip-speaker";
            return wrong(Stage::Announced, format!("no node announces {vip}"), cure.to_owned());
        }
        let cure = "`ovn-vip status` on them says what is missing in their Open vSwitch: OVN's flows, or our rules; do ovs-vswitchd and ovn-controller run there?";
        let unable = unable.join(" and ");
        wrong(
            Stage::Announced,
            format!("no node announces {vip}: {unable} cannot deliver it"),
            cure.to_owned(),
        )
    }
}
