//! Why a Unix socket cannot be opened, in an operator's words.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// What is the matter with a socket, and what to do. Kube-OVN (1.13 and newer) runs Open vSwitch as uid 65534, and its
/// sockets are their owner's alone (connect(2): EACCES without write permission).
pub fn explain(socket: &Path, error: &io::Error) -> String {
    let path = socket.display();
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            let ours = std::fs::metadata("/proc/self").map(|process| process.uid());
            let us =
                ours.map_or_else(|_| "this process".to_owned(), |uid| format!("this process, uid {uid},"));
            let cure = "give its container the capability DAC_OVERRIDE, as deploy/speaker.yaml has it, or run it as the owner";
            match std::fs::metadata(socket) {
                Ok(found) => format!(
                    "{path} belongs to uid {} with mode {:04o}, and {us} may not connect to it: {cure}",
                    found.uid(),
                    found.mode() & 0o7777
                ),
                Err(_) => format!("{us} may not look into the folder of {path}: {cure}"),
            }
        }
        io::ErrorKind::NotFound => {
            format!(
                "{path} is not there: does its server (Open vSwitch's, or OVN's) run, and is the folder mounted?"
            )
        }
        _ => format!("{path}: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_that_may_not_be_opened_is_told_with_its_owner_and_the_cure() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let uid = file.as_file().metadata().unwrap().uid();
        let words = explain(file.path(), &io::ErrorKind::PermissionDenied.into());
        let path = file.path().display().to_string();
        assert!(words.starts_with(&format!("{path} belongs to uid {uid} with mode 0600")), "{words}");
        assert!(words.contains("DAC_OVERRIDE"), "{words}");
        let hidden = explain(Path::new("/nonexistent/db.sock"), &io::ErrorKind::PermissionDenied.into());
        assert!(hidden.contains("folder of /nonexistent/db.sock"), "{hidden}");
    }

    #[test]
    fn one_that_is_not_there_is_told_so() {
        let words = explain(Path::new("/nonexistent/db.sock"), &io::ErrorKind::NotFound.into());
        assert!(words.starts_with("/nonexistent/db.sock is not there"), "{words}");
    }
}
