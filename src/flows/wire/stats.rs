//! What a bridge has and what changes on it: `OFPMP_FLOW` (OpenFlow 1.4 §7.3.5.2) and `OFPMP_FLOW_MONITOR` (§7.3.5.17).

use super::action::take_instructions;
use super::bytes::{Reader, Truncated};
use super::flow_mod::{ANY, TABLE_ALL};
use super::oxm::{FoundMatch, put_match_all, take_match};
use crate::flows::action::Action;
use crate::flows::flow::{ADMITTED, COOKIE, COOKIE_MASK, Flow, PRIORITY, TAGGED_PRIORITY};
use crate::flows::kube_ovn;

/// `OFPFMF_ADD`, `_REMOVED` and `_MODIFY` (§7.3.5.17): our own changes come abbreviated.
const MONITOR_FLAGS: u16 = 1 << 1 | 1 << 2 | 1 << 3;

/// A flow that a bridge has, as far as it matters whether it is one of ours and right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// `table_id`; ours are in 0.
    pub table: u8,
    /// `priority`.
    pub priority: u16,
    /// `cookie`.
    pub cookie: u64,
    /// The match.
    pub matches: FoundMatch,
    /// The actions; `None` where they are not understood or the flow would expire: it is none that we wrote.
    pub actions: Option<Vec<Action>>,
}

impl Found {
    /// Whether this is exactly that flow.
    pub fn is(&self, flow: &Flow) -> bool {
        let Self { table, priority, cookie, matches, actions } = self;
        *table == 0
            && *cookie == flow.cookie
            && *priority == flow.priority
            && *matches == FoundMatch::Known(flow.matches.clone())
            && actions.as_ref() == Some(&flow.actions)
    }
}

/// Appends a request for the flows that have this cookie, as far as the mask goes.
pub(super) fn put_flow_request(cookie: u64, mask: u64, out: &mut Vec<u8>) {
    out.extend([TABLE_ALL, 0, 0, 0]);
    out.extend([ANY.to_be_bytes(); 2].as_flattened()); // out port, out group
    out.extend([0; 4]);
    out.extend(cookie.to_be_bytes());
    out.extend(mask.to_be_bytes());
    put_match_all(out);
}

/// Appends a request to be told of every change to the flows (a monitor cannot select by cookie).
pub(super) fn put_monitor_request(out: &mut Vec<u8>) {
    out.extend([0, 0, 0, 1]); // monitor_id
    out.extend([ANY.to_be_bytes(); 2].as_flattened()); // out port, out group
    out.extend(MONITOR_FLAGS.to_be_bytes());
    out.extend([TABLE_ALL, 0]); // OFPFMC_ADD
    put_match_all(out);
}

/// Reads the entries of one part of an `OFPMP_FLOW` reply.
pub(super) fn take_flows(mut reader: Reader<'_>) -> Result<Vec<Found>, Truncated> {
    let mut flows = Vec::new();
    while !reader.is_empty() {
        flows.push(take_flow(reader.part(0, 56)?)?);
    }
    Ok(flows)
}

fn take_flow(mut entry: Reader<'_>) -> Result<Found, Truncated> {
    entry.u16()?;
    let table = entry.u8()?;
    entry.take(9)?; // padding, duration
    let priority = entry.u16()?;
    let expires = entry.u32()? != 0; // idle and hard timeout
    entry.take(6)?; // flags (kube-ovn-cni's rewriting adds some), importance
    let cookie = entry.u64()?;
    entry.take(16)?; // packets, bytes
    let matches = take_match(&mut entry)?;
    let actions = take_instructions(entry).filter(|_| !expires);
    Ok(Found { table, priority, cookie, matches, actions })
}

/// What a flow monitor tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlowChange {
    /// Somebody else touched a flow that has our cookie or priority.
    Ours,
    /// The same of Kube-OVN's: one of ours may be left to it, or no longer.
    KubeOvns,
    /// Changes were left out: there is no telling.
    Missed,
    /// Nothing that concerns us.
    Other,
}

/// Reads the entries of one part of an `OFPMP_FLOW_MONITOR` reply.
pub(super) fn take_changes(mut reader: Reader<'_>) -> Result<Vec<FlowChange>, Truncated> {
    let mut changes = Vec::new();
    while !reader.is_empty() {
        changes.push(take_change(reader.part(0, 8)?)?);
    }
    Ok(changes)
}

