//! Whole messages: what we send, what we understand of what comes.

use std::collections::BTreeSet;

use super::Version;
use super::bytes::{Reader, Truncated, set_length};
use super::error::OpenFlowError;
use super::flow_mod::{FlowMod, put_flow_mod};
use super::framing::HEADER;
use super::stats::{FlowChange, Found, put_flow_request, put_monitor_request, take_changes, take_flows};
use crate::flows::flow::{COOKIE, COOKIE_MASK};

/// `ofp_type` (OpenFlow 1.4 §7.1.1).
mod kind {
    pub(super) const HELLO: u8 = 0;
    pub(super) const ERROR: u8 = 1;
    pub(super) const ECHO_REQUEST: u8 = 2;
    pub(super) const ECHO_REPLY: u8 = 3;
    pub(super) const FEATURES_REQUEST: u8 = 5;
    pub(super) const FEATURES_REPLY: u8 = 6;
    pub(super) const FLOW_MOD: u8 = 14;
    pub(super) const MULTIPART_REQUEST: u8 = 18;
    pub(super) const MULTIPART_REPLY: u8 = 19;
    pub(super) const BARRIER_REQUEST: u8 = 20;
    pub(super) const BARRIER_REPLY: u8 = 21;
    pub(super) const BUNDLE_CONTROL: u8 = 33;
    pub(super) const BUNDLE_ADD_MESSAGE: u8 = 34;
}

/// `OFPMP_FLOW` and `OFPMP_FLOW_MONITOR` (§7.3.5), `OFPMPF_REPLY_MORE`.
const MULTIPART_FLOW: u16 = 1;
const MULTIPART_FLOW_MONITOR: u16 = 16;
const REPLY_MORE: u16 = 1;
/// `OFPHET_VERSIONBITMAP` (§7.5.1).
const VERSION_BITMAP: u16 = 1;
/// `OFPBF_ATOMIC | OFPBF_ORDERED` (§7.3.9.3): all or none, in the order given.
const BUNDLE_FLAGS: u16 = 3;

/// A message of ours.
#[derive(Clone, Copy, Debug)]
pub enum Request<'a> {
    /// With every version that we speak.
    Hello,
    /// Asks nothing but an answer.
    EchoRequest,
    /// The answer, with what was asked.
    EchoReply(&'a [u8]),
    /// Who are you?
    Features,
    /// Tell when everything before is done.
    Barrier,
    /// Change a flow now.
    FlowMod(&'a FlowMod),
    /// Opens, commits or discards the bundle of this number.
    Bundle(u32, BundleStep),
    /// Change a flow when the bundle is committed.
    BundleAdd(u32, &'a FlowMod),
    /// Every flow that has our cookie.
    Flows,
    /// Every flow, whosever it is.
    AllFlows,
    /// Every change to flows, from now on.
    Monitor,
}

/// `ofp_bundle_ctrl_type` (§7.3.9.1), the requests; a reply is one more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BundleStep {
    /// `OFPBCT_OPEN_REQUEST`.
    Open = 0,
    /// `OFPBCT_COMMIT_REQUEST`.
    Commit = 4,
    /// `OFPBCT_DISCARD_REQUEST`.
    Discard = 6,
}

/// Appends a message.
pub fn encode(version: Version, xid: u32, request: &Request<'_>, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend([version.number(), kind_of(request), 0, 0]);
    out.extend(xid.to_be_bytes());
    match request {
        Request::Hello => {
            let bits = Version::ALL.iter().fold(0u32, |bits, version| bits | 1 << version.number());
            out.extend([VERSION_BITMAP.to_be_bytes(), 8u16.to_be_bytes()].as_flattened());
            out.extend(bits.to_be_bytes());
        }
        Request::EchoReply(payload) => out.extend(*payload),
        Request::EchoRequest | Request::Features | Request::Barrier => {}
        Request::FlowMod(flow_mod) => put_flow_mod(flow_mod, out),
        Request::Bundle(id, step) => {
            out.extend(id.to_be_bytes());
            out.extend([(*step as u16).to_be_bytes(), BUNDLE_FLAGS.to_be_bytes()].as_flattened());
        }
        Request::BundleAdd(id, flow_mod) => {
            out.extend(id.to_be_bytes());
            out.extend([[0; 2], BUNDLE_FLAGS.to_be_bytes()].as_flattened());
            encode(version, xid, &Request::FlowMod(flow_mod), out);
        }
        Request::Flows => {
            put_multipart(MULTIPART_FLOW, out);
            put_flow_request(COOKIE, COOKIE_MASK, out);
        }
        Request::AllFlows => {
            put_multipart(MULTIPART_FLOW, out);
            put_flow_request(0, 0, out);
        }
        Request::Monitor => {
            put_multipart(MULTIPART_FLOW_MONITOR, out);
            put_monitor_request(out);
        }
    }
    set_length(out, start, 2);
}

fn kind_of(request: &Request<'_>) -> u8 {
    match request {
        Request::Hello => kind::HELLO,
        Request::EchoRequest => kind::ECHO_REQUEST,
        Request::EchoReply(_) => kind::ECHO_REPLY,
        Request::Features => kind::FEATURES_REQUEST,
        Request::Barrier => kind::BARRIER_REQUEST,
        Request::FlowMod(_) => kind::FLOW_MOD,
        Request::Bundle(..) => kind::BUNDLE_CONTROL,
        Request::BundleAdd(..) => kind::BUNDLE_ADD_MESSAGE,
        Request::Flows | Request::AllFlows | Request::Monitor => kind::MULTIPART_REQUEST,
    }
}

fn put_multipart(kind: u16, out: &mut Vec<u8>) {
    out.extend([kind.to_be_bytes(), [0; 2], [0; 2], [0; 2]].as_flattened());
}

/// A message of the switch's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The version in its header.
    pub version: u8,
    /// Of the request that it answers.
    pub xid: u32,
    /// What it says.
    pub body: Body,
}

