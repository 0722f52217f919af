//! `OFPT_FLOW_MOD`: a change to the flow table (OpenFlow 1.4 §7.3.4.1).

use std::fmt;

use super::action::put_instructions;
use super::oxm::{FoundMatch, put_match, put_match_all};
use crate::flows::flow::{COOKIE, COOKIE_MASK, Flow};

/// `OFPTT_ALL`, `OFP_NO_BUFFER`, `OFPP_ANY` and `OFPG_ANY`.
pub(super) const TABLE_ALL: u8 = 0xff;
pub(super) const ANY: u32 = 0xffff_ffff;
/// `OFPFC_*`.
const ADD: u8 = 0;
const DELETE: u8 = 3;
const DELETE_STRICT: u8 = 4;

/// One change to a bridge's flows. None of them can touch a flow without our cookie, but for one of our own priority and
/// match, which an add replaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FlowMod {
    /// Makes the flow, or replaces what has its priority and match.
    Add(Flow),
    /// Removes exactly the flow of this table, priority and match, if it has our cookie.
    Delete {
        /// `table_id`.
        table: u8,
        /// `priority`.
        priority: u16,
        /// The whole match.
        matches: FoundMatch,
    },
    /// Removes every flow that has our cookie, in every table.
    DeleteAll,
}

impl fmt::Display for FlowMod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FlowMod::Add(flow) => flow.fmt(f),
            FlowMod::Delete { table, priority, matches } => {
                write!(f, "delete table={table},priority={priority},{matches}")
            }
            FlowMod::DeleteAll => write!(f, "delete cookie={COOKIE:#x}/{COOKIE_MASK:#x}"),
        }
    }
}

/// Appends the body; it is the same in 1.3 and 1.4 (`importance` is 0, where 1.3 has padding).
pub(super) fn put_flow_mod(flow_mod: &FlowMod, out: &mut Vec<u8>) {
    match flow_mod {
        FlowMod::Add(flow) => {
            let Flow { cookie, priority, matches, actions } = flow;
            put_fixed(*cookie, 0, 0, ADD, *priority, out);
            put_match(&FoundMatch::Known(matches.clone()), out);
            put_instructions(actions, out);
        }
        FlowMod::Delete { table, priority, matches } => {
            put_fixed(COOKIE, COOKIE_MASK, *table, DELETE_STRICT, *priority, out);
            put_match(matches, out);
        }
        FlowMod::DeleteAll => {
            put_fixed(COOKIE, COOKIE_MASK, TABLE_ALL, DELETE, 0, out);
            put_match_all(out);
        }
    }
}

fn put_fixed(cookie: u64, mask: u64, table: u8, command: u8, priority: u16, out: &mut Vec<u8>) {
    out.extend(cookie.to_be_bytes());
    out.extend(mask.to_be_bytes());
    out.extend([table, command, 0, 0, 0, 0]); // idle and hard timeout: none
    out.extend(priority.to_be_bytes());
    out.extend([ANY.to_be_bytes(); 3].as_flattened()); // buffer, out port, out group
    out.extend([0; 4]); // flags, importance
}

#[cfg(test)]
pub(in crate::flows) mod tests {
    use super::super::bytes::Reader;
    use super::super::oxm::take_match;

    /// The parts of a flow_mod's body, for a simulated switch.
    pub(in crate::flows) struct FlowModParts {
        pub cookie: u64,
        pub mask: u64,
        pub command: u8,
        pub table: u8,
        pub priority: u16,
        /// The whole `ofp_match`, padded.
        pub matches: Vec<u8>,
        pub instructions: Vec<u8>,
    }

    pub(in crate::flows) fn flow_mod_parts(body: &[u8]) -> FlowModParts {
        let mut reader = Reader::new(body);
        let (cookie, mask) = (reader.u64().unwrap(), reader.u64().unwrap());
        let (table, command) = (reader.u8().unwrap(), reader.u8().unwrap());
        assert_eq!(reader.u32().unwrap(), 0, "timeouts");
        let priority = reader.u16().unwrap();
        assert_eq!(reader.take(12).unwrap(), [0xff; 12], "buffer, port and group");
        assert_eq!(reader.u32().unwrap(), 0, "flags");
        let before = reader.rest();
        take_match(&mut reader).unwrap();
        let (matches, instructions) = before.split_at(before.len() - reader.rest().len());
        let (matches, instructions) = (matches.to_vec(), instructions.to_vec());
        FlowModParts { cookie, mask, command, table, priority, matches, instructions }
    }
}
