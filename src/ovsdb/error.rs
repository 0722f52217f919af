//! What a peer can get wrong on the wire.

use serde_json::Value;

/// How much of an unexpected message an error quotes.
const QUOTED: usize = 160;

/// A message that is not what the protocol says. The connection is given up; a new one starts clean.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// A value of another form than RFC 7047 asks for.
    #[error("expected {what}, found {found}")]
    Unexpected {
        /// What the protocol asks for here.
        what: &'static str,
        /// The beginning of what came.
        found: String,
    },
    /// An update of a table or column that we did not ask for, or of a row that is not there.
    #[error("the server's update does not fit our copy: {0}")]
    Inconsistent(String),
}

impl ProtocolError {
    /// `found` stands where `what` was due.
    pub fn unexpected(what: &'static str, found: &Value) -> Self {
        Self::Unexpected { what, found: shorten(&found.to_string()) }
    }
}

/// The beginning of a text, cut at a character's boundary.
pub(crate) fn shorten(text: &str) -> String {
    match text.char_indices().nth(QUOTED) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
