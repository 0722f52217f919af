//! One node's host: what its switches are, and what the agent on it is known to have done.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ovn_vip::flows::{BridgePorts, Flow};
use ovn_vip::l2::Interface;
use ovn_vip::l2::beat::Keys;
use ovn_vip::model::{InterfaceName, Mac, NodeName, SegmentPlan, SubnetName};
use ovn_vip::node::{Agent, Cadence, Identity, Located, Manner, NotFound, Settings, Sight};
use ovn_vip::plan::Policy;

pub struct Host {
    pub name: NodeName,
    pub mac: Mac,
    /// None while it is dead.
    pub agent: Option<Agent>,
    pub switches: Switches,
    pub has_socket: bool,
    /// Until when it is stopped, since when, and the frames that wait for it.
    pub stopped: Option<(Duration, Duration)>,
    pub inbox: Vec<Vec<u8>>,
    /// How long it was stopped, all told.
    pub slept: Duration,
    pub reachable: bool,
    /// How far it has read the API server's log; nothing yet.
    pub read: Option<usize>,
    pub write_at: Option<Duration>,
    pub wake_at: Option<Duration>,
    pub node_ready: bool,
    pub backends: BTreeSet<usize>,
}

/// What the agent sees, and, of OVN, what is so.
pub struct Switches {
    pub mac: Mac,
    pub bridge: bool,
    /// Whether ovs-vswitchd runs.
    pub runs: bool,
    pub carrier: bool,
    pub rules: BTreeSet<Flow>,
    /// What the agent said last that it wants.
    pub handed: BTreeSet<Flow>,
    pub seen: BTreeSet<IpAddr>,
    pub delivers: BTreeSet<IpAddr>,
    /// When OVN ceased to deliver it.
    pub lost_at: BTreeMap<IpAddr, Duration>,
}

impl Host {
    pub fn new(number: usize, vips: &[IpAddr]) -> Self {
        let mac = Mac([2, 0, 0, 0, 0, u8::try_from(number + 1).unwrap()]);
        let all: BTreeSet<IpAddr> = vips.iter().copied().collect();
        let switches = Switches {
            mac,
            bridge: true,
            runs: true,
            carrier: true,
            rules: BTreeSet::new(),
            handed: BTreeSet::new(),
            seen: all.clone(),
            delivers: all,
            lost_at: BTreeMap::new(),
        };
        Self {
            name: format!("node{}", number + 1).as_str().into(),
            mac,
            agent: None,
            switches,
            has_socket: false,
            stopped: None,
            inbox: Vec::new(),
            slept: Duration::ZERO,
            reachable: true,
            read: None,
            write_at: None,
            wake_at: None,
            node_ready: true,
            backends: (0..vips.len()).collect(),
        }
    }

    /// `boot`: when, in milliseconds; none, where it does not beat. `alone`: without an API server.
    pub fn start(&mut self, boot: Option<u64>, alone: bool) {
        let (node, policy) = (self.name.clone(), Policy::default());
        let cadence = Cadence { holder: Duration::from_millis(100), other: Duration::from_secs(1) };
        let identity =
            |boot| Identity { node: node.clone(), boot, cadence, keys: Keys::read("secret"), alone };
        let beats = boot.map(identity).map(Arc::new);
        let manner = Manner { beats, answer_ping: true, ..Manner::default() };
        let mut agent = Agent::new(Settings { node, policy, manner, reports: !alone });
        agent.vswitch_changed();
        self.agent = Some(agent);
        (self.has_socket, self.read, self.write_at, self.wake_at) = (false, None, None, None);
    }

    pub fn kill(&mut self) {
        (self.agent, self.stopped, self.has_socket) = (None, None, false);
        self.inbox.clear();
    }

    pub fn runs(&self) -> bool {
        self.agent.is_some() && self.stopped.is_none()
    }

    /// Whether it could serve the VIP of that number.
    pub fn is_able(&self, number: usize, vip: IpAddr) -> bool {
        let Switches { bridge, runs, carrier, delivers, .. } = &self.switches;
        let delivered = *bridge && *runs && *carrier && delivers.contains(&vip);
        self.runs() && self.reachable && self.node_ready && self.backends.contains(&number) && delivered
    }
}

impl Sight for Switches {
    fn locate(&self, segment: &SegmentPlan) -> Result<Located, NotFound> {
        if !self.bridge {
            return Err(NotFound::Bridge(segment.bridge.clone()));
        }
        Ok(Located {
            ports: BridgePorts { nic: 1, patch: 2, own: 3, mac: self.mac },
            speak_on: segment.bridge.clone(),
            interface: Interface { mac: self.mac, vlan: segment.vlan },
            carrier: self.carrier,
        })
    }

    fn is_on_bridge(&self, _bridge: &InterfaceName, flow: &Flow) -> bool {
        self.bridge && self.runs && self.rules.contains(flow)
    }

    fn is_delivered(&self, _subnet: &SubnetName, vip: IpAddr) -> bool {
        self.runs && self.seen.contains(&vip)
    }
}
