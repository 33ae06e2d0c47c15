//! Checking a table once, so that no later use has to check it again.

use crate::format::{
    AT_COUNT, AT_GLOBAL, AT_INDEX, AT_KIND, AT_NAME_END, AT_NAMES, AT_SIZE, AT_VERSION, AT_ZERO,
    Entry, HEADER, IndexEntry, MAGIC, VERSION, index_parts, u32_at, u64_at,
};
use crate::{Symbol, Table};
use core::{error, fmt};

/// Why bytes are not a symbol table.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ParseError {
    /// Nothing but zeros: the linker reserved the room, and it was never filled.
    NotFilled,
    /// The bytes end before the table does.
    TooShort {
        /// How many bytes the table has.
        needed: u64,
        /// How many bytes there are.
        found: usize,
    },
    /// The table does not start as one.
    BadMagic([u8; 8]),
    /// The table is of another version.
    BadVersion(u32),
    /// The byte at this offset has a value that means nothing.
    BadByte {
        /// Where, counted from the start of the table.
        offset: usize,
        /// What was found.
        found: u8,
    },
    /// The names are not UTF-8, from this offset on.
    NotUtf8 {
        /// Where, counted from the start of the table.
        offset: usize,
    },
    /// The name of this symbol ends before it starts, behind the last name, or
    /// in the middle of a character.
    BadName {
        /// The symbol's position.
        index: usize,
    },
    /// This entry of the index is out of order, or names no symbol.
    BadIndex {
        /// The entry's position.
        index: usize,
    },
    /// This symbol should stand before the one that it follows.
    NotSorted {
        /// The symbol's position.
        index: usize,
    },
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("symbol table: ")?;
        match self {
            Self::NotFilled => f.write_str("all zero, so no table was ever put here"),
            Self::TooShort { needed, found } => {
                write!(f, "{needed} bytes needed, {found} found")
            }
            Self::BadMagic(found) => write!(
                f,
                "starts with `{}`, expected `{}`",
                found.escape_ascii(),
                MAGIC.escape_ascii()
            ),
            Self::BadVersion(found) => write!(f, "version {found}, expected {VERSION}"),
            Self::BadByte { offset, found } => {
                write!(f, "unexpected byte {found:#04x} at offset {offset:#x}")
            }
            Self::NotUtf8 { offset } => write!(f, "name not in utf-8 at offset {offset:#x}"),
            Self::BadName { index } => write!(f, "name of symbol {index} out of bounds"),
            Self::BadIndex { index } => write!(f, "entry {index} of the index is wrong"),
            Self::NotSorted { index } => write!(f, "symbol {index} is out of order"),
        }
    }
}

impl error::Error for ParseError {}

impl<'a> Table<'a> {
    /// Checks that `blob` is a symbol table, with any number of zeros behind
    /// it, and wraps it.
    ///
    /// # Errors
    /// The first thing in it that is not as it should be.
    pub fn parse(blob: &'a [u8]) -> Result<Self, ParseError> {
        let table = Self::outline(blob)?;
        table.check_entries()?;
        table.check_index()?;
        Ok(table)
    }

    /// Wraps what `encode` has just written, without looking at every symbol. With
    /// other bytes, looking something up may panic.
    ///
    /// # Errors
    /// What can be told from the header.
    pub fn just_encoded(blob: &'a [u8]) -> Result<Self, ParseError> {
        Self::outline(blob)
    }

    fn outline(blob: &'a [u8]) -> Result<Self, ParseError> {
        if blob.iter().all(|byte| *byte == 0) {
            return Err(ParseError::NotFilled);
        }
        let too_short = |needed| ParseError::TooShort {
            needed,
            found: blob.len(),
        };
        let Some((header, rest)) = blob.split_first_chunk::<HEADER>() else {
            return Err(too_short(HEADER as u64));
        };
        let magic = core::array::from_fn(|i| header[i]);
        if magic != MAGIC {
            return Err(ParseError::BadMagic(magic));
        }
        let version = u32_at(header, AT_VERSION);
        if version != VERSION {
            return Err(ParseError::BadVersion(version));
        }

        // Four numbers of 32 bits can't overflow 64.
        let entries_size = u64::from(u32_at(header, AT_COUNT)) * size_of::<Entry>() as u64;
        let names_size = u64::from(u32_at(header, AT_NAMES));
        let index_size = u64::from(u32_at(header, AT_INDEX)) * size_of::<IndexEntry>() as u64;
        let needed = HEADER as u64 + entries_size + index_size + names_size;
        if needed > blob.len() as u64 {
            return Err(too_short(needed));
        }
        // All fits into `blob`, hence into usize.
        let (entries, rest) = rest.split_at(entries_size as usize);
        let (index, rest) = rest.split_at(index_size as usize);
        let (names, _) = rest.split_at(names_size as usize);
        let names_at = HEADER + entries.len() + index.len();
        expect_zeros(blob, names_at + names.len(), blob.len())?;

        let mut table = Self {
            entries: entries.as_chunks().0,
            index: index.as_chunks().0,
            names: str::from_utf8(names).map_err(|error| ParseError::NotUtf8 {
                offset: names_at + error.valid_up_to(),
            })?,
            longest: 0,
        };
        let sizes = table.entries.iter().map(|entry| u64_at(entry, AT_SIZE));
        table.longest = sizes.max().unwrap_or(0);
        Ok(table)
    }

    /// Checks that the index is in order and names symbols that there are. That
    /// it names all of them is the encoder's word.
    fn check_index(&self) -> Result<(), ParseError> {
        let parts = |at: usize| self.index.get(at).map(index_parts);
        for index in 0..self.index.len() {
            let (Some(this), next) = (parts(index), parts(index + 1)) else {
                continue;
            };
            let known = (this.1 as usize) < self.entries.len();
            if !known || next.is_some_and(|next| this >= next) {
                return Err(ParseError::BadIndex { index });
            }
        }
        Ok(())
    }

    fn check_entries(&self) -> Result<(), ParseError> {
        let mut before: Option<Symbol<'a>> = None;
        let mut name_start = 0;
        for (index, entry) in self.entries.iter().enumerate() {
            for (at, limit) in [(AT_KIND, 1), (AT_GLOBAL, 1), (AT_ZERO, 0)] {
                if entry[at] > limit {
                    return Err(ParseError::BadByte {
                        offset: HEADER + index * size_of::<Entry>() + at,
                        found: entry[at],
                    });
                }
            }
            let name_end = u32_at(entry, AT_NAME_END) as usize;
            if self.names.get(name_start..name_end).is_none() {
                return Err(ParseError::BadName { index });
            }
            name_start = name_end;
            let symbol = self.symbol(index);
            if before.is_some_and(|before| before.table_order(&symbol).is_gt()) {
                return Err(ParseError::NotSorted { index });
            }
            before = Some(symbol);
        }
        Ok(())
    }
}

/// Checks that the bytes from `start` to `end` are all zero.
fn expect_zeros(blob: &[u8], start: usize, end: usize) -> Result<(), ParseError> {
    match blob[start..end].iter().position(|byte| *byte != 0) {
        None => Ok(()),
        Some(at) => Err(ParseError::BadByte {
            offset: start + at,
            found: blob[start + at],
        }),
    }
}
