//! One speaker works on a node at a time: a second one, which an update starts beside it, waits here for the end of the first.
//!
//! The lock is on the folder of Open vSwitch's sockets itself (flock(2), which a read-only mount permits, and which ends with
//! the process): no file is made, and who may not look into that folder cannot hold anybody up.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;

use tokio::sync::oneshot;

/// Held while the process lives.
#[derive(Debug)]
pub struct NodeLock(#[expect(dead_code, reason = "it is held, not read")] File);

/// The lock, or the wait for it.
#[derive(Debug)]
pub enum Taken {
    /// Nobody else works here.
    Free(NodeLock),
    /// Another one does. It comes at its end.
    Busy(oneshot::Receiver<io::Result<NodeLock>>),
}

impl NodeLock {
    /// Takes the lock of a folder, or waits for it in a thread of its own.
    ///
    /// # Errors
    /// The folder cannot be opened, or the operating system has no such lock.
    pub fn take(folder: &Path) -> io::Result<Taken> {
        let folder = File::open(folder)?;
        match folder.try_lock() {
            Ok(()) => Ok(Taken::Free(Self(folder))),
            Err(TryLockError::WouldBlock) => {
                let (tell, told) = oneshot::channel();
                std::thread::Builder::new().name("node-lock".to_owned()).spawn(move || {
                    // Nobody listens any more where the process ends: so does this thread.
                    let _ = tell.send(folder.lock().map(|()| Self(folder)));
                })?;
                Ok(Taken::Busy(told))
            }
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_second_one_waits_for_the_end_of_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let Taken::Free(first) = NodeLock::take(folder.path()).unwrap() else { panic!("it is free") };
        let Taken::Busy(second) = NodeLock::take(folder.path()).unwrap() else { panic!("it is taken") };
        drop(first);
        second.await.unwrap().unwrap();
        assert!(NodeLock::take(&folder.path().join("none")).is_err());
    }
}
