//! The rules on this node's bridges: all that have our cookie, and nothing else.

use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::io::ovsdb_client::{Client, ClientConfig, Endpoint};
use crate::io::switch::{Switch, SwitchError, SwitchEvent};
use crate::node::bridge;
use crate::settings::RemoveArgs;

use super::super::northbound::synced;
use super::Outcome;

/// Looks at every bridge; with `--yes` takes the rules out.
pub(super) async fn remove(arguments: &RemoveArgs, last: &mut String) -> anyhow::Result<Outcome> {
    let address = &arguments.ovs;
    let folder = || Path::new(address.strip_prefix("unix:")?).parent().map(Path::to_path_buf);
    let rundir: PathBuf = arguments
        .ovs_rundir
        .clone()
        .or_else(folder)
        .context("--ovs is no unix socket: say with --ovs-rundir where the bridges' sockets are")?;
    *last = format!("Open vSwitch's database at {address} does not answer");
    let endpoints = Endpoint::parse_list(address).context("--ovs")?;
    let mut vswitch = Client::new(ClientConfig::new(endpoints, bridge::DATABASE, bridge::tables()));
    synced(&mut vswitch, last).await?;
    let mut count = 0;
    for name in bridge::names(vswitch.replica()) {
        *last = format!("bridge {name} does not answer: is ovs-vswitchd running?");
        let mut switch = Switch::new(rundir.join(format!("{name}.mgmt")));
        switch.only_look();
        if let Some(why) = is_foreign(&mut switch, last).await? {
            println!("bridge {name}: none of ours can be there: {why}");
            continue;
        }
        let found = switch.found();
        println!("bridge {name}: {found} rules");
        count += found;
        if arguments.yes && found > 0 {
            switch.clear();
            is_foreign(&mut switch, last).await?;
        }
    }
    if count > 0 && !arguments.yes {
        println!(
            "{count} rules would go: say --yes to do it. Stop this node's speaker first: it puts them back."
        );
        return Ok(Outcome::Unsaid);
    }
    println!("{count} rules removed: none of ours is left on this node's bridges");
    Ok(Outcome::Clean)
}

/// Waits until the bridge is as it is to be; why it cannot have rules of ours, where it speaks another OpenFlow.
async fn is_foreign(switch: &mut Switch, last: &mut String) -> anyhow::Result<Option<SwitchError>> {
    loop {
        match switch.next_event().await {
            SwitchEvent::Installed { .. } => return Ok(None),
            SwitchEvent::Disconnected { reason: reason @ SwitchError::Versions { .. }, .. } => {
                return Ok(Some(reason));
            }
            SwitchEvent::Disconnected { reason, .. } => *last = reason.to_string(),
            SwitchEvent::Refused { flow, error, cure } => anyhow::bail!("{flow} is refused: {error}; {cure}"),
            SwitchEvent::Connected { .. }
            | SwitchEvent::Repaired { .. }
            | SwitchEvent::Replaces { .. }
            | SwitchEvent::LeftToKubeOvn { .. } => {}
        }
    }
}
