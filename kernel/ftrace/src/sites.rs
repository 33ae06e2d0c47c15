//! The table of sites, made and checked at boot from the compilers' records.
//!
//! rustc records the *start* of each function that it put two nops into. For a
//! function with a TOC set-up that is the global entry, eight bytes before the
//! nops; the symbol says how far (`st_other`, ELFv2 3.4.1). gcc's
//! `-mprofile-kernel` records nothing: its sites are the functions that begin
//! with `mflr r0; bl _mcount` at their local entry.

use super::notrace;
use alloc::{format, sync::Arc, vec::Vec};
use core::fmt;
use machine::{
    log,
    symbols::{self, FunctionEntry},
    sync::IrqLock,
    text::{self, Change, TextError},
};
use ppc64::insn;
use symtab::{Kind as SymbolKind, Symbol};
use thread::backtrace;

/// Which compiler made a site.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// rustc: `nop; nop`.
    Rust,
    /// gcc: `mflr r0; bl _mcount`.
    C,
}

/// A patchable function entry.
#[derive(Clone, Copy, Debug)]
pub struct Site {
    /// Address of the second word, the one that toggles.
    pub address: u64,
    /// Bytes from the function's global to its local entry, where the first word is.
    /// (In place of the address: there are thousands of sites, and all are copied when
    /// a module comes.)
    pub local_entry: u8,
    /// Which compiler made it.
    pub kind: Kind,
}

impl Site {
    /// The address that a `bl` here leaves in LR: a callback's `ip`.
    #[must_use]
    #[inline]
    pub fn ip(&self) -> u64 {
        self.address + 4
    }

    /// The function's global entry.
    #[must_use]
    #[inline]
    pub fn function(&self) -> u64 {
        self.address - 4 - u64::from(self.local_entry)
    }

    /// The function's path.
    #[must_use]
    #[inline]
    pub fn path(&self) -> symbols::Path {
        symbols::Path(self.function())
    }
}

/// A record that does not fit the code. It is left alone.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SiteError {
    /// The address that was recorded.
    pub record: u64,
    /// The words at the function's local entry, which are not two nops, with how many
    /// bytes behind the record they are; nothing if no function begins at the record.
    pub found: Option<(u8, [u32; 2])>,
}

impl fmt::Display for SiteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.found {
            Some((offset, [first, second])) => write!(
                f,
                "{} has {first:#010x} {second:#010x} at its local entry, +{offset:#x}, expected two nops ({:#010x})",
                symbols::Path(self.record),
                insn::NOP
            ),
            None => write!(
                f,
                "{} is recorded as patchable, but no function begins there",
                symbols::Place(self.record)
            ),
        }
    }
}

/// How many records came to what.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counts {
    /// Sites that can be traced.
    pub traceable: usize,
    /// Of these, gcc's.
    pub from_c: usize,
    /// Sites that must not be traced.
    pub notrace: usize,
    /// Records that did not fit.
    pub refused: usize,
}

struct Found {
    refused: Vec<SiteError>,
    counts: Counts,
}

static FOUND: spin::Once<Found> = spin::Once::new();

unsafe extern "C" {
    fn _mcount();
}

/// All sites that can be traced, the kernel's and the modules', by address. A snapshot:
/// it does not change when modules come and go. It is large, and must not be copied
/// more than once when a module comes. So it is no `Arc<[Site]>`, which can't be made of
/// a vector without a copy.
pub type Table = Arc<Vec<Site>>;

static SITES: IrqLock<Option<Table>> = IrqLock::named("ftrace::SITES", None);

/// All sites that can be traced, by address. Empty before [`start`].
#[must_use]
pub fn sites() -> Table {
    SITES.lock().clone().unwrap_or_default()
}

/// Whether the table is being replaced.
pub fn is_busy() -> bool {
    SITES.is_locked()
}

/// Replaces the table; for the registry, which must follow.
pub fn set_sites(sites: Table) {
    *SITES.lock() = Some(sites);
}

/// The records that did not fit.
#[must_use]
pub fn refused() -> &'static [SiteError] {
    FOUND.get().map_or(&[], |found| &found.refused)
}

/// How many sites there are.
#[must_use]
pub fn counts() -> Counts {
    FOUND.get().map_or(Counts::default(), |found| found.counts)
}

/// The site of the function that `address` lies in.
#[must_use]
pub fn find(address: u64) -> Option<Site> {
    let function = symbols::function_at(address)?;
    let sites = sites();
    let after = sites.partition_point(|site| site.address < function.address);
    sites
        .get(after)
        .filter(|site| site.function() == function.address)
        .copied()
}

/// The compiler's records.
fn records() -> &'static [u64] {
    // SAFETY: the linker script puts the records, an address each, between the two symbols.
    unsafe { machine::collected!(u64, __patchable_start, __patchable_end) }
}

fn words_at(address: u64) -> [u32; 2] {
    [text::read(address), text::read(address + 4)]
}

