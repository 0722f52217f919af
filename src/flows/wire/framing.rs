//! Cutting a stream of bytes into messages.

use super::bytes::Truncated;

/// Length of `ofp_header` (OpenFlow 1.4 §7.1.1).
pub(super) const HEADER: usize = 8;

/// The stream cannot be OpenFlow: there is no way to find the next message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a message of {0} bytes, shorter than its own header: this is not OpenFlow")]
pub struct BadFrame(pub u16);

/// Collects bytes until a message is whole. Holds at most one message and what was given last: a length field has 16
/// bits, so no peer can make it grow beyond 64 KiB.
#[derive(Debug, Default)]
pub struct Framer {
    buffer: Vec<u8>,
    start: usize,
}

impl Framer {
    /// Takes bytes in, as they came.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.start);
        self.start = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole message, header included; `None` until more bytes come. Take all of them before the next `push`.
    pub fn next_message(&mut self) -> Result<Option<&[u8]>, BadFrame> {
        let pending = self.buffer.get(self.start..).unwrap_or_default();
        let Ok(length) = length_of(pending) else { return Ok(None) };
        if usize::from(length) < HEADER {
            return Err(BadFrame(length));
        }
        let end = self.start + usize::from(length);
        let Some(message) = self.buffer.get(self.start..end) else { return Ok(None) };
        self.start = end;
        Ok(Some(message))
    }
}

fn length_of(pending: &[u8]) -> Result<u16, Truncated> {
    let field = pending.get(2..).and_then(|tail| tail.first_chunk()).ok_or(Truncated)?;
    Ok(u16::from_be_bytes(*field))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn message(body: &[u8]) -> Vec<u8> {
        let length = u16::try_from(HEADER + body.len()).unwrap().to_be_bytes();
        [&[5, 2, length[0], length[1], 0, 0, 0, 1], body].concat()
    }

    proptest! {
        #[test]
        fn however_the_bytes_are_split_the_messages_are_the_same(
            bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..6),
            cuts in prop::collection::vec(1..30usize, 1..40),
        ) {
            let messages: Vec<Vec<u8>> = bodies.iter().map(|body| message(body)).collect();
            let stream = messages.concat();
            let (mut framer, mut seen, mut rest) = (Framer::default(), Vec::new(), &stream[..]);
            for cut in cuts.iter().copied().cycle() {
                if rest.is_empty() { break; }
                let (head, tail) = rest.split_at(cut.min(rest.len()));
                framer.push(head);
                while let Some(message) = framer.next_message().unwrap() { seen.push(message.to_vec()); }
                rest = tail;
            }
            prop_assert_eq!(seen, messages);
        }
    }

    #[test]
    fn a_message_shorter_than_its_header_ends_the_stream() {
        let mut framer = Framer::default();
        framer.push(&[5, 0, 0, 7, 0, 0, 0, 0]);
        assert_eq!(framer.next_message(), Err(BadFrame(7)));
    }
}
