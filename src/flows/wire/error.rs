//! `OFPT_ERROR`, by name.

use std::fmt;

/// What a switch answers to a request that it does not carry out (OpenFlow 1.4 §7.5.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub struct OpenFlowError {
    /// `OFPET_*`.
    pub kind: u16,
    /// What exactly; the meaning depends on the type.
    pub code: u16,
}

impl OpenFlowError {
    /// `OFPFMFC_TABLE_FULL`.
    pub const TABLE_FULL: Self = Self { kind: 5, code: 1 };
}

impl fmt::Display for OpenFlowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, code } = self;
        let Some((name, prefix, codes)) = names(*kind) else {
            return write!(f, "OpenFlow error of type {kind}, code {code}");
        };
        match codes.get(usize::from(*code)) {
            Some(code) => write!(f, "{prefix}_{code}"),
            None => write!(f, "{name}, code {code}"),
        }
    }
}

/// Name of a type, prefix and names of its codes, in order from 0.
fn names(kind: u16) -> Option<(&'static str, &'static str, &'static [&'static str])> {
    Some(match kind {
        0 => ("OFPET_HELLO_FAILED", "OFPHFC", &["INCOMPATIBLE", "EPERM"]),
        1 => ("OFPET_BAD_REQUEST", "OFPBRC", BAD_REQUEST),
        2 => ("OFPET_BAD_ACTION", "OFPBAC", BAD_ACTION),
        3 => ("OFPET_BAD_INSTRUCTION", "OFPBIC", BAD_INSTRUCTION),
        4 => ("OFPET_BAD_MATCH", "OFPBMC", BAD_MATCH),
        5 => ("OFPET_FLOW_MOD_FAILED", "OFPFMFC", FLOW_MOD_FAILED),
        16 => ("OFPET_FLOW_MONITOR_FAILED", "OFPMOFC", FLOW_MONITOR_FAILED),
        17 => ("OFPET_BUNDLE_FAILED", "OFPBFC", BUNDLE_FAILED),
        0xffff => ("OFPET_EXPERIMENTER", "", &[]),
        _ => return None,
    })
}

const BAD_REQUEST: &[&str] = &[
    "BAD_VERSION",
    "BAD_TYPE",
    "BAD_MULTIPART",
    "BAD_EXPERIMENTER",
    "BAD_EXP_TYPE",
    "EPERM",
    "BAD_LEN",
    "BUFFER_EMPTY",
    "BUFFER_UNKNOWN",
    "BAD_TABLE_ID",
    "IS_SLAVE",
    "BAD_PORT",
    "BAD_PACKET",
    "MULTIPART_BUFFER_OVERFLOW",
];
const BAD_ACTION: &[&str] = &[
    "BAD_TYPE",
    "BAD_LEN",
    "BAD_EXPERIMENTER",
    "BAD_EXP_TYPE",
    "BAD_OUT_PORT",
    "BAD_ARGUMENT",
    "EPERM",
    "TOO_MANY",
    "BAD_QUEUE",
    "BAD_OUT_GROUP",
    "MATCH_INCONSISTENT",
    "UNSUPPORTED_ORDER",
    "BAD_TAG",
    "BAD_SET_TYPE",
    "BAD_SET_LEN",
    "BAD_SET_ARGUMENT",
];
const BAD_INSTRUCTION: &[&str] = &[
    "UNKNOWN_INST",
    "UNSUP_INST",
    "BAD_TABLE_ID",
    "UNSUP_METADATA",
    "UNSUP_METADATA_MASK",
    "BAD_EXPERIMENTER",
    "BAD_EXP_TYPE",
    "BAD_LEN",
    "EPERM",
    "DUP_INST",
];
const BAD_MATCH: &[&str] = &[
    "BAD_TYPE",
    "BAD_LEN",
    "BAD_TAG",
    "BAD_DL_ADDR_MASK",
    "BAD_NW_ADDR_MASK",
    "BAD_WILDCARDS",
    "BAD_FIELD",
    "BAD_VALUE",
    "BAD_MASK",
    "BAD_PREREQ",
    "DUP_FIELD",
    "EPERM",
];
const FLOW_MOD_FAILED: &[&str] = &[
    "UNKNOWN",
    "TABLE_FULL",
    "BAD_TABLE_ID",
    "OVERLAP",
    "EPERM",
    "BAD_TIMEOUT",
    "BAD_COMMAND",
    "BAD_FLAGS",
    "CANT_SYNC",
    "BAD_PRIORITY",
];
const FLOW_MONITOR_FAILED: &[&str] = &[
    "UNKNOWN",
    "MONITOR_EXISTS",
    "INVALID_MONITOR",
    "UNKNOWN_MONITOR",
    "BAD_COMMAND",
    "BAD_FLAGS",
    "BAD_TABLE_ID",
    "BAD_OUT",
];
const BUNDLE_FAILED: &[&str] = &[
    "UNKNOWN",
    "EPERM",
    "BAD_ID",
    "BUNDLE_EXIST",
    "BUNDLE_CLOSED",
    "OUT_OF_BUNDLES",
    "BAD_TYPE",
    "BAD_FLAGS",
    "MSG_BAD_LEN",
    "MSG_BAD_XID",
    "MSG_UNSUP",
    "MSG_CONFLICT",
    "MSG_TOO_MANY",
    "MSG_FAILED",
    "TIMEOUT",
    "BUNDLE_IN_PROGRESS",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_have_the_names_of_the_specification() {
        for (kind, code, text) in [
            (0, 0, "OFPHFC_INCOMPATIBLE"),
            (2, 4, "OFPBAC_BAD_OUT_PORT"),
            (4, 9, "OFPBMC_BAD_PREREQ"),
            (5, 1, "OFPFMFC_TABLE_FULL"),
            (17, 13, "OFPBFC_MSG_FAILED"),
            (17, 99, "OFPET_BUNDLE_FAILED, code 99"),
            (42, 7, "OpenFlow error of type 42, code 7"),
        ] {
            assert_eq!(OpenFlowError { kind, code }.to_string(), text);
        }
    }
}