/// Checks one of rustc's records.
///
/// # Errors
/// [`SiteError`], when no function begins there or its words are others.
pub fn from_record(record: u64) -> Result<Site, SiteError> {
    let function = symbols::function_at(record).filter(|function| function.address == record);
    match function {
        Some(function) => at_entry(function),
        None => Err(SiteError {
            record,
            found: None,
        }),
    }
}

/// Checks the words at a function's local entry.
///
/// # Errors
/// [`SiteError`], when they are not two nops.
pub fn at_entry(function: FunctionEntry) -> Result<Site, SiteError> {
    let record = function.address;
    let local = record + u64::from(function.local_entry);
    let found = words_at(local);
    if found != [insn::NOP; 2] {
        return Err(SiteError {
            record,
            found: Some((function.local_entry, found)),
        });
    }
    Ok(Site {
        address: local + 4,
        local_entry: function.local_entry,
        kind: Kind::Rust,
    })
}

/// Checks a site of gcc's in a module. Its call, at the address `call`, is a nop already;
/// `mflr r0` before it must be at the local entry of this function.
///
/// # Errors
/// [`SiteError`], when no function begins so there.
pub fn at_call(call: u64, function: Option<FunctionEntry>) -> Result<Site, SiteError> {
    let local = call - 4;
    let begins_here = |one: &FunctionEntry| {
        one.address + u64::from(one.local_entry) == local
            && words_at(local) == [insn::MFLR_R0, insn::NOP]
    };
    let function = function.filter(begins_here).ok_or(SiteError {
        record: call,
        found: None,
    })?;
    Ok(Site {
        address: call,
        local_entry: function.local_entry,
        kind: Kind::C,
    })
}

/// Brings fresh sites to rest, in the order of their addresses.
///
/// # Errors
/// When the code can't be written. On error, nothing has changed.
pub fn bring_to_rest(sites: &[Site]) -> Result<(), TextError> {
    let changes: Vec<Change> = sites.iter().map(to_rest).collect();
    // SAFETY: r0 is dead at a function's entry (ELFv2 2.2.1.1), so `mflr r0` in
    // place of a nop changes nothing, nor does leaving out a call of `_mcount`.
    unsafe { text::apply(&changes) }
}

/// The site of a C function, if it has one.
fn from_symbol(symbol: &Symbol<'_>) -> Option<Site> {
    let local = symbol.address + u64::from(symbol.local_entry);
    let mcount = _mcount as *const () as u64;
    let [first, second] = words_at(local);
    let branch = insn::branch_target(local + 4, second)?;
    let is_site = first == insn::MFLR_R0 && branch.link && branch.target == mcount;
    is_site.then_some(Site {
        address: local + 4,
        local_entry: symbol.local_entry,
        kind: Kind::C,
    })
}

/// Makes the table, and brings every site to rest: `mflr r0; nop`.
///
/// # Errors
/// When the code can't be written. On error, sites are as the compilers left them.
pub fn start() -> Result<(), TextError> {
    backtrace::set_trampolines(super::in_trampoline);
    let mut refused = Vec::new();
    let mut sites = Vec::new();
    for &record in records() {
        match from_record(record) {
            Ok(site) => sites.push(site),
            Err(error) => refused.push(error),
        }
    }
    if let Ok(table) = symbols::table() {
        let functions = table
            .iter()
            .filter(|symbol| symbol.kind == SymbolKind::Function);
        sites.extend(functions.filter_map(|symbol| from_symbol(&symbol)));
    }
    sites.sort_unstable_by_key(|site| site.address);
    sites.dedup_by_key(|site| site.address);
    let all = sites.len();
    sites.retain(|site| !notrace::names(&format!("{}", site.path())));

    bring_to_rest(&sites)?;
    for error in &refused {
        log::warn!("{error}");
    }
    let counts = Counts {
        traceable: sites.len(),
        from_c: sites.iter().filter(|site| site.kind == Kind::C).count(),
        notrace: all - sites.len(),
        refused: refused.len(),
    };
    set_sites(Arc::new(sites));
    FOUND.call_once(|| Found { refused, counts });
    Ok(())
}

/// The one word that brings a fresh site to rest: rustc's first, gcc's second, which in a
/// module is a nop already.
fn to_rest(site: &Site) -> Change {
    match site.kind {
        Kind::Rust => Change {
            address: site.address - 4,
            expected: insn::NOP,
            new: insn::MFLR_R0,
        },
        Kind::C => Change {
            address: site.address,
            expected: text::read(site.address),
            new: insn::NOP,
        },
    }
}

// _mcount: what gcc's sites call until `start` has brought them to rest.
//
// On entry: r0 = the function's return address, LR = behind the site.
// On exit: LR = r0, and the function goes on. Clobbers: r12, CTR. Stack: none.
core::arch::global_asm!(
    ".globl _mcount",
    ".type _mcount, @function",
    ".balign 16",
    "_mcount:",
    "mflr 12",
    "mtctr 12",
    "mtlr 0",
    "bctr",
    ".size _mcount, . - _mcount",
);
