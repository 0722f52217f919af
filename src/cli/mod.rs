//! From the command line to the program that runs.

use std::process::ExitCode;

use clap::Parser;

use crate::settings::{Command, CommandLine};
use crate::{controller, speaker, telemetry};

/// Runs what the command line asks for. Exit codes: 0 done, 1 an error (said on standard error), 2 a bad command line.
pub fn main() -> ExitCode {
    let line = CommandLine::parse();
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
    }
}
