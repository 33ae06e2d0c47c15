//! Writing a table, on the host.

use crate::format::{MAGIC, VERSION};
use crate::{Kind, Symbol};
use alloc::string::String;
use alloc::vec::Vec;

/// A symbol to be written; see [`Symbol`] for what the fields mean.
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

impl SymbolSpec {
    /// The symbol that the reader will see.
    #[must_use]
    pub fn as_symbol(&self) -> Symbol<'_> {
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

/// Sorts `symbols` into the table's order and writes the table.
///
/// # Panics
/// If the names together, or the symbols in number, exceed 32 bits: more than
/// any kernel could hold.
#[must_use]
pub fn encode(symbols: &mut [SymbolSpec]) -> Vec<u8> {
    symbols.sort_by(|a, b| a.as_symbol().table_order(&b.as_symbol()));
    let mut names = String::new();
    let mut entries = Vec::new();
    for symbol in symbols.iter() {
        names.push_str(&symbol.name);
        entries.extend(symbol.address.to_le_bytes());
        entries.extend(symbol.size.to_le_bytes());
        entries.extend(number(names.len()));
        entries.push(match symbol.kind {
            Kind::Function => 0,
            Kind::Object => 1,
        });
        entries.extend([u8::from(symbol.global), symbol.local_entry, 0]);
    }
    let mut table = Vec::from(MAGIC);
    table.extend(VERSION.to_le_bytes());
    table.extend(number(symbols.len()));
    table.extend(number(names.len()));
    table.extend(number(0));
    table.extend(entries);
    table.extend(names.into_bytes());
    table
}

fn number(n: usize) -> [u8; 4] {
    u32::try_from(n)
        .expect("symbol table beyond 32 bits")
        .to_le_bytes()
}
