//! A byte stream cut into JSON messages.
//!
//! OVSDB puts nothing between messages, not even a newline, so their ends are found by counting brackets outside of
//! strings. Every byte is looked at once, however the stream is split.

use super::error::shorten;

/// Buffers grown by one large message are given back above this size.
const KEPT_CAPACITY: usize = 1 << 20;

/// Cuts a stream into messages.
#[derive(Debug)]
pub struct Framer {
    buffer: Vec<u8>,
    /// Where the current message starts.
    start: usize,
    /// The first byte not yet looked at.
    scanned: usize,
    depth: usize,
    state: State,
    limit: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Plain,
    InString,
    Escaped,
}

/// A stream that cannot be OVSDB's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FramingError {
    /// A message does not start with a brace.
    #[error(
        "the peer does not speak OVSDB: it sent {0:?} (is this an ssl: port asked by tcp:, or another service?)"
    )]
    NotJson(String),
    /// A message is larger than we are ready to hold.
    #[error("a message exceeds {limit} bytes; raise the limit if the database is really that large")]
    TooLarge {
        /// The limit.
        limit: usize,
    },
}

impl Framer {
    /// Takes messages of up to `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self { buffer: Vec::new(), start: 0, scanned: 0, depth: 0, state: State::Plain, limit }
    }

    /// Adds what was received.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.start == self.buffer.len() {
            self.forget_read();
        } else if self.start > self.buffer.len() / 2 {
            self.buffer.drain(..self.start);
            self.scanned -= self.start;
            self.start = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    fn forget_read(&mut self) {
        self.buffer.clear();
        if self.buffer.capacity() > KEPT_CAPACITY {
            self.buffer.shrink_to(KEPT_CAPACITY);
        }
        (self.start, self.scanned) = (0, 0);
    }

    /// The next whole message, or none until more is pushed.
    pub fn next_message(&mut self) -> Result<Option<&[u8]>, FramingError> {
        if self.depth == 0 {
            self.start +=
                self.buffer[self.start..].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
            self.scanned = self.scanned.max(self.start);
            match self.buffer.get(self.start) {
                None => return Ok(None),
                Some(b'{') => {}
                Some(_) => return Err(FramingError::NotJson(self.quote())),
            }
        }
        match self.scan() {
            Some(end) => {
                let message = self.start..end;
                self.start = end;
                self.check_size(message.len())?;
                Ok(Some(&self.buffer[message]))
            }
            None => self.check_size(self.buffer.len() - self.start).map(|()| None),
        }
    }

    /// The next whole message as its own. A large one usually fills the buffer, and is not copied.
    pub fn take_message(&mut self) -> Result<Option<Vec<u8>>, FramingError> {
        let Some(length) = self.next_message()?.map(<[u8]>::len) else { return Ok(None) };
        if length == self.buffer.len() {
            (self.start, self.scanned) = (0, 0);
            return Ok(Some(std::mem::take(&mut self.buffer)));
        }
        Ok(Some(self.buffer[self.start - length..self.start].to_vec()))
    }

    /// Whether a message has begun and is not whole yet.
    pub fn is_within_message(&self) -> bool {
        self.depth > 0
    }

    /// Looks at new bytes only; the end of the current message, if they hold it.
    fn scan(&mut self) -> Option<usize> {
        let (mut depth, mut state) = (self.depth, self.state);
        let mut end = None;
        for (offset, byte) in self.buffer[self.scanned..].iter().enumerate() {
            match (state, byte) {
                (State::Escaped, _) => state = State::InString,
                (State::InString, b'\\') => state = State::Escaped,
                (State::InString, b'"') => state = State::Plain,
                (State::Plain, b'"') => state = State::InString,
                (State::Plain, b'{' | b'[') => depth += 1,
                (State::Plain, b'}' | b']') => {
                    depth -= 1;
                    if depth == 0 {
                        end = Some(self.scanned + offset + 1);
                        break;
                    }
                }
                (State::InString | State::Plain, _) => {}
            }
        }
        (self.depth, self.state) = (depth, state);
        self.scanned = end.unwrap_or(self.buffer.len());
        end
    }

    fn check_size(&self, size: usize) -> Result<(), FramingError> {
        if size > self.limit { Err(FramingError::TooLarge { limit: self.limit }) } else { Ok(()) }
    }

    fn quote(&self) -> String {
        let end = self.buffer.len().min(self.start + 64);
        shorten(&String::from_utf8_lossy(&self.buffer[self.start..end]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(framer: &mut Framer, bytes: &[u8]) -> Vec<String> {
        framer.push(bytes);
        let mut found = Vec::new();
        while let Some(message) = framer.take_message().unwrap() {
            found.push(String::from_utf8(message).unwrap());
        }
        found
    }

    const STREAM: &str = r#"{"a":"}{]["}{"b":"q\"}\\"} {"c":[{"d":[]},"\\\""]}"#;
    const MESSAGES: [&str; 3] = [r#"{"a":"}{]["}"#, r#"{"b":"q\"}\\"}"#, r#"{"c":[{"d":[]},"\\\""]}"#];

    #[test]
    fn messages_without_anything_between_them_come_apart() {
        assert_eq!(frames(&mut Framer::new(1000), STREAM.as_bytes()), MESSAGES);
    }

    #[test]
    fn any_two_splits_of_the_stream_give_the_same_messages() {
        for first in 0..=STREAM.len() {
            for second in first..=STREAM.len() {
                let mut framer = Framer::new(1000);
                let mut found = frames(&mut framer, &STREAM.as_bytes()[..first]);
                found.extend(frames(&mut framer, &STREAM.as_bytes()[first..second]));
                found.extend(frames(&mut framer, &STREAM.as_bytes()[second..]));
                assert_eq!(found, MESSAGES, "split at {first} and {second}");
            }
        }
    }

    #[test]
    fn every_byte_is_looked_at_once_however_small_the_pieces() {
        let mut framer = Framer::new(1 << 20);
        let message = format!("{{\"k\":\"{}\"}}", "x".repeat(100_000));
        for byte in message.as_bytes() {
            let before = framer.scanned;
            let found = frames(&mut framer, std::slice::from_ref(byte));
            assert!(framer.scanned <= before + 1);
            assert_eq!(found.len(), usize::from(before + 1 == message.len()));
        }
        assert_eq!(framer.scanned, 0, "the buffer was given away");
    }

    #[test]
    fn what_is_not_json_is_refused_with_its_beginning() {
        let mut framer = Framer::new(1000);
        framer.push(b"\x15\x03\x01\x00\x02");
        assert!(framer.next_message().unwrap_err().to_string().contains("ssl:"));
        let mut framer = Framer::new(1000);
        framer.push(b"HTTP/1.1 400 Bad Request");
        assert!(framer.next_message().unwrap_err().to_string().contains("HTTP/1.1"));
    }

    #[test]
    fn a_message_over_the_limit_is_refused_before_it_is_whole() {
        let mut framer = Framer::new(10);
        framer.push(b"{\"a\":\"0123456789");
        assert_eq!(framer.next_message(), Err(FramingError::TooLarge { limit: 10 }));
    }

    #[test]
    fn memory_of_a_large_message_is_given_back() {
        let mut framer = Framer::new(1 << 26);
        let large = format!("{{\"k\":\"{}\"}}", "x".repeat(8 << 20));
        assert_eq!(frames(&mut framer, large.as_bytes()).len(), 1);
        assert_eq!(frames(&mut framer, b"{}"), ["{}"]);
        assert!(framer.buffer.capacity() <= KEPT_CAPACITY);
    }
}
