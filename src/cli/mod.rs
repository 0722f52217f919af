//! From the command line to the program that runs.

mod addresses;
mod assumed;
mod bundle;
mod check;
mod completions;
mod conditions;
mod explain;
mod grouped;
mod import;
mod mind;
mod northbound;
mod objects;
mod plan;
mod redacted;
mod remove;
mod reported;
mod status;
mod support;
mod table;
mod tally;
mod version;
mod writes;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};

use crate::settings::{Command, CommandLine};
use crate::{controller, speaker, telemetry};

/// Runs what the command line asks for. Exit codes: 0 done, 1 an error or a bad command line (said on standard error);
/// what else a command may say by its exit code is in its help.
pub fn main() -> ExitCode {
    let line = match parse(std::env::args_os().collect()) {
        Ok(line) => line,
        Err(error) => {
            // Nothing can be done where not even this can be printed.
            let _ = error.print();
            return if error.use_stderr() { ExitCode::FAILURE } else { ExitCode::SUCCESS };
        }
    };
    match run(line) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("ovn-vip: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// As a plugin of kubectl the program has the name that kubectl looks for, and its commands are about the kubeconfig's cluster.
fn parse(arguments: Vec<OsString>) -> Result<CommandLine, clap::Error> {
    let name = arguments.first().and_then(|path| Path::new(path).file_name()).unwrap_or_default();
    let is_plugin = name.to_string_lossy().starts_with("kubectl-ovn_vip");
    let mut command = CommandLine::command();
    if is_plugin {
        command = command.bin_name("kubectl ovn-vip");
    }
    let mut line = CommandLine::from_arg_matches(&command.try_get_matches_from(arguments)?)?;
    if let Command::Status(status) = &mut line.command {
        status.whole_cluster |= is_plugin && status.speakers.is_empty();
    }
    Ok(line)
}

fn run(line: CommandLine) -> anyhow::Result<ExitCode> {
    telemetry::start(&line.log, line.log_format)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match line.command {
        Command::Controller(arguments) => runtime.block_on(controller::run(arguments)),
        Command::Speaker(arguments) => runtime.block_on(speaker::run(arguments)),
        Command::Plan(arguments) => runtime.block_on(plan::run(&arguments)),
        Command::Check(arguments) => runtime.block_on(check::run(&arguments)),
        Command::Status(arguments) => runtime.block_on(status::run(&arguments)),
        Command::Explain(arguments) => runtime.block_on(explain::run(&arguments)),
        Command::Support(arguments) => runtime.block_on(support::run(&arguments)),
        Command::Remove(arguments) => runtime.block_on(remove::run(&arguments)),
        Command::Import(arguments) => runtime.block_on(import::run(&arguments)),
        Command::Version(arguments) => Ok(version::run(&arguments)),
        Command::Completions(arguments) => Ok(completions::run(arguments.shell)),
        Command::Man(arguments) => completions::man(&arguments.folder),
    }
}
