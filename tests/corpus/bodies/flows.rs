//! OpenFlow: the stream cut into messages, and each message read.

use ovn_vip::flows::Version;
use ovn_vip::flows::wire::{BadFrame, Body, FlowMod, Found, Framer, Message, Request, decode_answer, encode};

use super::pieces;

/// `ofp_header` (OpenFlow 1.4 §7.1.1).
const HEADER: usize = 8;

/// Two lengths of pieces, then the stream. However it is split, the messages are the same; what a switch tells can be
/// said back to it.
pub fn openflow(data: &[u8]) {
    let Some((&[first, second], stream)) = data.split_first_chunk() else { return };
    let (messages, error) = cut(&[stream]);
    assert_eq!(
        (&messages, error),
        (&cut(&pieces(first, second, stream)).0, cut(&pieces(second, first, stream)).1)
    );
    assert!(stream.starts_with(&messages.concat()));
    for message in &messages {
        let length = usize::from(u16::from_be_bytes([message[2], message[3]]));
        assert!(length >= HEADER && length == message.len());
        read(message);
    }
}

fn cut(pieces: &[&[u8]]) -> (Vec<Vec<u8>>, Option<BadFrame>) {
    let (mut framer, mut messages) = (Framer::default(), Vec::new());
    for piece in pieces {
        framer.push(piece);
        loop {
            match framer.next_message() {
                Ok(Some(message)) => messages.push(message.to_vec()),
                Ok(None) => break,
                Err(error) => return (messages, Some(error)),
            }
        }
    }
    (messages, None)
}

fn read(bytes: &[u8]) {
    // The same message as the integration bridge's answer: it may be none, and does no harm.
    let _ = decode_answer(bytes);
    let Ok(Message { version, xid, body }) = Message::decode(bytes) else { return };
    assert_eq!((version, xid.to_be_bytes()), (bytes[0], [bytes[4], bytes[5], bytes[6], bytes[7]]));
    match body {
        Body::EchoRequest(payload) => {
            let reply = said(&Request::EchoReply(&payload));
            assert_eq!(reply[HEADER..], bytes[HEADER..]);
        }
        Body::Hello(versions) => assert!(versions.len() <= 255),
        Body::Error(error) => drop(error.to_string()),
        Body::Flows { found, more: _ } => found.into_iter().for_each(delete),
        Body::Features { datapath: _ }
        | Body::BundleReply(_)
        | Body::BarrierReply
        | Body::Changes(_)
        | Body::EchoReply
        | Body::Other(_) => {}
    }
}

/// A flow of a switch's is deleted by the match that it came with.
fn delete(found: Found) {
    let Found { table, priority, cookie: _, matches, actions: _ } = found;
    let delete = FlowMod::Delete { table, priority, matches };
    assert!(!delete.to_string().is_empty());
    let message = said(&Request::FlowMod(&delete));
    assert_eq!(message.len() % 8, 0);
    let other = Message::decode(&message).unwrap().body;
    assert_eq!(other, Body::Other(message[1]), "a flow mod is nothing that a switch says");
}

/// A message of ours: its length field is right.
fn said(request: &Request<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    encode(Version::V14, 7, request, &mut out);
    let (messages, error) = cut(&[&out]);
    assert_eq!((messages, error), (vec![out.clone()], None));
    out
}
