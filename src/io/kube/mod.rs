//! A cluster's API server: where objects come from, and where what we say on them goes.

pub mod connect;
pub mod giver;
pub mod lease;
mod publish;
pub mod status;
pub mod voice;
pub mod watch;
pub mod withdraw;
