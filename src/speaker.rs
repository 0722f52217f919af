//! `ovn-vip speaker`: steers and answers for VIPs on one node.

use std::process::ExitCode;

use crate::settings::SpeakerArgs;

/// Runs until it is told to stop.
pub async fn run(_arguments: SpeakerArgs) -> anyhow::Result<ExitCode> {
    anyhow::bail!("not written yet")
}
