//! Whose addresses are given here.

use clap::{Args, ValueEnum};

use super::PolicyArgs;
use crate::allocate::{CLASS, Scope};
use crate::plan::ClassRule;

/// Who gives Services their addresses.
#[derive(Clone, Debug, Args)]
pub struct AllocateArgs {
    /// Which Services get their addresses from ovn-vip, out of MetalLB's IPAddressPools: those of the class that is its own
    /// (ovn-vip.io/ovn-vip, or what --load-balancer-class says), all that it serves, or none. Where MetalLB's controller runs
    /// none does, whatever this says: two that give out the same pools give one address twice.
    #[arg(long, env = "OVN_VIP_ALLOCATE", default_value = "class", value_name = "WHOSE")]
    pub allocate: Allocate,
}

/// `--allocate`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Allocate {
    /// Services of our class.
    Class,
    /// All Services that are served.
    All,
    /// None.
    Off,
}

impl AllocateArgs {
    /// Whose, by the Services that are served at all.
    pub fn scope(&self, policy: &PolicyArgs) -> Scope {
        match (self.allocate, policy.policy().load_balancer_class) {
            (Allocate::Off, _) => Scope::Off,
            (Allocate::Class | Allocate::All, ClassRule::Only(class)) => Scope::Only(class),
            (Allocate::Class, ClassRule::Classless | ClassRule::Any) => Scope::Only(CLASS.into()),
            (Allocate::All, ClassRule::Classless) => Scope::ClasslessAnd(CLASS.into()),
            (Allocate::All, ClassRule::Any) => Scope::Everybody,
        }
    }
}
