//! `ovn-vip version`: which build this is.

use std::process::ExitCode;

use serde_json::json;

use crate::settings::{Output, VersionArgs};

const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The commit it was built from, where the build was told.
const COMMIT: Option<&str> = option_env!("OVN_VIP_COMMIT");

/// Prints it.
pub fn run(arguments: &VersionArgs) -> ExitCode {
    let (commit, platform) = (commit(), platform());
    match arguments.output {
        Output::Table => print!("{}", line()),
        Output::Json => {
            println!("{}", json!({"version": VERSION, "commit": commit, "platform": platform}));
        }
    }
    ExitCode::SUCCESS
}

/// The same, for people.
pub fn line() -> String {
    format!("ovn-vip {VERSION} ({}, {})\n", commit(), platform())
}

fn commit() -> &'static str {
    COMMIT.unwrap_or("unknown")
}

fn platform() -> String {
    format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH)
}
