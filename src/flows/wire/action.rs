//! Instructions and actions (OpenFlow 1.4 §7.2.3, §7.2.4), and the forms that Open vSwitch may give them back in.

use super::bytes::{Reader, Truncated, pad_to_8, set_length};
use super::oxm::{CLASS, field};
use crate::flows::action::{Action, Field};
use crate::model::{Family, Mac};

/// `OFPIT_APPLY_ACTIONS` (§7.2.3).
const APPLY_ACTIONS: u16 = 4;
/// `OFPAT_*` (§7.2.4).
const OUTPUT: u16 = 0;
const SET_FIELD: u16 = 25;
const EXPERIMENTER: u16 = 0xffff;
/// Nicira's vendor number, and its actions (ovs-actions(7), "The set_field and load actions", "The move action").
const NICIRA: u32 = 0x0000_2320;
const REG_MOVE: u16 = 6;
const REG_LOAD: u16 = 7;
const REG_LOAD2: u16 = 33;

/// Headers of whole fields (ovs-fields(7)), as we write them: OpenFlow's own number where there is one.
const ETH_DST: u32 = oxm(field::ETH_DST, 6);
const ETH_SRC: u32 = oxm(field::ETH_SRC, 6);
const IPV4_SRC: u32 = oxm(field::IPV4_SRC, 4);
const IPV4_DST: u32 = oxm(field::IPV4_DST, 4);
const IPV6_SRC: u32 = oxm(field::IPV6_SRC, 16);
const IPV6_DST: u32 = oxm(field::IPV6_DST, 16);
const ICMPV4_TYPE: u32 = oxm(field::ICMPV4_TYPE, 1);
const ICMPV6_TYPE: u32 = oxm(field::ICMPV6_TYPE, 1);
const PKT_MARK: u32 = nicira(33, 4);
const IP_TTL: u32 = nicira(29, 1);
const REG0: u32 = nicira(0, 4);
const XXREG0: u32 = nicira(111, 16);

/// Those that have a number of Nicira's as well, by which they may come back.
const NXM_ETH_DST: u32 = older(1, 6);
const NXM_ETH_SRC: u32 = older(2, 6);
const NXM_IPV4_SRC: u32 = older(7, 4);
const NXM_IPV4_DST: u32 = older(8, 4);
const NXM_ICMPV4_TYPE: u32 = older(13, 1);
const NXM_IPV6_SRC: u32 = nicira(19, 16);
const NXM_IPV6_DST: u32 = nicira(20, 16);
const NXM_ICMPV6_TYPE: u32 = nicira(21, 1);

/// Class `OFPXMC_OPENFLOW_BASIC`.
const fn oxm(number: u8, length: u8) -> u32 {
    header(CLASS, number, length)
}

/// Class `OFPXMC_NXM_1` (`NXM_NX_*`).
const fn nicira(number: u8, length: u8) -> u32 {
    header(1, number, length)
}

/// Class `OFPXMC_NXM_0` (`NXM_OF_*`).
const fn older(number: u8, length: u8) -> u32 {
    header(0, number, length)
}

const fn header(class: u16, number: u8, length: u8) -> u32 {
    (class as u32) << 16 | (number as u32) << 9 | length as u32
}

/// Appends the one instruction that applies these actions; none where there are none (drop).
pub(super) fn put_instructions(actions: &[Action], out: &mut Vec<u8>) {
    if actions.is_empty() {
        return;
    }
    let start = out.len();
    out.extend([APPLY_ACTIONS.to_be_bytes(), [0; 2], [0; 2], [0; 2]].as_flattened());
    for action in actions {
        put_action(*action, out);
    }
    set_length(out, start, 2);
}

fn put_action(action: Action, out: &mut Vec<u8>) {
    let start = out.len();
    match action {
        Action::Output(port) => {
            out.extend([OUTPUT.to_be_bytes(), [0; 2]].as_flattened());
            out.extend(port.to_be_bytes());
            out.extend([0; 8]);
        }
        Action::SetEthDst(mac) => put_set(ETH_DST, &mac.0, out),
        Action::SetEthSrc(mac) => put_set(ETH_SRC, &mac.0, out),
        Action::SetMark(mark) => put_set(PKT_MARK, &mark.to_be_bytes(), out),
        Action::SetTtl(ttl) => put_set(IP_TTL, &[ttl], out),
        Action::SetIcmpType(Family::V4, kind) => put_set(ICMPV4_TYPE, &[kind], out),
        Action::SetIcmpType(Family::V6, kind) => put_set(ICMPV6_TYPE, &[kind], out),
        Action::Move(from, to) => put_move(from, to, out),
    }
    pad_to_8(out, start);
    set_length(out, start, 2);
}

fn put_set(header: u32, value: &[u8], out: &mut Vec<u8>) {
    out.extend([SET_FIELD.to_be_bytes(), [0; 2]].as_flattened());
    out.extend(header.to_be_bytes());
    out.extend(value);
}

