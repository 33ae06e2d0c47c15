//! From addresses to symbols and from names to symbols.

use crate::format::{
    AT_ADDRESS, AT_GLOBAL, AT_KIND, AT_LOCAL_ENTRY, AT_NAME_END, AT_SIZE, Hasher, index_parts,
    u32_at, u64_at,
};
use crate::{Kind, Symbol, Table};
use core::{error, fmt};

impl<'a> Table<'a> {
    /// The number of symbols.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no symbol in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// All symbols by ascending address. Of several at one address come first
    /// those that have a size, then functions, then global ones; the rest is
    /// ordered by name.
    pub fn iter(&self) -> impl Iterator<Item = Symbol<'a>> + use<'a> {
        let table = *self;
        (0..table.len()).map(move |index| table.symbol(index))
    }

    /// The symbol that `address` belongs to, and how many bytes behind the
    /// symbol's start it is. If there are several it is the one that starts
    /// last, and of several that start there, the first in [`Self::iter`]'s
    /// order.
    #[must_use]
    pub fn at(&self, address: u64) -> Option<(Symbol<'a>, u64)> {
        let above = self
            .entries
            .partition_point(|entry| u64_at(entry, AT_ADDRESS) <= address);
        let mut best: Option<Symbol<'a>> = None;
        // Usually the nearest symbol is the one. But there may be a label in
        // a function, and the rest of that function lies behind both.
        for symbol in (0..above).rev().map(|index| self.symbol(index)) {
            let out_of_reach = address - symbol.address > self.longest;
            if out_of_reach || best.is_some_and(|best| best.address != symbol.address) {
                break;
            }
            if symbol.contains(address) {
                best = Some(symbol);
            }
        }
        best.map(|symbol| (symbol, address - symbol.address))
    }

    /// All symbols that start at an address, in [`Self::iter`]'s order.
    pub fn starting_at(&self, address: u64) -> impl Iterator<Item = Symbol<'a>> + use<'a> {
        let table = *self;
        let first = self
            .entries
            .partition_point(|entry| u64_at(entry, AT_ADDRESS) < address);
        (first..self.len())
            .map(move |index| table.symbol(index))
            .take_while(move |symbol| symbol.address == address)
    }

    /// All symbols that have this path or linker name, in [`Self::iter`]'s
    /// order. Without an index, looks at every symbol.
    pub fn candidates<'p>(&self, path: &'p str) -> impl Iterator<Item = Symbol<'a>> + use<'a, 'p> {
        let table = *self;
        let hash = Hasher::of(path);
        let first = self
            .index
            .partition_point(|entry| index_parts(entry).0 < hash);
        let indexed = self.index[first..]
            .iter()
            .map(index_parts)
            .take_while(move |entry| entry.0 == hash)
            .map(move |(_, symbol)| table.symbol(symbol as usize));
        // One of the two yields nothing.
        let all = if self.index.is_empty() { self.len() } else { 0 };
        let every = (0..all).map(move |index| table.symbol(index));
        indexed
            .chain(every)
            .filter(move |symbol| symbol.is_called(path))
    }

    /// The symbol that has this path or linker name. Several names for one
    /// address are as good as one; it is the first of them in
    /// [`Self::iter`]'s order.
    ///
    /// # Errors
    /// If there is none, or if there are several at different addresses.
    pub fn find<'p>(&self, path: &'p str) -> Result<Symbol<'a>, LookupError<'p>>
    where
        'a: 'p,
    {
        let mut candidates = self.candidates(path);
        let first = candidates.next().ok_or(LookupError::Unknown { path })?;
        if candidates.all(|other| other.address == first.address) {
            Ok(first)
        } else {
            Err(LookupError::Ambiguous { path, table: *self })
        }
    }

    /// The symbol at a position below `len()`. [`Table::parse`] has checked
    /// what this relies upon.
    pub(crate) fn symbol(&self, index: usize) -> Symbol<'a> {
        let entry = &self.entries[index];
        let name_end = |index: usize| u32_at(&self.entries[index], AT_NAME_END) as usize;
        let name_start = index.checked_sub(1).map_or(0, name_end);
        Symbol {
            name: &self.names[name_start..name_end(index)],
            address: u64_at(entry, AT_ADDRESS),
            size: u64_at(entry, AT_SIZE),
            kind: match entry[AT_KIND] {
                0 => Kind::Function,
                _ => Kind::Object,
            },
            local_entry: entry[AT_LOCAL_ENTRY],
            global: entry[AT_GLOBAL] != 0,
        }
    }
}

impl fmt::Debug for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Table of {} symbols", self.len())
    }
}

/// Why a name does not lead to one symbol.
#[derive(Clone, Copy, Debug)]
pub enum LookupError<'a> {
    /// Nothing is called that.
    Unknown {
        /// What was looked for.
        path: &'a str,
    },
    /// Several things are. The message lists them with what tells them apart.
    Ambiguous {
        /// What was looked for.
        path: &'a str,
        /// Where: its [`Table::candidates`] are the things.
        table: Table<'a>,
    },
}

impl fmt::Display for LookupError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { path } => write!(f, "no symbol `{}`", path.escape_debug()),
            Self::Ambiguous { path, table } => {
                write!(f, "ambiguous symbol `{}`:", path.escape_debug())?;
                for (index, symbol) in table.candidates(path).enumerate() {
                    let before = if index == 0 { "" } else { "," };
                    write!(f, "{before} {:#x} {}", symbol.address, symbol.path())?;
                    if !symbol.has_path(symbol.name) {
                        write!(f, " ({})", symbol.name)?;
                    }
                }
                Ok(())
            }
        }
    }
}

impl error::Error for LookupError<'_> {}
