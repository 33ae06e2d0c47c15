//! Writing a table, on the host.

use crate::format::{
    AT_ADDRESS, AT_GLOBAL, AT_KIND, AT_LOCAL_ENTRY, AT_NAME_END, AT_SIZE, Entry, HEADER, Hasher,
    IndexEntry, MAGIC, VERSION,
};
use crate::{Kind, Symbol};
use alloc::string::String;
use alloc::vec::Vec;

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

/// Sorts `symbols` into the table's order and writes the table, without an index:
/// looking up a path then looks at every symbol.
///
/// # Panics
/// If the names together, or the symbols in number, exceed 32 bits: more than
/// any kernel could hold.
#[must_use]
pub fn encode(symbols: &mut [impl AsSymbol]) -> Vec<u8> {
    write(symbols, false)
}

/// Like [`encode`], with an index of paths and linker names. It costs a demangling
/// of every name now, and spares it whoever looks up a path.
///
/// # Panics
/// As [`encode`] does.
#[must_use]
pub fn encode_indexed(symbols: &mut [impl AsSymbol]) -> Vec<u8> {
    write(symbols, true)
}

fn write(symbols: &mut [impl AsSymbol], indexed: bool) -> Vec<u8> {
    symbols.sort_unstable_by(|a, b| a.as_symbol().table_order(&b.as_symbol()));
    let symbols: Vec<Symbol<'_>> = symbols.iter().map(AsSymbol::as_symbol).collect();
    let index = if indexed { index(&symbols) } else { Vec::new() };
    let names: usize = symbols.iter().map(|symbol| symbol.name.len()).sum();
    let sizes = (
        symbols.len() * size_of::<Entry>(),
        index.len() * size_of::<IndexEntry>(),
    );
    let mut table = Vec::with_capacity(HEADER + sizes.0 + sizes.1 + names);
    table.extend_from_slice(&MAGIC);
    table.extend_from_slice(&VERSION.to_le_bytes());
    for count in [symbols.len(), names, index.len()] {
        table.extend_from_slice(&number(count));
    }
    let mut name_end = 0;
    let mut entries: Vec<Entry> = Vec::with_capacity(symbols.len());
    for symbol in symbols.iter() {
        name_end += symbol.name.len();
        let mut entry: Entry = [0; _];
        entry[AT_ADDRESS..AT_SIZE].copy_from_slice(&symbol.address.to_le_bytes());
        entry[AT_SIZE..AT_NAME_END].copy_from_slice(&symbol.size.to_le_bytes());
        entry[AT_NAME_END..AT_KIND].copy_from_slice(&number(name_end));
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
    for symbol in symbols.iter() {
        table.extend_from_slice(symbol.name.as_bytes());
    }
    table
}

/// The hashes of all paths and linker names, sorted, each with its symbol.
fn index(symbols: &[Symbol<'_>]) -> Vec<(u32, u32)> {
    let mut index: Vec<(u32, u32)> = (0..)
        .zip(symbols)
        .flat_map(|(place, symbol)| {
            let names = [
                Hasher::of(symbol.as_symbol().path()),
                Hasher::of(symbol.name),
            ];
            names.map(|hash| (hash, place))
        })
        .collect();
    index.sort_unstable();
    index.dedup();
    index
}

#[inline]
fn number(n: usize) -> [u8; 4] {
    u32::try_from(n)
        .expect("symbol table beyond 32 bits")
        .to_le_bytes()
}
