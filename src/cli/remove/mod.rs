//! `ovn-vip remove`: everything of ours goes, where that is said.

mod node;
mod objects;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use tracing::info;

use crate::io::http::serve;
use crate::io::ovsdb_client::{Client, ClientConfig, Endpoint, Event};
use crate::nb::diff::Changes;
use crate::nb::rows::{NORTHBOUND, northbound_tables};
use crate::nb::{Owner, removal, transaction};
use crate::settings::RemoveArgs;
use crate::telemetry::Shutdown;
use crate::telemetry::metrics::Metrics;

use super::northbound::synced;

/// Something would be removed, and was not.
const UNSAID: u8 = 2;

/// What became of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Outcome {
    /// Nothing of ours is left there.
    Clean,
    /// There is something, and `--yes` was not said.
    Unsaid,
    /// There is something under another name.
    Misnamed,
}

/// Says what would go; with `--yes` takes it out.
pub async fn run(arguments: &RemoveArgs) -> anyhow::Result<ExitCode> {
    let mut shutdown = Shutdown::listen()?;
    let health = Metrics::default().finish(None);
    if let Some(address) = &arguments.http {
        let address = serve(address, health.clone()).await?;
        info!(%address, "serving /healthz and /readyz");
    }
    let mut last = String::from("it does not answer");
    let work = parts(arguments, &mut last);
    let outcome = match tokio::time::timeout(Duration::from_secs(arguments.timeout), work).await {
        Ok(done) => done?,
        Err(_) => anyhow::bail!("not done after {} s: {last}", arguments.timeout),
    };
    if arguments.http.is_some() && outcome == Outcome::Clean {
        health.set_ready(None);
        shutdown.requested().await;
    }
    Ok(match outcome {
        Outcome::Clean => ExitCode::SUCCESS,
        Outcome::Unsaid => ExitCode::from(UNSAID),
        Outcome::Misnamed => ExitCode::FAILURE,
    })
}

async fn parts(arguments: &RemoveArgs, last: &mut String) -> anyhow::Result<Outcome> {
    if arguments.node_rules {
        return node::remove(arguments, last).await;
    }
    let rows = match arguments.northbound() {
        Err(_) if arguments.objects => Outcome::Clean,
        address => northbound(arguments, &address?, last).await?,
    };
    let objects = if arguments.objects { objects::remove(arguments, last).await? } else { Outcome::Clean };
    Ok(rows.max(objects))
}

async fn northbound(arguments: &RemoveArgs, address: &str, last: &mut String) -> anyhow::Result<Outcome> {
    *last =
        format!("the northbound at {address} does not answer; is --ovn-nb right, and ovsdb-server running?");
    let config = ClientConfig::new(
        Endpoint::parse_list(address).context("--ovn-nb")?,
        NORTHBOUND,
        northbound_tables(),
    );
    let tls = Some(arguments.tls.config());
    let mut client = Client::new(ClientConfig { leader_only: arguments.yes, tls, ..config });
    synced(&mut client, last).await?;
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
        return Ok(if names.is_empty() { Outcome::Clean } else { Outcome::Misnamed });
    }
    if !arguments.yes {
        println!(
            "{count} writes would take out everything of cluster {}: say --yes to do it.",
            arguments.cluster_name
        );
        println!("Stop the speakers and the controllers first: a controller that runs puts all of it back.");
        return Ok(Outcome::Unsaid);
    }
    let mut rest = changes;
    while !rest.is_empty() {
        let (now, _) = rest.next_step();
        commit(&mut client, &now, last).await?;
        rest = removal::everything(&mut owner, client.replica());
    }
    println!("{count} writes: nothing of cluster {} is left in the northbound", arguments.cluster_name);
    println!("On each node, once its speaker is stopped: ovn-vip remove --node-rules --yes");
    Ok(Outcome::Clean)
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
