//! What the integration bridge does with a VIP: flows filtered by destination (`OFPMP_FLOW`, OpenFlow 1.3 §7.3.5.2) and
//! the groups that they use (`OFPMP_GROUP_DESC`, §7.3.5.7). Of both only the destination NAT is read, Open vSwitch's
//! `ct(nat(dst=…))` (`NXAST_CT`, `NXAST_NAT`; ovs-actions(7)): OVN's load balancers are made of it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::Version;
use super::bytes::{Reader, Truncated, set_length};
use super::flow_mod::{ANY, TABLE_ALL};
use super::message::{Body, Message};
use super::oxm::{put_match_all, put_match_to, take_destination, take_metadata};

const MULTIPART_REQUEST: u8 = 18;
const MULTIPART_REPLY: u8 = 19;
const FLOW: u16 = 1;
const GROUP_DESC: u16 = 7;
const FLOW_MONITOR: u16 = 16;
/// `OFPFMF_REMOVED` and `_MODIFY` (§7.3.5.17).
const MONITOR_FLAGS: u16 = 1 << 2 | 1 << 3;
const REPLY_MORE: u16 = 1;
/// `OFPIT_WRITE_ACTIONS`, `OFPIT_APPLY_ACTIONS` (§7.2.4).
const INSTRUCTIONS: [u16; 2] = [3, 4];
/// `OFPAT_GROUP`, `OFPAT_EXPERIMENTER` (§7.2.5).
const GROUP: u16 = 22;
const EXPERIMENTER: u16 = 0xffff;
const NICIRA: u32 = 0x0000_2320;
/// `NXAST_CT` and `NXAST_NAT` (Open vSwitch, lib/ofp-actions.c).
const CT: u16 = 35;
const NAT: u16 = 36;
/// `NX_NAT_F_DST`; `NX_NAT_RANGE_IPV4_MIN`, `_IPV4_MAX`, `_IPV6_MIN`.
const NAT_DST: u16 = 1 << 1;
const RANGE_IPV4_MIN: u16 = 1;
const RANGE_IPV4_MAX: u16 = 1 << 1;
const RANGE_IPV6_MIN: u16 = 1 << 2;

/// What a flow or a bucket does to the destination.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Translation {
    /// The `metadata` that a flow matches: OVN's number for a logical switch (`tunnel_key` of its `Datapath_Binding`;
    /// ovn-architecture(7), "logical datapath field"). `None` for a bucket.
    pub metadata: Option<u64>,
    /// The addresses that it translates to.
    pub targets: BTreeSet<IpAddr>,
    /// The groups that it hands on to.
    pub groups: BTreeSet<u32>,
}

/// A message of the integration bridge's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Of the flows asked for, those that translate.
    Flows {
        /// One for each.
        found: Vec<Translation>,
        /// Another part follows.
        more: bool,
    },
    /// All groups, by number.
    Groups {
        /// The addresses that their buckets translate to.
        found: BTreeMap<u32, BTreeSet<IpAddr>>,
        /// Another part follows.
        more: bool,
    },
    /// Flows went, or are others.
    Changes {
        /// The destinations that they match.
        to: Vec<IpAddr>,
        /// Some were left out: it may be any.
        missed: bool,
    },
    /// Anything else.
    Else(Body),
}

/// Appends a request for the flows to this address.
pub fn ask_flows_to(version: Version, xid: u32, destination: IpAddr, out: &mut Vec<u8>) {
    ask(version, xid, FLOW, out, |out| {
        out.extend([TABLE_ALL, 0, 0, 0]);
        out.extend([ANY.to_be_bytes(); 2].as_flattened()); // out port, out group
        out.extend([0; 4 + 8 + 8]); // any cookie
        put_match_to(destination, out);
    });
}

/// Appends a request to be told of every flow that goes, or is another, from now on (`OFPMP_FLOW_MONITOR`, OpenFlow 1.4
/// §7.3.5.17).
pub fn ask_to_be_told(version: Version, xid: u32, out: &mut Vec<u8>) {
    ask(version, xid, FLOW_MONITOR, out, |out| {
        out.extend([0, 0, 0, 1]); // monitor_id
        out.extend([ANY.to_be_bytes(); 2].as_flattened()); // out port, out group
        out.extend(MONITOR_FLAGS.to_be_bytes());
        out.extend([TABLE_ALL, 0]); // OFPFMC_ADD
        put_match_all(out);
    });
}