fn put_move(from: Field, to: Field, out: &mut Vec<u8>) {
    out.extend([EXPERIMENTER.to_be_bytes(), [0; 2]].as_flattened());
    out.extend(NICIRA.to_be_bytes());
    // n_bits, src_ofs, dst_ofs: the whole of both.
    out.extend([REG_MOVE.to_be_bytes(), from.bits().to_be_bytes(), [0; 2], [0; 2]].as_flattened());
    out.extend([header_of(from).to_be_bytes(), header_of(to).to_be_bytes()].as_flattened());
}

fn header_of(field: Field) -> u32 {
    match field {
        Field::EthSrc => ETH_SRC,
        Field::EthDst => ETH_DST,
        Field::IpSrc(Family::V4) => IPV4_SRC,
        Field::IpSrc(Family::V6) => IPV6_SRC,
        Field::IpDst(Family::V4) => IPV4_DST,
        Field::IpDst(Family::V6) => IPV6_DST,
        Field::Scratch(Family::V4) => REG0,
        Field::Scratch(Family::V6) => XXREG0,
    }
}

fn field_of(header: u32) -> Option<Field> {
    match header {
        ETH_SRC | NXM_ETH_SRC => Some(Field::EthSrc),
        ETH_DST | NXM_ETH_DST => Some(Field::EthDst),
        IPV4_SRC | NXM_IPV4_SRC => Some(Field::IpSrc(Family::V4)),
        IPV6_SRC | NXM_IPV6_SRC => Some(Field::IpSrc(Family::V6)),
        IPV4_DST | NXM_IPV4_DST => Some(Field::IpDst(Family::V4)),
        IPV6_DST | NXM_IPV6_DST => Some(Field::IpDst(Family::V6)),
        REG0 => Some(Field::Scratch(Family::V4)),
        XXREG0 => Some(Field::Scratch(Family::V6)),
        _ => None,
    }
}

/// The actions of a flow's instructions; `None` where there is anything that we would not have written.
pub(super) fn take_instructions(mut reader: Reader<'_>) -> Option<Vec<Action>> {
    if reader.is_empty() {
        return Some(Vec::new());
    }
    let mut instruction = reader.part(2, 8).ok()?;
    let kind = instruction.u16().ok()?;
    instruction.take(6).ok()?;
    (kind == APPLY_ACTIONS && reader.is_empty()).then_some(())?;
    let mut actions = Vec::new();
    while !instruction.is_empty() {
        actions.push(take_action(instruction.part(2, 8).ok()?).ok()??);
    }
    Some(actions)
}

fn take_action(mut action: Reader<'_>) -> Result<Option<Action>, Truncated> {
    let kind = action.u16()?;
    action.u16()?;
    match kind {
        OUTPUT => Ok(Some(Action::Output(action.u32()?))),
        SET_FIELD => take_set(action),
        EXPERIMENTER if action.u32()? == NICIRA => take_nicira(action),
        _ => Ok(None),
    }
}

/// What a field that is set says.
fn take_set(mut action: Reader<'_>) -> Result<Option<Action>, Truncated> {
    match action.u32()? {
        ETH_DST | NXM_ETH_DST => Ok(Some(Action::SetEthDst(Mac(action.array()?)))),
        ETH_SRC | NXM_ETH_SRC => Ok(Some(Action::SetEthSrc(Mac(action.array()?)))),
        PKT_MARK => Ok(Some(Action::SetMark(action.u32()?))),
        IP_TTL => Ok(Some(Action::SetTtl(action.u8()?))),
        ICMPV4_TYPE | NXM_ICMPV4_TYPE => Ok(Some(Action::SetIcmpType(Family::V4, action.u8()?))),
        ICMPV6_TYPE | NXM_ICMPV6_TYPE => Ok(Some(Action::SetIcmpType(Family::V6, action.u8()?))),
        _ => Ok(None),
    }
}

fn take_nicira(mut action: Reader<'_>) -> Result<Option<Action>, Truncated> {
    match action.u16()? {
        REG_LOAD => take_load(action),
        REG_LOAD2 => {
            action.take(6)?;
            take_set(action)
        }
        REG_MOVE => take_move(action),
        _ => Ok(None),
    }
}

/// A value of up to 64 bits, written into the whole of a field; `None` where it is a part.
fn take_load(mut action: Reader<'_>) -> Result<Option<Action>, Truncated> {
    // Offset times 64, and one less than the number of bits.
    let bits = usize::from(action.u16()?) + 1;
    let (header, value) = (action.take(4)?, action.take(8)?);
    let [_, _, _, length] = *header else { return Err(Truncated) };
    if bits != usize::from(length) * 8 || bits > 64 {
        return Ok(None);
    }
    let field = [header, value.get(8 - bits / 8..).unwrap_or_default()].concat();
    take_set(Reader::new(&field))
}

