//! Logs to standard error, metrics, and the signals that end a process.

pub mod metrics;
pub mod page;

use std::collections::BTreeSet;
use std::io::IsTerminal;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{info, warn};
use tracing_subscriber::EnvFilter;

use crate::settings::LogFormat;

/// Of libraries: what kube-rs warns of at each retry, we say once; what TLS and HTTP do is no one's matter. A filter
/// that names them has the last word.
const OTHERS: &str =
    "kube_runtime=off,kube_client=off,hyper=warn,hyper_util=warn,rustls=warn,tower=warn,mio=warn";

/// Sets up logging for the process.
pub fn start(filter: &str, format: LogFormat) -> anyhow::Result<()> {
    // The level for what a filter does not name; a level in the filter replaces it.
    let filter = EnvFilter::try_new(format!("info,{OTHERS},{filter}")).map_err(|_| {
        anyhow::anyhow!("--log {filter:?} is no filter; write a level, such as info or debug")
    })?;
    let logs =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    match format {
        LogFormat::Text => logs.with_ansi(std::io::stderr().is_terminal()).init(),
        LogFormat::Json => logs.json().init(),
    }
    Ok(())
}

/// SIGTERM and SIGINT.
#[derive(Debug)]
pub struct Shutdown {
    terminate: Signal,
    interrupt: Signal,
}

impl Shutdown {
    /// Listens from now on.
    pub fn listen() -> anyhow::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Ends when one of them arrives. Cancel-safe.
    pub async fn requested(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Says each problem once, and once more that it is gone.
pub fn say_problems(said: &mut BTreeSet<String>, problems: impl Iterator<Item = String>) {
    let current: BTreeSet<String> = problems.collect();
    for problem in current.difference(said) {
        warn!("{problem}");
    }
    for problem in said.difference(&current) {
        info!("no longer so: {problem}");
    }
    *said = current;
}