/// Appends a request for all groups.
pub fn ask_groups(version: Version, xid: u32, out: &mut Vec<u8>) {
    ask(version, xid, GROUP_DESC, out, |_| ());
}

fn ask(version: Version, xid: u32, kind: u16, out: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend([version.number(), MULTIPART_REQUEST, 0, 0]);
    out.extend(xid.to_be_bytes());
    out.extend([kind.to_be_bytes(), [0; 2], [0; 2], [0; 2]].as_flattened());
    body(out);
    set_length(out, start, 2);
}

/// Reads one whole message, header included: what it answers, and what it says.
///
/// # Errors
/// When it contradicts itself in a length.
pub fn decode_answer(bytes: &[u8]) -> Result<(u32, Answer), Truncated> {
    let mut reader = Reader::new(bytes);
    let [_, kind, _, _] = reader.array()?;
    let xid = reader.u32()?;
    if kind == MULTIPART_REPLY {
        let kind = reader.u16()?;
        let more = reader.u16()? & REPLY_MORE != 0;
        reader.u32()?;
        match kind {
            FLOW => return Ok((xid, Answer::Flows { found: take_flows(reader)?, more })),
            GROUP_DESC => return Ok((xid, Answer::Groups { found: take_groups(reader)?, more })),
            FLOW_MONITOR => return Ok((xid, take_changes(reader)?)),
            _ => {}
        }
    }
    Ok((xid, Answer::Else(Message::decode(bytes)?.body)))
}

/// `ofp_flow_update_full` for events 0 to 3; 5 says that the switch had to pause, 6 that it goes on.
fn take_changes(mut reader: Reader<'_>) -> Result<Answer, Truncated> {
    let (mut to, mut missed) = (Vec::new(), false);
    while !reader.is_empty() {
        let mut entry = reader.part(0, 8)?;
        entry.u16()?;
        match entry.u16()? {
            0..=3 => {
                entry.take(20)?; // table, reason, timeouts, priority, padding, cookie
                to.extend(take_destination(entry.part(2, 4)?)?);
            }
            5 | 6 => missed = true,
            _ => {}
        }
    }
    Ok(Answer::Changes { to, missed })
}

fn take_flows(mut reader: Reader<'_>) -> Result<Vec<Translation>, Truncated> {
    let mut found = Vec::new();
    while !reader.is_empty() {
        let mut entry = reader.part(0, 56)?;
        entry.take(48)?; // up to the match
        let matches = entry.part(2, 4)?;
        entry.take(matches.rest().len().next_multiple_of(8) - matches.rest().len())?;
        let mut translation = Translation { metadata: take_metadata(matches)?, ..Translation::default() };
        while !entry.is_empty() {
            let mut instruction = entry.part(2, 8)?;
            let kind = instruction.u16()?;
            instruction.take(6)?;
            if INSTRUCTIONS.contains(&kind) {
                take_actions(instruction, &mut translation)?;
            }
        }
        if !(translation.targets.is_empty() && translation.groups.is_empty()) {
            found.push(translation);
        }
    }
    Ok(found)
}

fn take_groups(mut reader: Reader<'_>) -> Result<BTreeMap<u32, BTreeSet<IpAddr>>, Truncated> {
    let mut found = BTreeMap::new();
    while !reader.is_empty() {
        let mut group = reader.part(0, 8)?;
        group.take(4)?;
        let number = group.u32()?;
        let mut translation = Translation::default();
        while !group.is_empty() {
            let mut bucket = group.part(0, 16)?;
            bucket.take(16)?; // length, weight, what to watch
            take_actions(bucket, &mut translation)?;
        }
        found.insert(number, translation.targets);
    }
    Ok(found)
}

