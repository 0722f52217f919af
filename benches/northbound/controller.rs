//! The real controller, as a process.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};

use crate::Arguments;

/// A running controller; killed when it is dropped.
pub struct Controller {
    child: Child,
}

/// What its process used.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// Now, in MiB.
    pub resident: f64,
    /// At most so far, in MiB.
    pub peak: f64,
}

impl Controller {
    /// Starts it on a folder. Its log is in the work folder.
    pub fn start(arguments: &Arguments, dir: &Path) -> anyhow::Result<Self> {
        let log = File::create(arguments.work.join("controller.log"))?;
        let child = command(arguments, dir).stdout(log.try_clone()?).stderr(log).spawn();
        Ok(Self { child: child.context("starting the controller")? })
    }

    /// `--once`: what it printed and logged.
    pub fn once(arguments: &Arguments, dir: &Path) -> anyhow::Result<String> {
        let output = command(arguments, dir)
            .args(["--once", "--timeout", "300"])
            .output()
            .context("the controller")?;
        let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        if !output.status.success() {
            bail!("the controller failed: {}", text.concat());
        }
        Ok(text.concat())
    }

    /// From /proc.
    pub fn memory(&self) -> anyhow::Result<Memory> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
            kib.map(|kib| kib / 1024.0).with_context(|| format!("no {name} in /proc"))
        };
        Ok(Memory { resident: field("VmRSS:")?, peak: field("VmHWM:")? })
    }

    /// CPU time so far.
    pub fn cpu(&self) -> anyhow::Result<Duration> {
        let mut time = Duration::ZERO;
        for task in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let text = fs::read_to_string(task?.path().join("schedstat"))?;
            let nanoseconds = text.split_whitespace().next().and_then(|text| text.parse().ok());
            time += Duration::from_nanos(nanoseconds.context("schedstat")?);
        }
        Ok(time)
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(arguments: &Arguments, dir: &Path) -> Command {
    let mut command = Command::new(&arguments.program);
    command.arg("controller").arg("--cluster-dir").arg(dir);
    command.args(["--ovn-nb", &arguments.nb, "--ovn-sb", &arguments.sb]).stdin(Stdio::null());
    command
}
