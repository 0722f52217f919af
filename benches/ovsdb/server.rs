//! An `ovsdb-server` of our own with OVN's northbound schema, gone with its files when dropped.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use tempfile::TempDir;

use crate::load;
use crate::raw::Raw;

/// A running server.
pub struct Server {
    folder: TempDir,
    daemon: Child,
}

impl Server {
    /// With so many rows in it.
    pub fn start(bin: &Path, rows: usize) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let path = |name| folder.path().join(name);
        let made =
            Command::new(bin.join("ovsdb-tool")).arg("create").arg(path("db")).arg(schema(bin)).status();
        ensure!(made.context("ovsdb-tool")?.success(), "ovsdb-tool failed");
        let daemon = Command::new(bin.join("ovsdb-server"))
            .arg(format!("--remote=punix:{}", path("sock").display()))
            .arg(format!("--unixctl={}", path("ctl").display()))
            .arg(format!("--pidfile={}", path("server.pid").display()))
            .args(["--no-chdir", "--verbose=off"])
            .arg(path("db"))
            .stdin(Stdio::null())
            .spawn()
            .context("ovsdb-server")?;
        let server = Self { folder, daemon };
        server.wait()?;
        Raw::connect(&server.socket())?.write(&load::batches(rows, load::insert))?;
        Ok(server)
    }

    fn wait(&self) -> anyhow::Result<()> {
        for _ in 0..1000 {
            if Raw::connect(&self.socket()).is_ok() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        bail!("ovsdb-server does not come up")
    }

    /// Where it listens.
    pub fn socket(&self) -> PathBuf {
        self.path("sock")
    }

    /// A file beside the database.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

/// The schema that `hack/bench-ovsdb.sh` put beside the programs.
pub fn schema(bin: &Path) -> PathBuf {
    bin.join("ovn-nb.ovsschema")
}
