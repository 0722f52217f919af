//! The command lines of `version`, `completions` and `man`.

use std::path::PathBuf;

use clap::Args;
use clap_complete::Shell;

use super::Output;

pub(super) const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  source <(ovn-vip completions bash)                                # in this shell
  ovn-vip completions bash > /etc/bash_completion.d/ovn-vip         # in every one
  ovn-vip completions zsh > \"${fpath[1]}/_ovn-vip\"
  ovn-vip completions fish > ~/.config/fish/completions/ovn-vip.fish";

/// `ovn-vip version`.
#[derive(Clone, Debug, Args)]
pub struct VersionArgs {
    /// How to print it.
    #[arg(short, long, default_value = "table", value_name = "FORMAT")]
    pub output: Output,
}

/// `ovn-vip completions`.
#[derive(Clone, Debug, Args)]
pub struct CompletionsArgs {
    /// The shell.
    pub shell: Shell,
}

/// `ovn-vip man`.
#[derive(Clone, Debug, Args)]
pub struct ManArgs {
    /// Where the pages go: ovn-vip.1, ovn-vip-controller.1 and so on.
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
}
