//! Writing a table.

use crate::format::{
    AT_ADDRESS, AT_GLOBAL, AT_KIND, AT_LOCAL_ENTRY, AT_NAME_END, AT_SIZE, Entry, HEADER, Hasher,
    IndexEntry, MAGIC, VERSION,
};
use crate::{Kind, Symbol};
use alloc::string::String;
use alloc::vec::Vec;
use core::{error, fmt};

/// A symbol to be written that owns its name; see [`Symbol`] for what the fields
/// mean.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SymbolSpec {
    /// The name as the linker knows it.
    pub name: String,
    /// The address; of a function, its global entry point.
    pub address: u64,
    /// The size in bytes, or 0.
    pub size: u64,
    /// Code or data.
    pub kind: Kind,
    /// Bytes from the global to the local entry point.
    pub local_entry: u8,
    /// Whether the name was visible to other object files.
    pub global: bool,
}

/// What can be written to a table.
pub trait AsSymbol {
    /// The symbol that the reader will see.
    fn as_symbol(&self) -> Symbol<'_>;
}

impl AsSymbol for Symbol<'_> {
    fn as_symbol(&self) -> Symbol<'_> {
        *self
    }
}

impl AsSymbol for SymbolSpec {
    fn as_symbol(&self) -> Symbol<'_> {
        Symbol {
            name: &self.name,
            address: self.address,
            size: self.size,
            kind: self.kind,
            local_entry: self.local_entry,
            global: self.global,
        }
    }
}

/// Why no table was written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum EncodeError {
    /// There is no memory for so many bytes.
    NoMemory {
        /// How many.
        bytes: usize,
    },
    /// More symbols, or longer names together, than the table's 32 bits can count.
    TooLarge {
        /// How many there are.
        found: usize,
    },
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("symbol table: ")?;
        match self {
            Self::NoMemory { bytes } => write!(f, "no memory for {bytes} bytes"),
            Self::TooLarge { found } => write!(f, "{found} is beyond 32 bits"),
        }
    }
}

impl error::Error for EncodeError {}

/// Sorts `symbols` into the table's order and writes the table, without an index:
/// looking up a path then looks at every symbol.
///
/// # Errors
/// [`EncodeError`].
pub fn encode(symbols: &mut [impl AsSymbol]) -> Result<Vec<u8>, EncodeError> {
    write(symbols, false)
}

/// Like [`encode`], with an index of paths and linker names. It demangles every name
/// now, so that a lookup of a path need not.
///
/// # Errors
/// [`EncodeError`].
pub fn encode_indexed(symbols: &mut [impl AsSymbol]) -> Result<Vec<u8>, EncodeError> {
    write(symbols, true)
}

fn write(symbols: &mut [impl AsSymbol], indexed: bool) -> Result<Vec<u8>, EncodeError> {
    symbols.sort_unstable_by(|a, b| a.as_symbol().table_order(&b.as_symbol()));
    let symbols = &*symbols;
    let all = || symbols.iter().map(AsSymbol::as_symbol);
    let names = all().map(|symbol| symbol.name.len()).sum();
    let (count, names_count) = (number(symbols.len())?, number(names)?);
    let index = if indexed { index(all())? } else { Vec::new() };
    let sizes = (
        symbols.len() * size_of::<Entry>(),
        index.len() * size_of::<IndexEntry>(),
    );
    let mut table = with_capacity(HEADER + sizes.0 + sizes.1 + names)?;
    table.extend_from_slice(&MAGIC);
    table.extend_from_slice(&VERSION.to_le_bytes());
    for number in [count, names_count, number(index.len())?] {
        table.extend_from_slice(&number);
    }
    let mut name_end: u32 = 0;
    let mut entries: Vec<Entry> = with_capacity(symbols.len())?;
    for symbol in all() {
        // All names together fit, as `number` has found.
        name_end += symbol.name.len() as u32;
        let mut entry: Entry = [0; _];
        entry[AT_ADDRESS..AT_SIZE].copy_from_slice(&symbol.address.to_le_bytes());
        entry[AT_SIZE..AT_NAME_END].copy_from_slice(&symbol.size.to_le_bytes());
        entry[AT_NAME_END..AT_KIND].copy_from_slice(&name_end.to_le_bytes());
        entry[AT_KIND] = match symbol.kind {
            Kind::Function => 0,
            Kind::Object => 1,
        };
        entry[AT_GLOBAL] = u8::from(symbol.global);
        entry[AT_LOCAL_ENTRY] = symbol.local_entry;
        entries.push(entry);
    }
    table.extend_from_slice(entries.as_flattened());
    for (hash, symbol) in index {
        table.extend_from_slice(&hash.to_le_bytes());
        table.extend_from_slice(&symbol.to_le_bytes());
    }
    for symbol in all() {
        table.extend_from_slice(symbol.name.as_bytes());
    }
    Ok(table)
}

/// The hashes of all paths and linker names, sorted, each with its symbol.
fn index<'a>(
    symbols: impl ExactSizeIterator<Item = Symbol<'a>>,
) -> Result<Vec<(u32, u32)>, EncodeError> {
    let mut index = with_capacity(2 * symbols.len())?;
    for (place, symbol) in (0..).zip(symbols) {
        index.push((Hasher::of(symbol.path()), place));
        index.push((Hasher::of(symbol.name), place));
    }
    index.sort_unstable();
    index.dedup();
    Ok(index)
}

/// A list that is empty and has room for `count` elements.
fn with_capacity<T>(count: usize) -> Result<Vec<T>, EncodeError> {
    let bytes = count.saturating_mul(size_of::<T>());
    let mut list = Vec::new();
    list.try_reserve_exact(count)
        .map_err(|_| EncodeError::NoMemory { bytes })?;
    Ok(list)
}

#[inline]
fn number(found: usize) -> Result<[u8; 4], EncodeError> {
    let number = u32::try_from(found).map_err(|_| EncodeError::TooLarge { found })?;
    Ok(number.to_le_bytes())
}