/// What a message of the switch's says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// It speaks these versions.
    Hello(BTreeSet<u8>),
    /// It refuses a request.
    Error(OpenFlowError),
    /// It wants this back.
    EchoRequest(Vec<u8>),
    /// It answers our echo.
    EchoReply,
    /// It says who it is.
    Features {
        /// `datapath_id`.
        datapath: u64,
    },
    /// Everything before our barrier is done.
    BarrierReply,
    /// It did this to a bundle.
    BundleReply(BundleStep),
    /// Some of the flows asked for.
    Flows {
        /// As many as fit.
        found: Vec<Found>,
        /// Another part follows.
        more: bool,
    },
    /// Changes to its flows.
    Changes(Vec<FlowChange>),
    /// Anything else, by its type.
    Other(u8),
}

impl Message {
    /// Reads one whole message, header included.
    pub fn decode(bytes: &[u8]) -> Result<Message, Truncated> {
        let mut reader = Reader::new(bytes);
        let [version, kind, _, _] = reader.array()?;
        let xid = reader.u32()?;
        let body = match kind {
            kind::HELLO => Body::Hello(take_versions(version, reader)),
            kind::ERROR => Body::Error(OpenFlowError { kind: reader.u16()?, code: reader.u16()? }),
            kind::ECHO_REQUEST => Body::EchoRequest(reader.rest().to_vec()),
            kind::ECHO_REPLY => Body::EchoReply,
            kind::FEATURES_REPLY => Body::Features { datapath: reader.u64()? },
            kind::BARRIER_REPLY => Body::BarrierReply,
            kind::BUNDLE_CONTROL => take_bundle_reply(reader)?,
            kind::MULTIPART_REPLY => take_multipart(reader)?,
            _ => Body::Other(kind),
        };
        Ok(Message { version, xid, body })
    }
}

/// The versions of a hello: its bitmap, or without one every version up to that of the header (§6.3.1).
fn take_versions(version: u8, mut reader: Reader<'_>) -> BTreeSet<u8> {
    while let Ok(mut element) = reader.part(2, 4) {
        let padding = element.rest().len().next_multiple_of(8) - element.rest().len();
        // The last element may lack its padding.
        let _ = reader.take(padding);
        if let (Ok(VERSION_BITMAP), Ok(_), Ok(bits)) = (element.u16(), element.u16(), element.u32()) {
            return (0..32).filter(|number| bits & 1 << number != 0).collect();
        }
    }
    (1..=version).collect()
}

fn take_bundle_reply(mut reader: Reader<'_>) -> Result<Body, Truncated> {
    reader.u32()?;
    Ok([BundleStep::Open, BundleStep::Commit, BundleStep::Discard]
        .into_iter()
        .zip(std::iter::repeat(reader.u16()?))
        .find(|(step, kind)| *step as u16 + 1 == *kind)
        .map_or(Body::Other(kind::BUNDLE_CONTROL), |(step, _)| Body::BundleReply(step)))
}

fn take_multipart(mut reader: Reader<'_>) -> Result<Body, Truncated> {
    let kind = reader.u16()?;
    let more = reader.u16()? & REPLY_MORE != 0;
    reader.u32()?;
    Ok(match kind {
        MULTIPART_FLOW => Body::Flows { found: take_flows(reader)?, more },
        MULTIPART_FLOW_MONITOR => Body::Changes(take_changes(reader)?),
        _ => Body::Other(kind::MULTIPART_REPLY),
    })
}

