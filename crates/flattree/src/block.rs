//! A slice that is filled from its start.

use crate::{Block, Error};

pub struct Buffer<'a> {
    block: Block,
    bytes: &'a mut [u8],
    used: usize,
}

impl<'a> Buffer<'a> {
    pub fn new(block: Block, bytes: &'a mut [u8]) -> Self {
        Self {
            block,
            bytes,
            used: 0,
        }
    }

    pub fn len(&self) -> usize {
        self.used
    }

    pub fn written(&self) -> &[u8] {
        &self.bytes[..self.used]
    }

    pub fn into_written(self) -> &'a mut [u8] {
        &mut self.bytes[..self.used]
    }

    /// A length or an offset as the blob stores it, in 32 bits. What does not
    /// fit can't have the space it needs either.
    pub fn number(&self, number: usize) -> Result<[u8; 4], Error> {
        match u32::try_from(number) {
            Ok(number) => Ok(number.to_be_bytes()),
            Err(_) => Err(self.no_space(number)),
        }
    }

    /// Appends the parts one behind the other, and zeros up to a multiple of 4.
    pub fn push(&mut self, parts: &[&[u8]]) -> Result<(), Error> {
        self.push_space(parts, 0).map(|_| ())
    }

    /// Like `push`, with `len` zeros behind the parts, which it returns.
    pub fn push_space(&mut self, parts: &[&[u8]], len: usize) -> Result<&mut [u8], Error> {
        let head: usize = parts.iter().map(|part| part.len()).sum();
        let padded = head
            .checked_add(len)
            .and_then(|sum| sum.checked_next_multiple_of(4))
            .ok_or(self.no_space(len))?;
        let mut rest = self.grow(padded)?;
        for part in parts {
            let place;
            (place, rest) = rest.split_at_mut(part.len());
            place.copy_from_slice(part);
        }
        rest.fill(0);
        Ok(&mut rest[..len])
    }

    pub fn push_unpadded(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.grow(bytes.len())?.copy_from_slice(bytes);
        Ok(())
    }

    /// Appends a string that holds no NUL, and a NUL.
    pub fn push_string(&mut self, string: &str) -> Result<(), Error> {
        let place = self.grow(string.len() + 1)?;
        let (text, nul) = place.split_at_mut(string.len());
        text.copy_from_slice(string.as_bytes());
        nul.fill(0);
        Ok(())
    }

    /// Where `string`, and a NUL behind it, stands already, be it as the end
    /// of a longer string.
    pub fn find_string(&self, string: &str) -> Option<usize> {
        self.written()
            .windows(string.len() + 1)
            .position(|window| window.strip_prefix(string.as_bytes()) == Some(&[0]))
    }

    fn grow(&mut self, by: usize) -> Result<&mut [u8], Error> {
        let start = self.used;
        let end = start.checked_add(by).ok_or(self.no_space(by))?;
        if end > self.bytes.len() {
            return Err(self.no_space(by));
        }
        self.used = end;
        Ok(&mut self.bytes[start..end])
    }

    fn no_space(&self, more: usize) -> Error {
        Error::NoSpace {
            block: self.block,
            needed: self.used.saturating_add(more),
            available: self.bytes.len(),
        }
    }
}
