//! Our OVSDB client on a real `ovsdb-server`, beside a probe that does the least and beside other clients:
//! `hack/bench-ovsdb.sh` runs this. `docs/benchmarks.md` says what the numbers mean.
#![allow(clippy::disallowed_methods, reason = "a bench reads the clock")]

mod load;
mod numbers;
mod ours;
mod peers;
mod raw;
mod server;
mod set;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::{Parser, Subcommand};

use numbers::{Contest, Samples};
use ours::Ours;
use peers::Peer;
use raw::Raw;
use server::Server;

const ROWS: usize = 5_000;
const MANY_ROWS: usize = 20_000;
/// Changes of one row in one run, of which the median counts.
const CHANGES: usize = 300;
/// The same of a peer.
const PEER_CHANGES: usize = 50;

const RAW: &str = "raw";
const RAW_FOLLOWS: &str = "raw, following too";
const OURS: &str = "ovn-vip";
/// Who writes, in the order of the table; ratios are to the first.
const WRITERS: [&str; 3] = [RAW, RAW_FOLLOWS, OURS];

/// Measures the OVSDB client.
#[derive(Debug, Parser)]
struct Arguments {
    /// How often each thing is done.
    #[arg(long, default_value_t = 15)]
    runs: usize,
    /// The folder with Open vSwitch's and OVN's programs and the northbound's schema.
    #[arg(long, env = "OVN_VIP_BIN", value_name = "DIR")]
    bin: PathBuf,
    /// The script that runs Python's clients.
    #[arg(long, value_name = "FILE", default_value = "hack/bench/ovsdb-peer.py")]
    peer: PathBuf,
    /// The interpreter that has Debian's packages.
    #[arg(long, value_name = "FILE", default_value = "/usr/bin/python3")]
    python: PathBuf,
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Only follows the many rows, and says how much memory that takes; a process of its own, so that nothing else counts.
    Hold {
        /// `raw` or `ovn-vip`.
        client: String,
        /// The server.
        socket: PathBuf,
    },
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    if let Some(What::Hold { client, socket }) = &arguments.what {
        return hold(client, socket).await;
    }
    ensure!(server::schema(&arguments.bin).exists(), "no ovn-nb.ovsschema in {}", arguments.bin.display());
    println!("| what | client | median (5 %–95 %) | ratio |\n|---|---|---|---|");
    let peers = Peer::all(&arguments.bin, &arguments.peer, &arguments.python);
    clients(&arguments, &peers).await?;
    many(&arguments, &peers)
}

/// 5,000 rows: first sync, writes, one change.
async fn clients(arguments: &Arguments, peers: &[Peer]) -> anyhow::Result<()> {
    let server = Server::start(&arguments.bin, ROWS)?;
    let mut sync = Contest::new("first sync of 5,000 rows, ms");
    let mut write = Contest::new("5,000 rows rewritten, 150 a transaction, rows/s");
    let mut change = Contest::new("one change, round trip p50, ms");
    sync.of(RAW);
    for name in WRITERS {
        write.of(name);
        change.of(name);
    }
    for run in 0..arguments.runs {
        // Whoever is first finds the server as the others left it: each is first in its turn, and alone on it.
        for turn in 0..WRITERS.len() {
            let name = WRITERS[(run + turn) % WRITERS.len()];
            let rewrites = load::batches(ROWS, |row| load::rewrite(row, 1 + 3 * run + turn));
            if name == OURS {
                let (mut ours, took) = Ours::sync(&server.socket(), ROWS).await?;
                sync.of(OURS).push_ms(took);
                write.of(OURS).push(rate(ours.write(rewrites).await?));
                change.of(OURS).push(our_changes(&mut ours).await?);
            } else {
                let mut raw = if name == RAW {
                    Raw::connect(&server.socket())?
                } else {
                    let (raw, _, took) = Raw::sync(&server.socket())?;
                    sync.of(RAW).push_ms(took);
                    raw
                };
                write.of(name).push(rate(raw.write(&rewrites)?));
                change.of(name).push(changes(&mut raw)?);
            }
        }
    }
    for peer in peers {
        for _ in 0..arguments.runs {
            let feat = peer.perform(&arguments.bin, &server, PEER_CHANGES)?;
            sync.of(peer.name()).push_ms(feat.sync);
            change.of(peer.name()).push(feat.change);
        }
    }
    [sync, write, change].iter().for_each(Contest::print);
    Ok(())
}

fn rate(took: Duration) -> f64 {
    ROWS as f64 / took.as_secs_f64()
}

async fn our_changes(ours: &mut Ours) -> anyhow::Result<f64> {
    let mut samples = Samples::default();
    for number in 0..CHANGES {
        samples.push_ms(ours.write(vec![vec![load::change(number / 2, number % 2 == 0)]]).await?);
    }
    Ok(samples.median())
}

/// The median of changes one after another, in milliseconds.
fn changes(raw: &mut Raw) -> anyhow::Result<f64> {
    let mut samples = Samples::default();
    for number in 0..CHANGES {
        samples.push_ms(raw.round_trip(load::change(number / 2, number % 2 == 0))?);
    }
    Ok(samples.median())
}

/// 20,000 rows: memory, and a set of that many.
fn many(arguments: &Arguments, peers: &[Peer]) -> anyhow::Result<()> {
    let server = Server::start(&arguments.bin, MANY_ROWS)?;
    set::run(&server.socket(), MANY_ROWS)?.print();
    let mut memory = Contest::new("resident with 20,000 rows, MiB");
    let runs = arguments.runs.min(3);
    for client in [RAW, OURS] {
        for _ in 0..runs {
            memory.of(client).push(held(client, &server.socket(), &arguments.bin)?);
        }
    }
    for peer in peers {
        let feats = (0..runs).map(|_| peer.perform(&arguments.bin, &server, 0));
        *memory.of(peer.name()) =
            feats.map(|feat| feat.map(|feat| feat.resident)).collect::<anyhow::Result<_>>()?;
    }
    memory.print();
    Ok(())
}

/// What a process that only does this has in memory.
fn held(client: &str, socket: &Path, bin: &Path) -> anyhow::Result<f64> {
    let program = std::env::current_exe()?;
    let output = Command::new(program).arg("--bin").arg(bin).args(["hold", client]).arg(socket).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout)?.trim().parse().context("no number")
}

async fn hold(client: &str, socket: &Path) -> anyhow::Result<()> {
    if client == RAW {
        let held = Raw::sync(socket)?;
        println!("{}", peers::resident("self")?);
        drop(held);
    } else {
        let held = Ours::sync(socket, MANY_ROWS).await?;
        println!("{}", peers::resident("self")?);
        drop(held);
    }
    Ok(())
}
