//! Why a connection is given up.

use crate::ovsdb::error::ProtocolError;
use crate::ovsdb::framing::FramingError;
use crate::ovsdb::schema::MissingRequired;

/// One reason. Its text is what the user reads.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    #[error("{0}")]
    Transport(String),
    #[error("{0}, before the server said a word (does the port want ssl: instead of tcp:?)")]
    Mute(String),
    #[error("the server took too long {0}")]
    Late(&'static str),
    #[error("the server is silent")]
    Silent,
    #[error("the server asks and asks, and does not read our answers")]
    Deaf,
    #[error(transparent)]
    Framing(#[from] FramingError),
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
    #[error(transparent)]
    Schema(#[from] MissingRequired),
    #[error("the server has no database {0}")]
    NoDatabase(String),
    #[error("the server is cut off from {0}")]
    CutOff(&'static str),
    #[error("the server does not lead its cluster")]
    NotLeader,
    #[error("the server is behind: its index is {index}, and we have seen {seen}")]
    Stale { index: i64, seen: i64 },
    #[error("the server refused {method}: {error}")]
    Refused { method: &'static str, error: String },
}

impl Fault {
    /// Whether the replica may no longer be what the last transaction id says: then only a full dump will do.
    pub(super) fn breaks_the_copy(&self) -> bool {
        matches!(self, Self::Protocol(_) | Self::Framing(_))
    }

    /// How soon another server is tried.
    pub(super) fn pace(&self) -> Pace {
        match self {
            Self::CutOff(_) | Self::NotLeader | Self::Stale { .. } => Pace::MoveOn,
            Self::Transport(_)
            | Self::Mute(_)
            | Self::Late(_)
            | Self::Silent
            | Self::Deaf
            | Self::Framing(_)
            | Self::Protocol(_)
            | Self::Schema(_)
            | Self::NoDatabase(_)
            | Self::Refused { .. } => Pace::BackOff,
        }
    }
}

/// How soon to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    /// The cluster lives, this member is the wrong one: the next one at once, and no doubling between rounds, since an
    /// election takes about a second.
    MoveOn,
    /// Something is wrong with the server.
    BackOff,
}
