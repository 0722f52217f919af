//! When a speaker may begin to work: where no other one does on this node, and its pages can be served.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tracing::{info, warn};

use crate::io::http::HttpError;
use crate::io::node_lock::{NodeLock, Taken};
use crate::settings::ClusterArgs;
use crate::telemetry::metrics::Health;

/// How often, and how long, a taken port is tried: an older speaker, which knows no lock, has it until it ends.
const TRIES: (u32, Duration) = (3000, Duration::from_millis(100));

/// Ends once this is the one speaker of the node. Without a folder to lock it is taken to be: that there is no Open vSwitch
/// is told by those who need it.
pub async fn take(
    rundir: PathBuf,
    health: Arc<Health>,
    arguments: ClusterArgs,
) -> anyhow::Result<Option<NodeLock>> {
    let lock = match NodeLock::take(&rundir) {
        Ok(Taken::Free(lock)) => Some(lock),
        Ok(Taken::Busy(lock)) => {
            info!("another speaker works on this node: this one is ready, and waits for its end");
            let lock = lock.await.context("the wait for the other speaker's end was cut off")?;
            Some(lock.with_context(|| format!("cannot lock {}", rundir.display()))?)
        }
        Err(error) => {
            warn!(
                "cannot lock {}: {error}; a second speaker on this node would not be noticed",
                rundir.display()
            );
            None
        }
    };
    listen(&health, &arguments).await?;
    Ok(lock)
}

/// Serves the pages, as soon as the port is free.
async fn listen(health: &Arc<Health>, arguments: &ClusterArgs) -> anyhow::Result<()> {
    let (tries, pause) = TRIES;
    for attempt in 1.. {
        let Err(error) = health.listen(arguments).await else { break };
        if !is_taken(&error) || attempt == tries {
            return Err(error);
        }
        if attempt == 1 {
            warn!("{error:#}: it is waited for, an older speaker may end");
        }
        tokio::time::sleep(pause).await;
    }
    Ok(())
}

fn is_taken(error: &anyhow::Error) -> bool {
    error.downcast_ref::<HttpError>().is_some_and(|error| error.why.kind() == ErrorKind::AddrInUse)
}
