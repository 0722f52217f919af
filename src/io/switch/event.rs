//! What a [`Switch`](super::Switch) tells, and why a bridge is out of reach.

use std::io;

use crate::flows::{Event, OpenFlowError, SessionError, Version};

/// What happened on a bridge.
#[derive(Debug)]
pub enum SwitchEvent {
    /// The bridge answers; its flows are being read.
    Connected {
        /// The version of OpenFlow agreed on.
        version: Version,
        /// The bridge's `datapath_id`.
        datapath: u64,
    },
    /// The bridge is out of reach: nothing is known of its flows. It is tried again by itself.
    Disconnected {
        /// Why, with the cure.
        reason: SwitchError,
        /// Not so at the attempts that follow, until the bridge has answered again.
        first: bool,
    },
    /// What is wanted is on the bridge or left to Kube-OVN, but for what was `Refused` right before. Follows every change of the wish, and
    /// every connection.
    Installed {
        /// Flows that had to be made for it.
        added: usize,
        /// Flows that had to go.
        removed: usize,
    },
    /// Somebody had changed our flows, and they are as wanted again.
    Repaired {
        /// Flows that were missing or wrong.
        added: usize,
        /// Flows that were too many.
        removed: usize,
    },
    /// How many of the wanted flows are left to Kube-OVN's own rules, which do the same, has changed.
    LeftToKubeOvn {
        /// So many are now.
        left: usize,
        /// So many are no longer, because its rules are gone or wrong: ours are back.
        taken_back: usize,
    },
    /// One of ours takes the place of somebody else's rule, which has the same match and priority.
    Replaces {
        /// Ours, as `ovs-ofctl` prints it.
        flow: String,
        /// The cookie of the other.
        cookie: u64,
    },
    /// The bridge does not take this change; the others were made. It is tried again every 30 s, and told once.
    Refused {
        /// The change, as `ovs-ofctl` prints it.
        flow: String,
        /// The error's name in the OpenFlow specification, such as `OFPBAC_BAD_OUT_PORT`.
        error: String,
        /// What to do about it.
        cure: String,
    },
}

/// Why a bridge is out of reach.
#[derive(Debug, thiserror::Error)]
pub enum SwitchError {
    /// No socket, or nobody behind it.
    #[error("cannot connect: {why}; is ovs-vswitchd running, and is there such a bridge?")]
    Connect {
        /// The socket, and what is the matter with it.
        why: String,
    },
    /// The connection broke.
    #[error("connection to bridge {bridge} lost: {source}")]
    Lost {
        /// The bridge.
        bridge: String,
        /// What the system says.
        source: io::Error,
    },
    /// No version in common.
    #[error(
        "bridge {bridge} cannot be served: {source}; \
         allow it: ovs-vsctl set bridge {bridge} protocols=OpenFlow10,OpenFlow13,OpenFlow14"
    )]
    Versions {
        /// The bridge.
        bridge: String,
        /// What it speaks.
        source: SessionError,
    },
    /// The bridge does not behave as the protocol asks for.
    #[error("bridge {bridge}: {source}")]
    Session {
        /// The bridge.
        bridge: String,
        /// What it does.
        source: SessionError,
    },
}

impl SwitchEvent {
    /// What a session on this bridge tells, with the cure.
    pub(super) fn on(bridge: &str, event: Event) -> Self {
        match event {
            Event::Connected { version, datapath } => SwitchEvent::Connected { version, datapath },
            Event::Installed { added, removed } => SwitchEvent::Installed { added, removed },
            Event::Repaired { added, removed } => SwitchEvent::Repaired { added, removed },
            Event::LeftToKubeOvn { left, taken_back } => SwitchEvent::LeftToKubeOvn { left, taken_back },
            Event::Replaces { flow, cookie } => SwitchEvent::Replaces { flow, cookie },
            Event::Refused { change, error } => {
                SwitchEvent::Refused { flow: change, error: error.to_string(), cure: cure(bridge, error) }
            }
        }
    }
}

/// What to do where a bridge refuses a rule.
fn cure(bridge: &str, error: OpenFlowError) -> String {
    if error == OpenFlowError::TABLE_FULL {
        return format!(
            "its table 0 is full: raise flow_limit of the Flow_Table that its flow_tables names, \
             or lift the limit: ovs-vsctl clear bridge {bridge} flow_tables"
        );
    }
    format!("ovs-vswitchd's log says more; what the rule names is in: ovs-ofctl show {bridge}")
}

/// What ends a connection.
#[derive(Debug)]
pub(super) enum Broken {
    Stream(io::Error),
    Session(SessionError),
}

impl Broken {
    /// The same, with the bridge's name and the cure.
    pub(super) fn on(self, bridge: String) -> SwitchError {
        match self {
            Broken::Stream(source) => SwitchError::Lost { bridge, source },
            Broken::Session(source @ SessionError::Versions(_)) => SwitchError::Versions { bridge, source },
            Broken::Session(source) => SwitchError::Session { bridge, source },
        }
    }
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        Broken::Stream(error)
    }
}

impl From<SessionError> for Broken {
    fn from(error: SessionError) -> Self {
        Broken::Session(error)
    }
}