const _: () = assert!(HEADER == 8, "what `encode` writes first");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flows::Traffic;
    use crate::flows::flow::tests::{flow, vip};
    use crate::flows::wire::FoundMatch;
    use crate::model::{Protocol, VlanId};
    use proptest::prelude::*;

    fn bytes(request: &Request<'_>, xid: u32) -> Vec<u8> {
        let mut out = Vec::new();
        encode(Version::V14, xid, request, &mut out);
        out
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    proptest! {
        #[test]
        fn arbitrary_messages_do_no_harm(kind in 0..40u8, body in prop::collection::vec(any::<u8>(), 0..200)) {
            let message = [&[5, kind, 0, 0, 0, 0, 0, 1], &body[..]].concat();
            let _ = Message::decode(&message);
            for multipart in [MULTIPART_FLOW, MULTIPART_FLOW_MONITOR] {
                let head = [5, kind::MULTIPART_REPLY, 0, 0, 0, 0, 0, 1, 0, multipart as u8, 0, 0, 0, 0, 0, 0];
                let _ = Message::decode(&[&head, &body[..]].concat());
            }
        }
    }

    /// Field by field after OpenFlow 1.4 §7.3.9 and §7.3.4.1; what Open vSwitch does with it, tests/openflow.rs shows.
    #[test]
    fn a_bundle_of_an_add_and_a_strict_delete_has_these_bytes() {
        let mut flow = flow("10.180.204.252", Traffic::Port(Protocol::Tcp, 80));
        vip(&mut flow).vlan = VlanId::new(341);
        let delete =
            FlowMod::Delete { table: 0, priority: 10002, matches: FoundMatch::Known(flow.matches.clone()) };
        let fields = "80000004 00000001 80000606 0a0000000001 80000a02 0800 80000c02 1155 80001401 06 \
                      80001804 0ab4ccfc 80001c02 0050";
        let matches = format!("0001 0035 {fields} 000000");
        let instructions = "0004 0028 00000000 0019 0010 80000606 000000010001 0000 \
                            0000 0010 00000002 0000 000000000000";
        let anys = "ffffffff ffffffff ffffffff 0000 0000";
        let add =
            format!("6f766e2d76697000 0000000000000000 00 00 0000 0000 2712 {anys} {matches} {instructions}");
        let delete_body = format!("6f766e2d76697000 ffffffffffffff00 00 04 0000 0000 2712 {anys} {matches}");
        let golden = [
            (Request::Bundle(7, BundleStep::Open), "0521001000000001 00000007 0000 0003".to_owned()),
            (
                Request::BundleAdd(7, &FlowMod::Add(flow)),
                format!("052200a000000001 00000007 0000 0003 050e009000000001 {add}"),
            ),
            (
                Request::BundleAdd(7, &delete),
                format!("0522007800000001 00000007 0000 0003 050e006800000001 {delete_body}"),
            ),
            (Request::Bundle(7, BundleStep::Commit), "0521001000000001 00000007 0004 0003".to_owned()),
        ];
        for (request, wanted) in golden {
            assert_eq!(hex(&bytes(&request, 1)), wanted.replace(' ', ""), "{request:?}");
        }
    }

    #[test]
    fn a_hello_offers_both_versions_and_reads_back_so() {
        let hello = bytes(&Request::Hello, 1);
        assert_eq!(hex(&hello), "05000010000000010001000800000030");
        assert_eq!(Message::decode(&hello).unwrap().body, Body::Hello(BTreeSet::from([4, 5])));
    }

    #[test]
    fn a_hello_without_a_bitmap_speaks_everything_up_to_its_version() {
        let hello = Message::decode(&[3, 0, 0, 8, 0, 0, 0, 1]).unwrap();
        assert_eq!(hello.body, Body::Hello(BTreeSet::from([1, 2, 3])));
    }

    #[test]
    fn a_reply_to_each_step_of_a_bundle_is_known() {
        for (number, body) in [
            (1, Body::BundleReply(BundleStep::Open)),
            (5, Body::BundleReply(BundleStep::Commit)),
            (7, Body::BundleReply(BundleStep::Discard)),
            (4, Body::Other(kind::BUNDLE_CONTROL)),
        ] {
            let message = [5, kind::BUNDLE_CONTROL, 0, 16, 0, 0, 0, 1, 0, 0, 0, 7, 0, number, 0, 3];
            assert_eq!(Message::decode(&message).unwrap().body, body);
        }
    }
}
