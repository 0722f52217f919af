//! Instructions and actions (OpenFlow 1.4 §7.2.3, §7.2.4), and the forms that Open vSwitch may give them back in.

use super::bytes::{Reader, Truncated, pad_to_8, set_length};
use super::oxm::{NXM_NX_PKT_MARK, NXM_OF_ETH_DST, put_eth_dst, put_mark, take_eth_dst};
use crate::flows::flow::Action;
use crate::model::Mac;

/// `OFPIT_APPLY_ACTIONS` (§7.2.3).
const APPLY_ACTIONS: u16 = 4;
/// `OFPAT_*` (§7.2.4).
const OUTPUT: u16 = 0;
const SET_FIELD: u16 = 25;
const EXPERIMENTER: u16 = 0xffff;
/// Nicira's vendor number, and its actions of `load` (ovs-actions(7), "The set_field and load actions").
const NICIRA: u32 = 0x0000_2320;
const REG_LOAD: u16 = 7;
const REG_LOAD2: u16 = 33;

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
        Action::SetEthDst(mac) => {
            out.extend([SET_FIELD.to_be_bytes(), [0; 2]].as_flattened());
            put_eth_dst(mac, out);
        }
        Action::SetMark(mark) => {
            out.extend([SET_FIELD.to_be_bytes(), [0; 2]].as_flattened());
            put_mark(mark, out);
        }
    }
    pad_to_8(out, start);
    set_length(out, start, 2);
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
        SET_FIELD => Ok(take_set(&mut action)),
        EXPERIMENTER if action.u32()? == NICIRA => take_nicira(action),
        _ => Ok(None),
    }
}

/// What a field that is set says.
fn take_set(action: &mut Reader<'_>) -> Option<Action> {
    let mut mark = *action;
    if mark.u32().ok()? == NXM_NX_PKT_MARK {
        return mark.u32().ok().map(Action::SetMark);
    }
    take_eth_dst(action).map(Action::SetEthDst)
}

fn take_nicira(mut action: Reader<'_>) -> Result<Option<Action>, Truncated> {
    match action.u16()? {
        // ofs_nbits: all 48 or 32 bits from bit 0 on.
        REG_LOAD => {
            let (bits, field) = (action.u16()?, action.u32()?);
            let [_, _, mac @ ..] = action.array::<8>()?;
            let [_, _, mark @ ..] = mac;
            Ok(match (bits, field) {
                (47, NXM_OF_ETH_DST) => Some(Action::SetEthDst(Mac(mac))),
                (31, NXM_NX_PKT_MARK) => Some(Action::SetMark(u32::from_be_bytes(mark))),
                _ => None,
            })
        }
        REG_LOAD2 => {
            action.take(6)?;
            Ok(take_set(&mut action))
        }
        _ => Ok(None),
    }
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
