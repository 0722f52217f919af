//! Reading and writing big-endian fields, with no way to run over the end.

/// A message ends before what it promises, or contradicts itself in a length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an OpenFlow message ends too early or contradicts itself in a length")]
pub struct Truncated;

/// What is left of a message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.0
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], Truncated> {
        let (head, tail) = self.0.split_at_checked(count).ok_or(Truncated)?;
        self.0 = tail;
        Ok(head)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Truncated> {
        let (head, tail) = self.0.split_first_chunk::<N>().ok_or(Truncated)?;
        self.0 = tail;
        Ok(*head)
    }

    pub(super) fn u8(&mut self) -> Result<u8, Truncated> {
        self.array().map(u8::from_be_bytes)
    }

    pub(super) fn u16(&mut self) -> Result<u16, Truncated> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, Truncated> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, Truncated> {
        self.array().map(u64::from_be_bytes)
    }

    /// A part that carries its own length in bytes 2 and 3 (`at` = 2) or 0 and 1 (`at` = 0), `at least` this long.
    pub(super) fn part(&mut self, at: usize, at_least: usize) -> Result<Reader<'a>, Truncated> {
        let field = self.0.get(at..).and_then(|tail| tail.first_chunk()).ok_or(Truncated)?;
        let length = usize::from(u16::from_be_bytes(*field));
        if length < at_least {
            return Err(Truncated);
        }
        self.take(length).map(Reader)
    }
}

/// Appends zeros until what was written since `start` is a multiple of 8 long.
pub(super) fn pad_to_8(out: &mut Vec<u8>, start: usize) {
    let length = out.len() - start;
    out.resize(start + length.next_multiple_of(8), 0);
}

/// Puts the length of everything since `start` into the two bytes at `start + at`. What we write is far below 64 KiB.
pub(super) fn set_length(out: &mut [u8], start: usize, at: usize) {
    let length = u16::try_from(out.len() - start).unwrap_or(u16::MAX);
    if let Some(field) = out.get_mut(start + at..start + at + 2) {
        field.copy_from_slice(&length.to_be_bytes());
    }
}