/// `ofp_flow_update_full` for events 0 to 3 (initial, added, removed, modified); 4 abbreviates a change of our own, 5
/// says that the switch had to pause, 6 that it goes on.
fn take_change(mut entry: Reader<'_>) -> Result<FlowChange, Truncated> {
    entry.u16()?;
    match entry.u16()? {
        0..=3 => {
            entry.take(6)?; // table, reason, timeouts
            let priority = entry.u16()?;
            entry.take(4)?;
            let cookie = entry.u64()?;
            let ours =
                cookie & COOKIE_MASK == COOKIE || (PRIORITY..=TAGGED_PRIORITY + ADMITTED).contains(&priority);
            let kube_ovns =
                cookie & kube_ovn::COOKIE_MASK == kube_ovn::COOKIE || priority == kube_ovn::PRIORITY;
            Ok(match (ours, kube_ovns) {
                (true, _) => FlowChange::Ours,
                (false, true) => FlowChange::KubeOvns,
                (false, false) => FlowChange::Other,
            })
        }
        5 | 6 => Ok(FlowChange::Missed),
        _ => Ok(FlowChange::Other),
    }
}

#[cfg(test)]
pub(in crate::flows) mod tests {
    use super::super::bytes::set_length;
    use super::super::flow_mod::{FlowMod, put_flow_mod, tests::flow_mod_parts};
    use super::*;
    use crate::flows::flow::tests::any_flow;
    use proptest::prelude::*;

    /// Appends an entry of an `OFPMP_FLOW` reply.
    pub(in crate::flows) fn put_entry(
        (cookie, table, priority): (u64, u8, u16),
        matches: &[u8],
        instructions: &[u8],
        out: &mut Vec<u8>,
    ) {
        let start = out.len();
        out.extend([0, 0, table, 0, 0, 0, 0, 7, 0, 0, 0, 9]);
        out.extend(priority.to_be_bytes());
        out.extend([0, 0, 0, 0, 0, 4, 0, 0, 0, 0]); // timeouts, flags, importance
        out.extend(cookie.to_be_bytes());
        out.extend([0xab; 16]);
        out.extend(matches);
        out.extend(instructions);
        set_length(out, start, 0);
    }

    fn entry_of(flow: &Flow) -> Vec<u8> {
        let (mut body, mut entry) = (Vec::new(), Vec::new());
        put_flow_mod(&FlowMod::Add(flow.clone()), &mut body);
        let parts = flow_mod_parts(&body);
        put_entry((flow.cookie, 0, flow.priority), &parts.matches, &parts.instructions, &mut entry);
        entry
    }

    proptest! {
        #[test]
        fn a_flow_that_was_installed_is_found_again(flow in any_flow()) {
            let found = take_flows(Reader::new(&entry_of(&flow))).unwrap();
            prop_assert_eq!(found.len(), 1);
            prop_assert!(found[0].is(&flow));
        }

        #[test]
        fn arbitrary_replies_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = take_flows(Reader::new(&bytes));
            let _ = take_changes(Reader::new(&bytes));
        }

        #[test]
        fn a_damaged_reply_does_no_harm(flow in any_flow(), at in 0..100usize, byte in any::<u8>(), cut in 0..120usize) {
            let mut entry = entry_of(&flow);
            if let Some(place) = entry.get_mut(at) { *place = byte; }
            entry.truncate(cut.max(1));
            let _ = take_flows(Reader::new(&entry));
        }
    }

    #[test]
    fn a_pause_of_the_tellings_may_hide_anything_and_our_own_changes_are_nobodys() {
        for (event, change) in [(4, FlowChange::Other), (5, FlowChange::Missed), (6, FlowChange::Missed)] {
            let entry = [0, 8, 0, event, 0, 0, 0, 0];
            assert_eq!(take_changes(Reader::new(&entry)), Ok(vec![change]));
        }
    }

    #[test]
    fn a_flow_that_expires_is_none_that_we_wrote() {
        let flow = crate::flows::flow::tests::flow("10.0.0.9", crate::flows::Traffic::PathMtu);
        let mut entry = entry_of(&flow);
        entry[15] = 30;
        let found = &take_flows(Reader::new(&entry)).unwrap()[0];
        assert!(!found.is(&flow) && found.matches == FoundMatch::Known(flow.matches));
    }
}
