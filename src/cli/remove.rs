//! `ovn-vip remove`: everything of ours goes, where that is said.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;

use crate::io::ovsdb_client::{Client, ClientConfig, Endpoint, Event};
use crate::nb::diff::Changes;
use crate::nb::rows::{NORTHBOUND, northbound_tables};
use crate::nb::{Owner, removal, transaction};
use crate::settings::RemoveArgs;

use super::northbound::synced;

/// Something would be removed, and was not.
const UNSAID: u8 = 2;

/// Says what would go; with `--yes` takes it out.
pub async fn run(arguments: &RemoveArgs) -> anyhow::Result<ExitCode> {
    let address = arguments.northbound()?;
    let config = ClientConfig::new(
        Endpoint::parse_list(&address).context("--ovn-nb")?,
        NORTHBOUND,
        northbound_tables(),
    );
    let tls = Some(arguments.tls.config());
    let mut client = Client::new(ClientConfig { leader_only: arguments.yes, tls, ..config });
    let mut last = String::from("it does not answer");
    let work = remove(arguments, &mut client, &mut last);
    match tokio::time::timeout(Duration::from_secs(arguments.timeout), work).await {
        Ok(done) => done,
        Err(_) => anyhow::bail!(
            "not done after {} s: the northbound at {address}: {last}; is --ovn-nb right, and ovsdb-server running?",
            arguments.timeout
        ),
    }
}

async fn remove(arguments: &RemoveArgs, client: &mut Client, last: &mut String) -> anyhow::Result<ExitCode> {
    synced(client, last).await?;
    let mut owner = Owner::new(&arguments.cluster_name, 0);
    let changes = removal::everything(&mut owner, client.replica());
    print!("{changes}");
    let count = changes.len();
    if count == 0 {
        let names: Vec<String> = removal::names(client.replica()).into_iter().collect();
        let others = match &names[..] {
            [] => "none of any".to_owned(),
            names => format!("only of {}: is --cluster-name right?", names.join(", ")),
        };
        println!("there is no row of cluster {}, {others}", arguments.cluster_name);
        return Ok(if names.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    if !arguments.yes {
        println!(
            "{count} writes would take out everything of cluster {}: say --yes to do it.",
            arguments.cluster_name
        );
        println!("Stop the speakers and the controllers first: a controller that runs puts all of it back.");
        return Ok(ExitCode::from(UNSAID));
    }
    let mut rest = changes;
    while !rest.is_empty() {
        let (now, _) = rest.next_step();
        commit(client, &now, last).await?;
        rest = removal::everything(&mut owner, client.replica());
    }
    println!("{count} writes: nothing of cluster {} is left in the northbound", arguments.cluster_name);
    println!("On each node, for its provider bridge, once its speaker is stopped:");
    println!("  ovs-ofctl del-flows BRIDGE cookie=0x6f766e2d76697000/0xffffffffffffff00");
    Ok(ExitCode::SUCCESS)
}

/// Writes, and waits until it is there.
async fn commit(client: &mut Client, changes: &Changes, last: &mut String) -> anyhow::Result<()> {
    for operations in transaction::encode(changes) {
        let sent = client.transact(operations);
        loop {
            match client.next_event().await {
                Event::Committed { id, result } if id == sent => {
                    result.map_err(|error| anyhow::anyhow!("the northbound refused it: {error}"))?;
                    break;
                }
                Event::Disconnected { reason, .. } => *last = reason,
                _ => {}
            }
        }
    }
    Ok(())
}
