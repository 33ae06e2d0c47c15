//! The kernel's own symbols: names and sizes of all its functions and objects.
//!
//! The table is made from the linked image and written into it afterwards (see
//! `linker.ld` and the crate `symtab`), so a kernel that did not go through that
//! step still runs, with addresses instead of names.

use core::fmt;
use symtab::{ParseError, Symbol, Table};

/// Room for the table, in bytes. The build says so when it no longer fits.
const ROOM: usize = 512 * 1024;

/// Filled in after the link, so nothing may assume that it is zero.
#[unsafe(link_section = ".ksyms")]
#[used]
static ROOM_FOR_TABLE: [u8; ROOM] = [0; ROOM];

static TABLE: spin::Once<Result<Table<'static>, ParseError>> = spin::Once::new();

/// The bytes of `.ksyms`, read in a way that the compiler can't take for zero.
fn bytes() -> &'static [u8] {
    core::hint::black_box(&ROOM_FOR_TABLE)
}

/// The symbol table.
///
/// # Errors
/// When the image went without one, or it is damaged.
pub fn table() -> Result<&'static Table<'static>, ParseError> {
    TABLE
        .call_once(|| Table::parse(bytes()))
        .as_ref()
        .map_err(|&error| error)
}

/// Writes an address as `path+offset`, or as a number where no symbol covers it.
#[derive(Clone, Copy, Debug)]
pub struct Place(pub u64);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match table().ok().and_then(|table| table.at(self.0)) {
            Some((symbol, offset)) => {
                write!(f, "{}+{offset:#x}/{:#x}", symbol.path(), symbol.size)
            }
            None => write!(f, "{:#x}", self.0),
        }
    }
}

/// Finds the one symbol at a demangled path.
///
/// # Errors
/// Unknown or ambiguous paths, the latter with the candidates; or no table.
pub fn find(path: &str) -> Result<Symbol<'static>, FindError<'_>> {
    table()
        .map_err(FindError::NoTable)?
        .find(path)
        .map_err(FindError::Lookup)
}

/// Why a path does not name a symbol.
#[derive(Debug)]
pub enum FindError<'a> {
    /// There is no usable table.
    NoTable(ParseError),
    /// The path names no symbol, or several.
    Lookup(symtab::LookupError<'a>),
}

impl fmt::Display for FindError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoTable(error) => error.fmt(f),
            Self::Lookup(error) => error.fmt(f),
        }
    }
}
