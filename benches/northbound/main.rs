//! What ovn-vip costs OVN, and what OVN costs us, in a lab: `hack/bench-northbound.sh` brings one up and runs this.
//! `docs/benchmarks.md` says what the numbers mean.
#![allow(clippy::disallowed_methods, reason = "a bench reads the clock")]

mod changes;
mod cluster;
mod controller;
mod first_sync;
mod link;
mod numbers;
mod parts;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// Measures ovn-vip on a lab's northbound.
#[derive(Debug, Parser)]
struct Arguments {
    /// The lab's northbound.
    #[arg(long, value_name = "ADDR")]
    nb: String,
    /// The lab's southbound.
    #[arg(long, value_name = "ADDR")]
    sb: String,
    /// The ovn-vip to measure.
    #[arg(long, value_name = "FILE")]
    program: PathBuf,
    /// A folder to write manifests to.
    #[arg(long, value_name = "DIR")]
    work: PathBuf,
    /// How often each thing is done.
    #[arg(long, default_value_t = 15)]
    runs: usize,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// One Service changes among N: until the flows are on the nodes, against one shared row with all VIPs.
    Changes {
        /// How many Services, in turn.
        #[arg(required = true)]
        services: Vec<usize>,
    },
    /// All Services into an empty northbound, against a client that only writes, and ovn-nbctl.
    FirstSync {
        /// How many Services.
        services: usize,
        /// How many endpoints each has.
        endpoints: usize,
        /// The lab's ovn-nbctl.
        nbctl: PathBuf,
    },
    /// Where the controller's own time of a change goes.
    Parts {
        /// How many Services.
        services: usize,
        /// How many endpoints each has.
        endpoints: usize,
    },
    /// Only writes the manifests.
    Manifests {
        /// How many Services.
        services: usize,
    },
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match &arguments.what {
            What::Changes { services } => changes::run(&arguments, services).await,
            What::FirstSync { services, endpoints, nbctl } => {
                first_sync::run(&arguments, *services, *endpoints, nbctl).await
            }
            What::Parts { services, endpoints } => parts::run(&arguments, *services, *endpoints).await,
            What::Manifests { services } => {
                cluster::Cluster::of_lab_pods(*services).write(&arguments.work)?;
                Ok(())
            }
        }
    })
}
