//! Symbols: names and sizes of all functions and objects, the kernel's own and
//! those of its modules.
//!
//! The kernel's table is made from the linked image and written into it afterwards (see
//! `linker.ld` and the crate `symtab`), so a kernel that did not go through that
//! step still runs, with addresses instead of names.

use crate::{
    arch, mm,
    sync::{IrqGuard, IrqLock},
};
use alloc::{boxed::Box, format, string::String, sync::Arc, vec::Vec};
use core::{fmt, ops::ControlFlow, ptr::NonNull};
use memmap::Range;
use symtab::{Kind, ParseError, Symbol, Table};

/// Room for the table, in bytes. The build says so when it no longer fits.
const ROOM: usize = 1280 * 1024;

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

/// A module's symbols: a table of the same form, with the bytes that it reads.
struct ModuleTable {
    /// Borrows `bytes`: it leaves this struct only as what `table` returns.
    table: Table<'static>,
    /// A leaked box, freed with this struct. Not a box: that claims its bytes anew
    /// whenever it is moved, against what `table` has borrowed.
    bytes: NonNull<[u8]>,
}

// SAFETY: it owns its bytes, which never change.
unsafe impl Send for ModuleTable {}
// SAFETY: as above.
unsafe impl Sync for ModuleTable {}

impl ModuleTable {
    fn new(bytes: Box<[u8]>) -> Result<Self, ParseError> {
        let mut this = Self {
            table: Table::default(),
            bytes: NonNull::from(Box::leak(bytes)),
        };
        // SAFETY: the bytes are freed when `this` is dropped, and not changed before.
        this.table = Table::just_encoded(unsafe { this.bytes.as_ref() })?;
        Ok(this)
    }

    fn table(&self) -> &Table<'_> {
        &self.table
    }
}

impl Drop for ModuleTable {
    fn drop(&mut self) {
        self.table = Table::default();
        // SAFETY: a box that was leaked in `new`. The table is gone, and what `table` has
        // returned does not outlive this struct.
        drop(unsafe { Box::from_raw(self.bytes.as_ptr()) });
    }
}

/// Which code a table is about.
struct Extra {
    range: Range,
    /// When it was added, as timebase.
    since: u64,
    table: Arc<ModuleTable>,
}

static EXTRA: IrqLock<Vec<Extra>> = IrqLock::named("machine::SYMBOLS", Vec::new());

/// Why a module's symbols can't be had.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AddError {
    /// The table is none.
    Table(ParseError),
    /// There is no memory for one table more.
    OutOfMemory,
}

/// Adds the symbols of code that lies in `range`; `bytes` are a table that was
/// just encoded.
///
/// # Errors
/// [`AddError`]. On error, nothing has changed.
pub fn add(range: Range, bytes: Box<[u8]>) -> Result<(), AddError> {
    let table = ModuleTable::new(bytes).map_err(AddError::Table)?;
    let table = Arc::try_new(table).map_err(|_| AddError::OutOfMemory)?;
    let mut extra = EXTRA.lock();
    extra.try_reserve(1).map_err(|_| AddError::OutOfMemory)?;
    extra.push(Extra {
        range,
        since: arch::timebase(),
        table,
    });
    Ok(())
}

/// Forgets what was added for the code that starts at `start`.
pub fn remove(start: u64) {
    EXTRA.lock().retain(|extra| extra.range.start != start);
}

/// Since when there have been symbols for the code around an address, as timebase: 0 for
/// the kernel's own; none if there are none.
#[must_use]
pub fn since(address: u64) -> Option<u64> {
    let is_in = |range: &Range| (range.start..range.end).contains(&address);
    if is_in(&mm::kernel_image()) {
        return Some(0);
    }
    let extra = EXTRA.lock();
    let of = extra.iter().find(|extra| is_in(&extra.range))?;
    Some(of.since)
}

/// Looks an address up and hands what covers it to `look`: a symbol, and the
/// offset into it. While the list of modules is being changed it finds none of theirs:
/// for reports, which must not wait for what they have interrupted.
fn with_symbol_at<T>(address: u64, look: impl FnOnce(Symbol<'_>, u64) -> T) -> Option<T> {
    look_up(address, || EXTRA.try_lock(), look)
}

fn look_up<T>(
    address: u64,
    modules: impl FnOnce() -> Option<IrqGuard<'static, Vec<Extra>>>,
    look: impl FnOnce(Symbol<'_>, u64) -> T,
) -> Option<T> {
    let image = mm::kernel_image();
    if (image.start..image.end).contains(&address) {
        let (symbol, offset) = table().ok()?.at(address)?;
        return Some(look(symbol, offset));
    }
    let extra = modules()?;
    let of = extra
        .iter()
        .find(|extra| (extra.range.start..extra.range.end).contains(&address))?;
    let table = of.table.clone();
    drop(extra);
    let (symbol, offset) = table.table().at(address)?;
    Some(look(symbol, offset))
}

/// The size in bytes of the function that has its global entry at `address`; nothing if
/// that is not known. Waits while the list of modules is being changed.
#[must_use]
pub fn size_at(address: u64) -> Option<u64> {
    let size = |symbol: Symbol<'_>, offset| (offset == 0 && symbol.size > 0).then_some(symbol.size);
    look_up(address, || Some(EXTRA.lock()), size).flatten()
}

/// Whether an address is inside a symbol.
#[must_use]
pub fn is_inside(address: u64) -> bool {
    with_symbol_at(address, |_, _| ()).is_some()
}

/// Where a function begins, and how.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FunctionEntry {
    /// Its global entry.
    pub address: u64,
    /// Bytes from there to its local entry.
    pub local_entry: u8,
}

/// The function that covers an address, of the kernel or of a module. Waits while the list
/// of modules is being changed.
#[must_use]
pub fn function_at(address: u64) -> Option<FunctionEntry> {
    let entry = |symbol: Symbol<'_>, _| {
        (symbol.kind == Kind::Function).then_some(FunctionEntry {
            address: symbol.address,
            local_entry: symbol.local_entry,
        })
    };
    look_up(address, || Some(EXTRA.lock()), entry).flatten()
}

