//! What OVN's databases hold, read once. Nothing is ever written to them.

use std::time::Duration;

use anyhow::Context;
use tokio::time::timeout;

use crate::io::ovsdb_client::{Client, ClientConfig, Endpoint, Event};
use crate::nb::rows::{LOGICAL_FLOW, NORTHBOUND, SOUTHBOUND, Selection, needed_release, northbound_tables};
use crate::nb::{flows, translated};
use crate::ovsdb::Replica;
use crate::settings::NorthboundArgs;

/// After so long it is said what is waited for.
const SILENCE: Duration = Duration::from_secs(1);

/// Reads the northbound, where one was named.
pub async fn read(arguments: &NorthboundArgs) -> anyhow::Result<Option<(Replica, Selection)>> {
    match arguments.ovn_nb.as_deref().filter(|address| !address.is_empty()) {
        Some(address) => Ok(Some(northbound(address, arguments).await?)),
        None => Ok(None),
    }
}

/// Reads the northbound at an address.
pub async fn northbound(address: &str, arguments: &NorthboundArgs) -> anyhow::Result<(Replica, Selection)> {
    let endpoints = Endpoint::parse_list(address).context("--ovn-nb")?;
    let config = ClientConfig::new(endpoints, NORTHBOUND, northbound_tables());
    let client = Client::new(ClientConfig { tls: Some(arguments.tls.config()), ..config });
    let client = whole(client, "northbound", "--ovn-nb", address, arguments.timeout).await?;
    let selection = client.schema().map(Selection::read).unwrap_or_default();
    Ok((client.replica().clone(), selection))
}

/// Reads the southbound at an address.
pub async fn southbound(address: &str, arguments: &NorthboundArgs) -> anyhow::Result<Replica> {
    let endpoints = Endpoint::parse_list(address).context("--ovn-sb")?;
    let config = ClientConfig::new(endpoints, SOUTHBOUND, translated::tables());
    let mut client = Client::new(ClientConfig { tls: Some(arguments.tls.config()), ..config });
    client.filter(LOGICAL_FLOW, flows::filter());
    let client = whole(client, "southbound", "--ovn-sb", address, arguments.timeout).await?;
    Ok(client.replica().clone())
}

/// A client that has read all of it.
async fn whole(
    mut client: Client,
    name: &str,
    flag: &str,
    address: &str,
    seconds: u64,
) -> anyhow::Result<Client> {
    let mut last = String::from("it does not answer");
    let reading = async {
        if timeout(SILENCE, synced(&mut client, &mut last)).await.is_err() {
            eprintln!("ovn-vip: waiting for the {name} at {address}");
            synced(&mut client, &mut last).await?;
        }
        anyhow::Ok(())
    };
    match timeout(Duration::from_secs(seconds), reading).await {
        Ok(read) => read?,
        Err(_) => {
            // Where certificates are the matter, the words for that have the cure.
            let cure = if last.contains("--ovn-tls") || last.contains("certificate") {
                String::new()
            } else {
                format!("; is {flag} right, and ovsdb-server running?")
            };
            anyhow::bail!("the {name} at {address} could not be read in {seconds} s: {last}{cure}")
        }
    }
    Ok(client)
}

/// Cancel-safe: what was read stays read.
pub async fn synced(client: &mut Client, last: &mut String) -> anyhow::Result<()> {
    while !client.is_synced() {
        match client.next_event().await {
            Event::Disconnected { endpoint, reason, said_before, .. } => {
                if !said_before {
                    eprintln!("ovn-vip: no connection to {endpoint}: {reason}; trying again");
                }
                *last = reason;
            }
            Event::SchemaRefused(missing) => {
                anyhow::bail!("{missing} (needs OVN {} or newer)", needed_release(&missing))
            }
            Event::Connected { .. }
            | Event::Synced
            | Event::Changed(_)
            | Event::Committed { .. }
            | Event::Locked { .. }
            | Event::Unlocked { .. } => {}
        }
    }
    Ok(())
}
