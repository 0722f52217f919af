//! The northbound: what it says, and what becomes of it.

use tracing::{debug, error, info, warn};

use super::words::say_disconnected;
use super::{Controller, now};
use crate::io::ovsdb_client::Event;
use crate::nb::rows::{Selection, needed_release};

impl Controller {
    pub(super) fn northbound_event(&mut self, event: Event) {
        match event {
            Event::Connected { endpoint, missing } => {
                self.schema_refused = None;
                info!(%endpoint, "connected to the northbound");
                for column in &missing.0 {
                    warn!(%column, "this northbound lacks an optional column; its feature is off");
                }
                let selection = self.northbound.schema().map(Selection::read).unwrap_or_default();
                self.reconciler.set_selection(selection);
            }
            Event::Disconnected { endpoint, reason, said_before, retry_in } => {
                say_disconnected("northbound", &endpoint, &reason, said_before, retry_in);
            }
            Event::SchemaRefused(missing) => {
                error!(%missing, needed = needed_release(&missing), "this northbound cannot be used");
                self.schema_refused = Some(missing);
            }
            Event::Synced => {
                debug!("the northbound's replica is level");
                self.settle_lead();
            }
            Event::Changed(changes) => {
                self.reconciler.northbound_changed(self.northbound.replica(), &changes);
            }
            Event::Committed { id, result } => self.committed(id, result.err()),
            Event::Locked { name } => {
                debug!(lock = name, "the northbound's lock is ours");
                self.listen();
                self.voice.stir(now());
            }
            Event::Unlocked { name } => debug!(lock = name, "the northbound's lock is lost"),
        }
    }
}