fn take_actions(mut actions: Reader<'_>, into: &mut Translation) -> Result<(), Truncated> {
    while !actions.is_empty() {
        let mut action = actions.part(2, 8)?;
        let kind = action.u16()?;
        action.u16()?;
        match kind {
            GROUP => drop(into.groups.insert(action.u32()?)),
            EXPERIMENTER if action.u32()? == NICIRA => match action.u16()? {
                CT => {
                    action.take(14)?; // flags, zone, table, helper
                    take_actions(action, into)?;
                }
                NAT => into.targets.extend(take_nat(action)?),
                _ => {}
            },
            _ => {}
        }
    }
    Ok(())
}

/// The first address of the range that a destination NAT has; OVN's have one.
fn take_nat(mut action: Reader<'_>) -> Result<Option<IpAddr>, Truncated> {
    action.u16()?;
    let (flags, ranges) = (action.u16()?, action.u16()?);
    if flags & NAT_DST == 0 {
        return Ok(None);
    }
    if ranges & RANGE_IPV4_MIN != 0 {
        return Ok(Some(action.array::<4>()?.into()));
    }
    if ranges & RANGE_IPV4_MAX != 0 {
        action.take(4)?;
    }
    Ok(if ranges & RANGE_IPV6_MIN != 0 { Some(action.array::<16>()?.into()) } else { None })
}

