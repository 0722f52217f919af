//! The `ovn-vip` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    ovn_vip::cli::main()
}
