//! Processes that a test starts: their output in a file, gone with the test, shown when it fails.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// More than anything here takes on a busy machine, so that a hang is a failure.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(20);

/// Looks again until it is so; what it then saw. Fails with the last reason why not.
pub fn eventually<T>(what: &str, mut look: impl FnMut() -> Result<T, String>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match look() {
            Ok(seen) => return seen,
            Err(why) if Instant::now() > deadline => panic!("never so: {what}\nat the end: {why}"),
            Err(_) => std::thread::sleep(PAUSE),
        }
    }
}

/// For [`eventually`]: a condition with the reason why it does not hold.
pub fn holds(condition: bool, why_not: impl std::fmt::Debug) -> Result<(), String> {
    if condition { Ok(()) } else { Err(format!("{why_not:?}")) }
}

/// Runs to the end; standard output. Fails with everything it said.
pub fn run(command: &mut Command) -> String {
    let (ok, said) = try_run(command);
    assert!(ok, "{command:?}\nfailed: {said}");
    said
}

/// Runs to the end; whether it succeeded, and its standard output, or everything it said where it failed.
pub fn try_run(command: &mut Command) -> (bool, String) {
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let mut said = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        said.push_str(&String::from_utf8_lossy(&output.stderr));
    }
    (output.status.success(), said)
}

/// A process of ours, killed by its id when dropped.
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts it; both its outputs go to a file in the folder.
    pub fn start(name: &str, command: &mut Command, folder: &Path) -> Self {
        let log = folder.join(format!("{name}.log"));
        let file = File::options().create(true).append(true).open(&log).unwrap();
        let errors = file.try_clone().unwrap();
        let child = command.stdin(Stdio::null()).stdout(file).stderr(errors).spawn();
        let child = child.unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Self { name: name.to_owned(), child, log }
    }

    /// Its id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything it said so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap()).into_owned()
    }

    /// Where its log ends now, for [`Process::says_after`].
    pub fn mark(&self) -> usize {
        self.log().len()
    }

    /// Waits until it says so.
    pub fn says(&mut self, words: &str) {
        self.says_after(0, words);
    }

    /// Waits until it says so, after the mark.
    pub fn says_after(&mut self, mark: usize, words: &str) {
        eventually(&format!("{} says {words:?}", self.name), || {
            let running = self.is_running();
            let found = self.log()[mark..].contains(words);
            assert!(running || found, "{} ended without saying {words:?}", self.name);
            holds(found, "it does not")
        });
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Asks it to end, and waits until it has.
    pub fn terminate(&mut self) -> ExitStatus {
        run(Command::new("kill").args(["-TERM", &self.pid().to_string()]));
        self.wait()
    }

    /// Ends it as a crash would.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.wait();
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> ExitStatus {
        eventually(&format!("{} ends", self.name), || {
            self.child.try_wait().unwrap().ok_or_else(|| "it runs".to_owned())
        })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("── {} said ──\n{}", self.name, self.log());
        }
    }
}