#[cfg(test)]
pub(in crate::flows) mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::Ipv4Addr;

    fn with_length(mut bytes: Vec<u8>, at: usize) -> Vec<u8> {
        set_length(&mut bytes, 0, at);
        bytes
    }

    fn ct_to(target: IpAddr) -> Vec<u8> {
        let (bit, octets) = match target {
            IpAddr::V4(address) => (RANGE_IPV4_MIN, address.octets().to_vec()),
            IpAddr::V6(address) => (RANGE_IPV6_MIN, address.octets().to_vec()),
        };
        let port = [0, 80];
        let ranges = (bit | 1 << 4).to_be_bytes();
        let mut nat =
            [&[0xff, 0xff, 0, 0, 0, 0, 0x23, 0x20, 0, 36, 0, 0, 0, 2][..], &ranges, &octets, &port].concat();
        nat.resize(nat.len().next_multiple_of(8), 0);
        let nat = with_length(nat, 2);
        let head =
            [0xff, 0xff, 0, 0, 0, 0, 0x23, 0x20, 0, 35, 0, 1, 0, 1, 0xd9, 0x0f, 0, 15, 24, 0, 0, 0, 0, 0];
        with_length([&head[..], &nat].concat(), 2)
    }

    fn multipart(xid: u32, kind: u16, body: &[u8]) -> Vec<u8> {
        let kind = kind.to_be_bytes();
        let head = [&[4, MULTIPART_REPLY, 0, 0][..], &xid.to_be_bytes(), &kind, &[0; 6]].concat();
        with_length([&head[..], body].concat(), 2)
    }

    /// A reply with one flow of a logical switch with these actions.
    pub(in crate::flows) fn flow_reply(xid: u32, metadata: u64, actions: &[Vec<u8>]) -> Vec<u8> {
        let instruction = with_length([&[0, 4, 0, 0, 0, 0, 0, 0][..], &actions.concat()].concat(), 2);
        let matches =
            [&[0, 1, 0, 22, 0x80, 0, 10, 2, 8, 0, 0x80, 0, 4, 8][..], &metadata.to_be_bytes(), &[0; 2]];
        let entry = [&[0; 48][..], &matches.concat(), &instruction].concat();
        multipart(xid, FLOW, &with_length(entry, 0))
    }

    /// A reply with no flow at all.
    pub(in crate::flows) fn no_flow_reply(xid: u32) -> Vec<u8> {
        multipart(xid, FLOW, &[])
    }

    /// The switch tells that a flow to this address went.
    pub(in crate::flows) fn removal(to: Ipv4Addr) -> Vec<u8> {
        let matches =
            [&[0, 1, 0, 18, 0x80, 0, 10, 2, 8, 0, 0x80, 0, 24, 4][..], &to.octets(), &[0; 6]].concat();
        let entry = with_length([&[0, 0, 0, 2][..], &[0; 20], &matches].concat(), 0);
        multipart(0, FLOW_MONITOR, &entry)
    }

    /// A reply with one group of these targets.
    pub(in crate::flows) fn group_reply(xid: u32, number: u32, targets: &[IpAddr]) -> Vec<u8> {
        let bucket = |target: &IpAddr| with_length([&[0; 16][..], &ct_to(*target)].concat(), 0);
        let buckets: Vec<u8> = targets.iter().flat_map(bucket).collect();
        multipart(xid, GROUP_DESC, &with_length([&[0; 4][..], &number.to_be_bytes(), &buckets].concat(), 0))
    }

    pub(in crate::flows) fn group_action(number: u32) -> Vec<u8> {
        [&[0, 22, 0, 8][..], &number.to_be_bytes()].concat()
    }

    #[test]
    fn a_flow_that_translates_by_itself_or_by_a_group_is_read() {
        let (v4, v6): (IpAddr, IpAddr) = ("10.0.0.7".parse().unwrap(), "fd00::7".parse().unwrap());
        let actions = [vec![0, 25, 0, 8, 1, 2, 3, 4], ct_to(v4), ct_to(v6), group_action(9)];
        let translation = Translation { metadata: Some(5), targets: [v4, v6].into(), groups: [9].into() };
        let wanted = Answer::Flows { found: vec![translation], more: false };
        assert_eq!(decode_answer(&flow_reply(3, 5, &actions)), Ok((3, wanted)));
        let wanted = Answer::Groups { found: [(9, [v4, v6].into())].into(), more: false };
        assert_eq!(decode_answer(&group_reply(4, 9, &[v4, v6])), Ok((4, wanted)));
    }

    #[test]
    fn what_the_switch_tells_of_changes_names_their_destinations() {
        let change = |event: u8, matches: &[u8]| {
            let mut entry = [&[0, 0, 0, event][..], &[0; 20]].concat();
            let start = entry.len();
            entry.extend([&[0, 1, 0, 0][..], matches].concat());
            set_length(&mut entry, start, 2);
            entry.resize(entry.len().next_multiple_of(8), 0);
            with_length(entry, 0)
        };
        let v4 = [0x80, 0, 10, 2, 8, 0, 0x80, 0, 24, 4, 10, 0, 0, 9];
        let v6 =
            [&[0x80, 0, 54, 16][..], &"fd00::9".parse::<std::net::Ipv6Addr>().unwrap().octets()].concat();
        let entries = [change(2, &v4), change(3, &v6), change(2, &[0x80, 0, 10, 2, 8, 6])].concat();
        let to = vec!["10.0.0.9".parse().unwrap(), "fd00::9".parse().unwrap()];
        let answer = decode_answer(&multipart(1, FLOW_MONITOR, &entries));
        assert_eq!(answer, Ok((1, Answer::Changes { to, missed: false })));
        let paused = decode_answer(&multipart(1, FLOW_MONITOR, &[0, 8, 0, 5, 0, 0, 0, 0]));
        assert_eq!(paused, Ok((1, Answer::Changes { to: vec![], missed: true })));
    }

    #[test]
    fn a_flow_that_translates_nothing_is_left_out() {
        let actions = [vec![0, 25, 0, 8, 1, 2, 3, 4]];
        assert_eq!(
            decode_answer(&flow_reply(3, 5, &actions)),
            Ok((3, Answer::Flows { found: vec![], more: false }))
        );
    }

    proptest! {
        #[test]
        fn arbitrary_or_damaged_replies_do_no_harm(
            bytes in prop::collection::vec(any::<u8>(), 0..200), at in 0..200usize, byte: u8, cut in 0..200usize,
        ) {
            for kind in [FLOW, GROUP_DESC, FLOW_MONITOR] {
                let _ = decode_answer(&multipart(1, kind, &bytes));
            }
            let mut reply = flow_reply(1, 5, &[ct_to("10.0.0.7".parse().unwrap()), group_action(1)]);
            if let Some(place) = reply.get_mut(at) { *place = byte; }
            reply.truncate(cut);
            let _ = decode_answer(&reply);
        }
    }
}
