//! What else follows an OVSDB: `ovn-nbctl` as a daemon, and Python's two libraries by `hack/bench/ovsdb-peer.py`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::load;
use crate::numbers::Samples;
use crate::server::{self, Server};

/// What a peer needed.
#[derive(Debug)]
pub struct Feat {
    /// From nothing to all rows.
    pub sync: Duration,
    /// The median round trip of one change, in milliseconds.
    pub change: f64,
    /// Resident afterwards, in MiB.
    pub resident: f64,
}

/// A client to compare with.
#[derive(Clone, Debug)]
pub enum Peer {
    /// `ovn-nbctl --detach`, asked by another `ovn-nbctl`.
    Daemon(PathBuf),
    /// One of the script's: its name, the script, the interpreter.
    Python(&'static str, PathBuf, PathBuf),
}

impl Peer {
    /// Those that can be had; says which cannot.
    pub fn all(bin: &Path, script: &Path, python: &Path) -> Vec<Self> {
        let daemon = bin.join("ovn-nbctl");
        let mut peers = Vec::new();
        if daemon.exists() {
            peers.push(Self::Daemon(daemon));
        } else {
            eprintln!("skipped: {} does not exist", daemon.display());
        }
        for name in ["idl", "ovsdbapp"] {
            let check = Command::new(python).arg(script).arg(name).arg("--check").output();
            match check {
                Ok(output) if output.status.success() => {
                    peers.push(Self::Python(name, script.to_owned(), python.to_owned()));
                }
                _ => eprintln!("skipped: {} has no module for {name}", python.display()),
            }
        }
        peers
    }

    /// For the table.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Daemon(_) => "`ovn-nbctl` daemon, a process a command",
            Self::Python("idl", ..) => "python3-openvswitch (IDL)",
            Self::Python(..) => "python3-ovsdbapp",
        }
    }

    /// Follows the server from nothing, and makes so many changes.
    pub fn perform(&self, bin: &Path, server: &Server, changes: usize) -> anyhow::Result<Feat> {
        match self {
            Self::Daemon(program) => daemon(program, server, changes),
            Self::Python(name, script, python) => {
                let output = Command::new(python)
                    .arg(script)
                    .arg(name)
                    .arg(format!("unix:{}", server.socket().display()))
                    .arg(server::schema(bin))
                    .args([load::uuid(0).to_string(), changes.to_string()])
                    .args(load::COLUMNS)
                    .stderr(Stdio::inherit())
                    .output()?;
                ensure!(output.status.success(), "{} failed", self.name());
                let told: Value = serde_json::from_slice(&output.stdout)?;
                let number = |key: &str| told[key].as_f64().with_context(|| format!("no {key}"));
                let sync = Duration::from_secs_f64(number("sync_s")?);
                Ok(Feat {
                    sync,
                    change: number("change_ms").unwrap_or(f64::NAN),
                    resident: number("rss_mib")?,
                })
            }
        }
    }
}

/// A daemon that ends when this is dropped.
struct Daemon<'a> {
    program: &'a Path,
    control: PathBuf,
    pid: String,
}

impl<'a> Daemon<'a> {
    fn start(program: &'a Path, server: &Server) -> anyhow::Result<Self> {
        let (control, pidfile) = (server.path("nbctl.ctl"), server.path("nbctl.pid"));
        let status = Command::new(program)
            .arg(format!("--db=unix:{}", server.socket().display()))
            .arg(format!("--unixctl={}", control.display()))
            .arg(format!("--pidfile={}", pidfile.display()))
            .args(["--detach", "--no-chdir"])
            .stdout(Stdio::null())
            .status();
        ensure!(status.context("ovn-nbctl")?.success(), "ovn-nbctl --detach failed");
        let pid = std::fs::read_to_string(pidfile)?.trim().to_owned();
        Ok(Self { program, control, pid })
    }

    fn ask(&self, words: &[&str]) -> anyhow::Result<()> {
        let mut command = Command::new(self.program);
        command.arg("-u").arg(&self.control).args(words).stdout(Stdio::null());
        ensure!(command.status()?.success(), "ovn-nbctl {words:?} failed");
        Ok(())
    }
}

impl Drop for Daemon<'_> {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(&self.pid).status();
    }
}

fn daemon(program: &Path, server: &Server, changes: usize) -> anyhow::Result<Feat> {
    let started = Instant::now();
    let daemon = Daemon::start(program, server)?;
    let row = load::uuid(0).to_string();
    daemon.ask(&["get", load::TABLE, &row, "name"])?;
    let sync = started.elapsed();
    let mut samples = Samples::default();
    for number in 0..changes {
        let value = format!("external_ids:bench={number}");
        let started = Instant::now();
        daemon.ask(&["set", load::TABLE, &row, &value])?;
        samples.push_ms(started.elapsed());
    }
    Ok(Feat { sync, change: samples.median(), resident: resident(&daemon.pid)? })
}

/// What a process has in memory, in MiB.
pub fn resident(process: &str) -> anyhow::Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? / 1024.0)
}
