//! What the northbound holds, read once.

use std::time::Duration;

use anyhow::Context;
use tokio::time::timeout;

use crate::io::manifests::{ManifestFolder, Reading};
use crate::io::ovsdb_client::{Client, ClientConfig, Endpoint, Event};
use crate::nb::rows::{NORTHBOUND, Selection, needed_release, northbound_tables};
use crate::ovsdb::Replica;
use crate::settings::{FolderArgs, NorthboundArgs};

/// After so long it is said what is waited for.
const SILENCE: Duration = Duration::from_secs(1);

/// Reads the folder.
pub fn read_folder(arguments: &FolderArgs) -> anyhow::Result<Reading> {
    Ok(ManifestFolder::open(&arguments.dir)?.reread())
}

/// Reads the northbound, where one was named. Nothing is ever written to it.
pub async fn read(arguments: &NorthboundArgs) -> anyhow::Result<Option<(Replica, Selection)>> {
    let Some(address) = arguments.ovn_nb.as_deref().filter(|address| !address.is_empty()) else {
        return Ok(None);
    };
    let endpoints = Endpoint::parse_list(address).context("--ovn-nb")?;
    let mut client = Client::new(ClientConfig::new(endpoints, NORTHBOUND, northbound_tables()));
    let mut last = String::from("it does not answer");
    let reading = async {
        if timeout(SILENCE, synced(&mut client, &mut last)).await.is_err() {
            eprintln!("ovn-vip: waiting for the northbound at {address}");
            synced(&mut client, &mut last).await?;
        }
        anyhow::Ok(())
    };
    match timeout(Duration::from_secs(arguments.timeout), reading).await {
        Ok(read) => read?,
        Err(_) => anyhow::bail!(
            "the northbound at {address} could not be read in {} s: {last}; is --ovn-nb right, and ovsdb-server running?",
            arguments.timeout
        ),
    }
    let selection = client.schema().map(Selection::read).unwrap_or_default();
    Ok(Some((client.replica().clone(), selection)))
}

/// Cancel-safe: what was read stays read.
pub async fn synced(client: &mut Client, last: &mut String) -> anyhow::Result<()> {
    while !client.is_synced() {
        match client.next_event().await {
            Event::Disconnected { reason, .. } => *last = reason,
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
