//! The southbound: where ports are bound, and what northd made of our rows.

use tracing::{error, info};

use crate::io::ovsdb_client::{Client, ClientConfig, Endpoint, Event, TlsConfig};
use crate::nb::flows;
use crate::nb::rows::{LOGICAL_FLOW, NORTHBOUND, SOUTHBOUND};
use crate::ovsdb::TablesWanted;

use super::Controller;
use super::words::say_disconnected;

impl Controller {
    pub(super) fn southbound_event(&mut self, event: Event) {
        let Some(client) = &self.southbound else { return };
        match event {
            Event::Connected { endpoint, missing: _ } => info!(%endpoint, "connected to the southbound"),
            Event::Disconnected { endpoint, reason, said_before, retry_in } => {
                self.southbound_answered = true;
                self.reconciler.set_southbound_level(false);
                say_disconnected("southbound", &endpoint, &reason, said_before, retry_in);
            }
            Event::SchemaRefused(missing) => {
                self.southbound_answered = true;
                error!(%missing, "this southbound cannot be used; ports that move will not be followed");
            }
            Event::Synced => {
                self.southbound_answered = true;
                self.reconciler.set_southbound_level(true);
            }
            Event::Changed(changes) => self.reconciler.southbound_changed(client.replica(), &changes),
            Event::Committed { .. } | Event::Locked { .. } | Event::Unlocked { .. } => {}
        }
    }
}

/// A client of a cluster's leader: only there is a lock the cluster's, and what is read the latest.
pub(super) fn client(
    address: &str,
    database: &str,
    tables: TablesWanted,
    tls: &TlsConfig,
) -> anyhow::Result<Client> {
    let config = ClientConfig::new(Endpoint::parse_list(address)?, database, tables);
    let leader_only = database == NORTHBOUND;
    let mut client = Client::new(ClientConfig { leader_only, tls: Some(tls.clone()), ..config });
    if database == SOUTHBOUND {
        client.filter(LOGICAL_FLOW, flows::filter());
    }
    Ok(client)
}