/// Shows every symbol to `look`: the kernel's, by address, and those of modules, in the
/// order in which these were loaded, until it says that it has seen enough.
pub fn for_each(mut look: impl FnMut(&Symbol<'_>) -> ControlFlow<()>) {
    let own = table().into_iter().flat_map(Table::iter);
    for symbol in own {
        if look(&symbol).is_break() {
            return;
        }
    }
    // Held on to, not locked: it may take long.
    let tables: Vec<_> = EXTRA.lock().iter().map(|one| one.table.clone()).collect();
    for table in tables {
        for symbol in table.table().iter() {
            if look(&symbol).is_break() {
                return;
            }
        }
    }
}

/// Writes an address as `path+offset/size`, or as a number where no symbol
/// covers it.
#[derive(Clone, Copy, Debug)]
pub struct Place(pub u64);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        with_symbol_at(self.0, |symbol, offset| {
            write!(f, "{}+{offset:#x}/{:#x}", symbol.path(), symbol.size)
        })
        .unwrap_or_else(|| write!(f, "{:#x}", self.0))
    }
}

/// Writes an address as the path of the function around it.
#[derive(Clone, Copy, Debug)]
pub struct Path(pub u64);

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        with_symbol_at(self.0, |symbol, _| write!(f, "{}", symbol.path()))
            .unwrap_or_else(|| write!(f, "{:#x}", self.0))
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

/// Finds the function of the kernel that a patch names: the only one at a path with
/// `position` 0, or the one that is `position`-th by address, counted from 1.
///
/// # Errors
/// As [`find`]; or when the function has another name as well.
pub fn find_position(path: &str, position: usize) -> Result<Symbol<'_>, FindError<'_>> {
    let table = table().map_err(FindError::NoTable)?;
    to_replace(table, path, position)
}

/// The same in any table.
fn to_replace<'a>(
    table: &Table<'a>,
    path: &'a str,
    position: usize,
) -> Result<Symbol<'a>, FindError<'a>> {
    let symbol = match position.checked_sub(1) {
        None => table.find(path).map_err(FindError::Lookup)?,
        Some(index) => {
            let found = table.candidates(path).nth(index);
            found.ok_or_else(|| FindError::NoSuchPosition {
                path,
                position,
                count: table.candidates(path).count(),
            })?
        }
    };
    let mut names = table.starting_at(symbol.address);
    match names.find(|other| other.kind == Kind::Function && other.name != symbol.name) {
        Some(other) => Err(FindError::OtherName { path, other }),
        None => Ok(symbol),
    }
}

/// The address of a symbol of the module that starts at `start`, by path.
#[must_use]
pub fn find_in(start: u64, path: &str) -> Option<u64> {
    let extra = EXTRA.lock();
    let table = extra
        .iter()
        .find(|extra| extra.range.start == start)?
        .table
        .clone();
    drop(extra);
    table.table().find(path).ok().map(|symbol| symbol.address)
}

/// The address of the function that a patch names in the module that starts at
/// `start`: as [`find_position`].
///
/// # Errors
/// Why there is none, in a sentence.
pub fn find_in_position(start: u64, path: &str, position: usize) -> Result<u64, String> {
    let table = {
        let extra = EXTRA.lock();
        let of = extra.iter().find(|extra| extra.range.start == start);
        of.ok_or("it has no symbols")?.table.clone()
    };
    let found = to_replace(table.table(), path, position);
    found
        .map(|symbol| symbol.address)
        .map_err(|error| format!("{error}"))
}

/// Why a path does not name a symbol.
#[derive(Debug)]
pub enum FindError<'a> {
    /// There is no usable table.
    NoTable(ParseError),
    /// The path names fewer symbols than that.
    NoSuchPosition {
        /// The path.
        path: &'a str,
        /// Which of them was asked for.
        position: usize,
        /// How many there are.
        count: usize,
    },
    /// The path names no symbol, or several.
    Lookup(symtab::LookupError<'a>),
    /// The function at the path has another name too.
    OtherName {
        /// The path.
        path: &'a str,
        /// The other name.
        other: Symbol<'a>,
    },
}

impl fmt::Display for FindError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoTable(error) => error.fmt(f),
            Self::NoSuchPosition {
                path,
                position,
                count,
            } => {
                write!(
                    f,
                    "`{path}` names {count} symbols, there is no number {position}"
                )
            }
            Self::Lookup(error) => error.fmt(f),
            Self::OtherName { path, other } => write!(
                f,
                "`{path}` is `{}` too: one function at {:#x}, and a call by either \
                 name would get the replacement",
                other.path(),
                other.address
            ),
        }
    }
}
