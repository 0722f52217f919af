//! `ovn-vip completions` and `ovn-vip man`: what a package installs beside the program.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use clap::CommandFactory;
use clap_complete::Shell;

use crate::settings::CommandLine;

/// Prints the script that completes our command line in that shell.
pub fn run(shell: Shell) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut CommandLine::command(), "ovn-vip", &mut script);
    // clap_complete 4.6 for bash calls a command by two names where the program's has a hyphen, and so finds no flags.
    print!("{}", String::from_utf8_lossy(&script).replace("ovn__subcmd__vip", "ovn__vip"));
    ExitCode::SUCCESS
}

/// Writes a manual page for each command.
pub fn man(folder: &Path) -> anyhow::Result<ExitCode> {
    let failed = || {
        format!("cannot write manual pages into {}: is it a folder that you may write to?", folder.display())
    };
    clap_mangen::generate_to(CommandLine::command(), folder).with_context(failed)?;
    Ok(ExitCode::SUCCESS)
}
