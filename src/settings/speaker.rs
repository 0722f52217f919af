//! The command line of `speaker`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, ValueEnum};

use super::ClusterArgs;
use crate::l2::OnConflict;
use crate::l2::beat::State;
use crate::node::{Cadence, Manner, Probe};

/// `ovn-vip speaker`.
#[derive(Clone, Debug, Args)]
pub struct SpeakerArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub cluster: ClusterArgs,
    /// The Node that this is.
    #[arg(long, env = "NODE_NAME", value_name = "NAME", value_parser = super::values::node_name)]
    pub node: String,
    /// This node's Open vSwitch database.
    #[arg(
        long,
        env = "OVN_VIP_OVS",
        default_value = "unix:/var/run/openvswitch/db.sock",
        value_name = "ADDR"
    )]
    pub ovs: String,
    /// Where the bridges' management sockets are; the folder of --ovs by default.
    #[arg(long, env = "OVS_RUNDIR", value_name = "DIR")]
    pub ovs_rundir: Option<PathBuf>,
    /// How often each VIP that this node answers for is announced anew, in seconds, a little sooner at random; by default
    /// never: a neighbour that has lost it asks. For switches that forget a MAC which is silent for long.
    #[arg(long, env = "OVN_VIP_ANNOUNCE_EVERY", default_value = "0", value_name = "SECONDS",
          value_parser = super::values::seconds_or_none, allow_negative_numbers = true)]
    pub announce_every: u32,
    /// What to do when a host that is no node of this cluster claims a VIP that is announced. Its MAC is told either way.
    #[arg(long, env = "OVN_VIP_CONFLICT", default_value = "defend", value_name = "WHAT")]
    pub conflict: ConflictArg,
    /// When to ask the wire whether somebody has a VIP's address before it is announced (RFC 5227), which takes 0.8 s.
    #[arg(long, env = "OVN_VIP_PROBE", default_value = "first", value_name = "WHEN")]
    pub probe: ProbeArg,
    /// How soon a node that dies is noticed by the others: each speaker says on the wire that it is there, and is dead after
    /// three times that it does not. docs/beats.md has the frames.
    #[arg(long, env = "OVN_VIP_LIVENESS", default_value = "default", value_name = "HOW")]
    pub liveness: LivenessArg,
    /// Whether the announcing node's bridge answers echo requests to a VIP, by rules of its own, while the VIP is delivered
    /// there: then ping tells whether it is. docs/verify.md has what it does not tell.
    #[arg(
        long,
        env = "OVN_VIP_ANSWER_PING",
        default_value_t = true,
        action = ArgAction::Set,
        value_name = "BOOL"
    )]
    pub answer_ping: bool,
    /// The secret that all speakers of the cluster share, one a line: the first signs what is said, each is believed. Without it
    /// any host on the wire can say that a node lives.
    #[arg(long, env = "OVN_VIP_BEAT_KEY_FILE", value_name = "FILE")]
    pub beat_key_file: Option<PathBuf>,
    /// How long the others leave this node what it holds when its speaker is told to end, in seconds: another one is to start.
    #[arg(long, env = "OVN_VIP_RESTART_PATIENCE", default_value = "10", value_name = "SECONDS",
          value_parser = super::values::seconds_or_none, allow_negative_numbers = true)]
    pub restart_patience: u32,
    /// When told to end, hand over at once: for a node that goes for good.
    #[arg(long, env = "OVN_VIP_HAND_OVER_ON_STOP")]
    pub hand_over_on_stop: bool,
}

/// `--probe`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ProbeArg {
    /// Where no node of the cluster is known to have held it.
    First,
    /// Each time, also when a dead node is replaced.
    Always,
    /// Never, but where this node was stopped or had no link: a host that has the address is heard of only afterwards.
    Never,
}

/// `--liveness`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LivenessArg {
    /// Ten times a second where it holds a VIP, once a second elsewhere.
    Default,
    /// Fifty times a second where it holds a VIP, five times elsewhere.
    Fast,
    /// Never: a node is dead when Kubernetes says so.
    Off,
}

/// `--conflict`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ConflictArg {
    /// Say each time that the VIP is here, five times a second at most, without end (RFC 5227, section 2.4 (c)).
    Defend,
    /// Say so once in ten seconds, then give way and ask again every few seconds (section 2.4 (b)).
    Yield,
}

impl SpeakerArgs {
    /// How segments are spoken on.
    pub fn manner(&self) -> Manner {
        let refresh = (self.announce_every > 0).then(|| Duration::from_secs(self.announce_every.into()));
        let on_conflict = match self.conflict {
            ConflictArg::Defend => OnConflict::Defend,
            ConflictArg::Yield => OnConflict::Yield,
        };
        let probe = match self.probe {
            ProbeArg::First => Probe::First,
            ProbeArg::Always => Probe::Always,
            ProbeArg::Never => Probe::Never,
        };
        Manner { refresh, on_conflict, probe, beats: None, answer_ping: self.answer_ping }
    }

    /// How often it says that it is there.
    pub fn cadence(&self) -> Option<Cadence> {
        let cadence = |holder, other| Cadence {
            holder: Duration::from_millis(holder),
            other: Duration::from_millis(other),
        };
        match self.liveness {
            LivenessArg::Default => Some(cadence(100, 1000)),
            LivenessArg::Fast => Some(cadence(20, 200)),
            LivenessArg::Off => None,
        }
    }

    /// What it says when it is told to end.
    pub fn last_words(&self) -> State {
        if self.hand_over_on_stop {
            State::Leaving
        } else {
            State::BackSoon(Duration::from_secs(self.restart_patience.into()))
        }
    }
}