/// The whole of a field, written into the whole of another.
fn take_move(mut action: Reader<'_>) -> Result<Option<Action>, Truncated> {
    let [bits, from_offset, to_offset] = [action.u16()?, action.u16()?, action.u16()?];
    let (Some(from), Some(to)) = (field_of(action.u32()?), field_of(action.u32()?)) else { return Ok(None) };
    let is_whole = (bits, bits, from_offset, to_offset) == (from.bits(), to.bits(), 0, 0);
    Ok(is_whole.then_some(Action::Move(from, to)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flows::flow::tests::any_flow;
    use proptest::prelude::*;

    fn instruction(kind: u8, actions: &[u8]) -> Vec<u8> {
        let length = u8::try_from(8 + actions.len()).unwrap();
        [&[0, kind, 0, length, 0, 0, 0, 0], actions].concat()
    }

    proptest! {
        #[test]
        fn actions_read_what_they_write(flow in any_flow()) {
            let mut out = Vec::new();
            put_instructions(&flow.actions, &mut out);
            prop_assert_eq!(take_instructions(Reader::new(&out)), Some(flow.actions));
        }

        #[test]
        fn arbitrary_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
            take_instructions(Reader::new(&bytes));
            take_instructions(Reader::new(&instruction(4, &bytes)));
        }
    }

    #[test]
    fn a_mac_set_by_load_is_a_mac_set() {
        let mac = [0, 0, 0, 1, 0, 1];
        let load = [&[0xff, 0xff, 0, 24, 0, 0, 0x23, 0x20, 0, 7, 0, 47, 0, 0, 2, 6, 0, 0][..], &mac].concat();
        let load2 = [
            &[0xff, 0xff, 0, 32, 0, 0, 0x23, 0x20, 0, 33, 0, 0, 0, 0, 0, 0, 0x80, 0, 6, 6][..],
            &mac,
            &[0; 6],
        ]
        .concat();
        for action in [load, load2] {
            let found = take_instructions(Reader::new(&instruction(4, &action)));
            assert_eq!(found, Some(vec![Action::SetEthDst(Mac(mac))]));
        }
    }

    #[test]
    fn a_mark_set_by_load_is_a_mark_set() {
        let mark = [4, 0, 0, 0];
        let load =
            [&[0xff, 0xff, 0, 24, 0, 0, 0x23, 0x20, 0, 7, 0, 31, 0, 1, 0x42, 4, 0, 0, 0, 0][..], &mark]
                .concat();
        let set = [&[0, 25, 0, 16, 0, 1, 0x42, 4][..], &mark, &[0; 4]].concat();
        for action in [load, set] {
            let found = take_instructions(Reader::new(&instruction(4, &action)));
            assert_eq!(found, Some(vec![Action::SetMark(1 << 26)]));
        }
    }

    /// The forms in which OpenFlow 1.4 gives back what kube-ovn-cni has written anew.
    #[test]
    fn the_parts_of_an_answer_are_read_in_every_form() {
        let nicira = |rest: &[u8]| [&[0xff, 0xff, 0, 24, 0, 0, 0x23, 0x20][..], rest].concat();
        let answer = |kind| Action::SetIcmpType(Family::V6, kind);
        for (action, wanted) in [
            (nicira(&[0, 7, 0, 7, 0, 1, 0x3a, 1, 0, 0, 0, 0, 0, 0, 0, 64]), Some(Action::SetTtl(64))),
            (nicira(&[0, 7, 0, 7, 0, 1, 0x2a, 1, 0, 0, 0, 0, 0, 0, 0, 129]), Some(answer(129))),
            (
                nicira(&[0, 7, 0, 47, 0, 0, 4, 6, 0, 0, 2, 0, 0, 0, 0, 1]),
                Some(Action::SetEthSrc(Mac([2, 0, 0, 0, 0, 1]))),
            ),
            (
                nicira(&[0, 6, 0, 128, 0, 0, 0, 0, 0, 1, 0x26, 0x10, 0, 1, 0xde, 0x10]),
                Some(Action::Move(Field::IpSrc(Family::V6), Field::Scratch(Family::V6))),
            ),
            // A part of a field: half of an address, half of a TTL.
            (nicira(&[0, 6, 0, 64, 0, 0, 0, 0, 0, 1, 0x26, 0x10, 0, 1, 0xde, 0x10]), None),
            (nicira(&[0, 7, 0, 3, 0, 1, 0x3a, 1, 0, 0, 0, 0, 0, 0, 0, 4]), None),
            (nicira(&[0, 7, 0, 63, 0, 1, 0x26, 0x10, 0, 0, 0, 0, 0, 0, 0, 4]), None),
        ] {
            let found = take_instructions(Reader::new(&instruction(4, &action)));
            assert_eq!(found, wanted.map(|action| vec![action]), "{action:?}");
        }
    }

    #[test]
    fn anything_else_is_not_understood() {
        let group = [0, 22, 0, 8, 0, 0, 0, 1];
        let write_actions = instruction(3, &[]);
        let two = [instruction(4, &[]), instruction(4, &[])].concat();
        for bytes in [instruction(4, &group), write_actions, two, instruction(4, &[0; 3])] {
            assert_eq!(take_instructions(Reader::new(&bytes)), None, "{bytes:?}");
        }
    }
}
