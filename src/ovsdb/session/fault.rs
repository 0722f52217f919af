//! Why a connection is given up.

use crate::ovsdb::error::ProtocolError;
use crate::ovsdb::framing::FramingError;
use crate::ovsdb::schema::MissingRequired;

/// One reason. Its text is what the user reads.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    #[error("{0}")]
    Transport(String),
    #[error("the server took too long {0}")]
    Late(&'static str),
    #[error("the server is silent")]
    Silent,
    #[error(transparent)]
    Framing(#[from] FramingError),
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
    #[error(transparent)]
    Schema(#[from] MissingRequired),
    #[error("the server refused {method}: {error}")]
    Refused { method: &'static str, error: String },
}

impl Fault {
    /// Whether the replica may no longer be what the last transaction id says: then only a full dump will do.
    pub(super) fn breaks_the_copy(&self) -> bool {
        match self {
            Self::Protocol(_) | Self::Framing(_) => true,
            Self::Transport(_) | Self::Late(_) | Self::Silent | Self::Schema(_) | Self::Refused { .. } => {
                false
            }
        }
    }
}
