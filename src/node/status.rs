//! What a speaker tells of itself, and `ovn-vip status` shows: each VIP that this node can deliver, and how far it is.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::l2::ClaimState;
use crate::model::Mac;

/// A speaker's page `/status`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The Node.
    pub node: String,
    /// The VIPs that have a backend here, in order.
    pub vips: Vec<VipStatus>,
}

impl Status {
    /// How many VIPs are in each state.
    pub fn counts(&self) -> [(&'static str, usize); State::ALL.len()] {
        let count = |state| self.vips.iter().filter(|vip| vip.state == state).count();
        State::ALL.map(|state| (state.as_str(), count(state)))
    }
}

/// One VIP on one node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VipStatus {
    /// The VIP.
    pub vip: IpAddr,
    /// Its Subnet.
    pub subnet: String,
    /// How far it is.
    pub state: State,
    /// Why it is so, and what is waited for.
    pub why: String,
    /// Since when it is announced: RFC 3339.
    pub since: Option<String>,
    /// The MAC that it is announced with.
    pub mac: String,
    /// The interface that the speaker speaks on.
    pub interface: String,
    /// The tag that the speaker writes itself.
    pub vlan: Option<u16>,
    /// What is steered: protocol and port.
    pub ports: BTreeSet<String>,
    /// Backends on this node.
    pub local: BTreeSet<IpAddr>,
    /// Backends on other nodes.
    pub elsewhere: BTreeSet<IpAddr>,
}

/// How far a VIP is on a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// This node answers for it.
    Announced,
    /// This node answers for it until its successor is heard.
    HandingOver,
    /// This node is to answer for it, and waits for something.
    Waiting,
    /// Another node is to answer for it; here everything is ready.
    Standby,
    /// A host that is no node of this cluster has the address.
    Yielded,
}

impl State {
    /// All of them.
    pub const ALL: [State; 5] =
        [State::Announced, State::HandingOver, State::Waiting, State::Standby, State::Yielded];
}

impl State {
    /// As JSON has it.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Announced => "announced",
            State::HandingOver => "handing-over",
            State::Waiting => "waiting",
            State::Standby => "standby",
            State::Yielded => "yielded",
        }
    }
}

/// What is known of a VIP when its state is told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts {
    pub claim: Option<ClaimState>,
    pub ours: bool,
    pub has_carrier: bool,
    pub has_socket: bool,
    pub has_rules: bool,
    pub is_delivered: bool,
    pub is_known: bool,
    pub in_use_by: Option<Mac>,
}

/// A VIP's state, and why.
pub(super) fn state(facts: Facts) -> (State, String) {
    match (facts.claim, facts.ours) {
        (Some(ClaimState::Held), true) => {
            (State::Announced, "elected among the nodes with a ready backend".into())
        }
        (Some(ClaimState::Held), false) => {
            (State::HandingOver, "another node is elected, and was not heard yet".into())
        }
        (Some(ClaimState::Yielded { to }), _) => (
            State::Yielded,
            format!("the host with MAC {to} has this address; it is asked again every few seconds"),
        ),
        (Some(ClaimState::Probing), _) => (State::Waiting, probing(facts.in_use_by)),
        (None, false) => (State::Standby, "another node is elected, or none may announce".into()),
        (None, true) => (State::Waiting, waiting(facts).into()),
    }
}

fn probing(in_use_by: Option<Mac>) -> String {
    match in_use_by {
        Some(mac) => format!(
            "{mac}, a node of this cluster, answers for it, and not as ovn-vip: does MetalLB's speaker run there?"
        ),
        None => "the wire is asked whether somebody has the address (RFC 5227)".into(),
    }
}

fn waiting(facts: Facts) -> &'static str {
    match facts {
        Facts { has_carrier: false, .. } => "the NIC has no carrier, or is down",
        Facts { has_rules: false, .. } => "its rules are not on the provider bridge yet",
        Facts { is_delivered: false, .. } => {
            "OVN has no flow here that translates it to a local backend; is the controller running, and ovn-controller?"
        }
        Facts { has_socket: false, .. } => "the interface cannot be spoken on; see the log",
        Facts { is_known: false, .. } => {
            "this node's MAC is not published for the other speakers yet: is the API server there, and deploy/rbac.yaml applied?"
        }
        Facts { .. } => "it is about to be claimed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_waited_for_is_told_in_the_order_in_which_it_comes() {
        let mut facts = Facts {
            claim: None,
            ours: true,
            has_carrier: false,
            has_socket: false,
            has_rules: false,
            is_delivered: false,
            is_known: false,
            in_use_by: None,
        };
        assert!(state(facts).1.contains("carrier"));
        facts.has_carrier = true;
        assert!(state(facts).1.contains("rules"));
        facts.has_rules = true;
        assert!(state(facts).1.contains("OVN has no flow"));
        facts.is_delivered = true;
        assert!(state(facts).1.contains("interface"));
        facts.has_socket = true;
        assert!(state(facts).1.contains("published"));
        facts.is_known = true;
        assert_eq!(state(facts).0, State::Waiting);
        facts.claim = Some(ClaimState::Probing);
        assert!(state(facts).1.contains("RFC 5227"));
        facts.in_use_by = Some(Mac([2; 6]));
        assert!(state(facts).1.contains("02:02:02:02:02:02") && state(facts).1.contains("MetalLB"));
        facts.claim = Some(ClaimState::Held);
        assert_eq!(state(facts).0, State::Announced);
        facts.ours = false;
        assert_eq!(state(facts).0, State::HandingOver);
        facts.claim = Some(ClaimState::Yielded { to: Mac([4; 6]) });
        assert!(state(facts).0 == State::Yielded && state(facts).1.contains("04:04:04:04:04:04"));
    }

    #[test]
    fn a_status_is_read_as_it_was_written() {
        let vip = VipStatus {
            vip: [10, 0, 0, 9].into(),
            subnet: "underlay".into(),
            state: State::HandingOver,
            why: "x".into(),
            since: None,
            mac: "02:00:00:00:00:01".into(),
            interface: "br-provider".into(),
            vlan: Some(341),
            ports: BTreeSet::from(["tcp/80".into()]),
            local: BTreeSet::new(),
            elsewhere: BTreeSet::new(),
        };
        let status = Status { node: "node1".into(), vips: vec![vip] };
        let text = serde_json::to_string(&status).unwrap();
        assert!(text.contains(&format!("\"{}\"", State::HandingOver.as_str())));
        assert_eq!(serde_json::from_str::<Status>(&text).unwrap(), status);
    }
}
