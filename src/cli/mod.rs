//! From the command line to the program that runs.

mod assumed;
mod check;
mod completions;
mod explain;
mod import;
mod mind;
mod northbound;
mod objects;
mod plan;
mod remove;
mod reported;
mod status;
mod table;
mod tally;
mod version;
mod writes;

use std::process::ExitCode;

use clap::Parser;

use crate::settings::{Command, CommandLine};
use crate::{controller, speaker, telemetry};

/// Runs what the command line asks for. Exit codes: 0 done, 1 an error or a bad command line (said on standard error);
/// what else a command may say by its exit code is in its help.
pub fn main() -> ExitCode {
    let line = match CommandLine::try_parse() {
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
        Command::Remove(arguments) => runtime.block_on(remove::run(&arguments)),
        Command::Import(arguments) => runtime.block_on(import::run(&arguments)),
        Command::Version(arguments) => Ok(version::run(&arguments)),
        Command::Completions(arguments) => Ok(completions::run(arguments.shell)),
        Command::Man(arguments) => completions::man(&arguments.folder),
    }
}
