//! Reads a module's descriptor: bytes that came from outside, so every pointer
//! in it is checked before it is followed.

use super::ModuleError;
use crate::symbols;
use alloc::{string::String, vec::Vec};
use core::{ops, slice};
use klp::{Convention, Function, Info, info};
use memmap::Range;

/// The most functions that one module may replace.
const MOST_FUNCTIONS: u64 = 4096;

/// A function that a module replaces.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Replacement {
    /// Path of the old one.
    pub path: String,
    /// Global entry of the old one.
    pub old: u64,
    /// Global entry of the new one.
    pub new: u64,
}

/// What a descriptor says, checked.
#[derive(Debug)]
pub struct Descriptor {
    /// The module's name.
    pub name: String,
    /// Its return convention.
    pub convention: Convention,
    /// What it replaces.
    pub replacements: Vec<Replacement>,
}

unsafe extern "C" {
    static __build_id_start: u8;
    static __build_id_end: u8;
}

/// This kernel's build id: the last bytes of the linker's note.
#[must_use]
pub fn build_id() -> [u8; info::BUILD_ID_BYTES] {
    let (start, end) = (&raw const __build_id_start, &raw const __build_id_end);
    // SAFETY: the linker script puts the note between the two symbols.
    let note = unsafe { slice::from_raw_parts(start, end.addr() - start.addr()) };
    note.last_chunk().copied().unwrap_or_default()
}

/// The convention that the running hand-off asks for.
const CONVENTION: Convention = Convention::Epilogue;

/// A value of type `T` inside the module.
fn value_at<T: Copy>(module: &Range, address: u64) -> Option<T> {
    let end = address.checked_add(size_of::<T>() as u64)?;
    let fits = module.start <= address && end <= module.end;
    // SAFETY: inside the module's memory, and read without asking for alignment;
    // every bit pattern is a value of the plain types that this is used with.
    fits.then(|| unsafe { (address as *const T).read_unaligned() })
}

/// Text inside the module.
fn text_at<'a>(module: &Range, (start, length): (u64, u64)) -> Result<String, ModuleError<'a>> {
    let bad = ModuleError::BadText {
        address: start,
        length,
    };
    let fits = start
        .checked_add(length)
        .is_some_and(|end| module.start <= start && end <= module.end);
    if !fits {
        return Err(bad);
    }
    // SAFETY: inside the module's memory.
    let bytes = unsafe { slice::from_raw_parts(start as *const u8, length as usize) };
    let text = core::str::from_utf8(bytes).map_err(|_| bad)?;
    let mut copy = String::new();
    copy.try_reserve_exact(text.len())?;
    copy.push_str(text);
    Ok(copy)
}

/// Reads and checks the descriptor of a module that was placed at `module`.
///
/// # Errors
/// The first thing that does not fit this kernel.
pub fn read<'a>(
    module: &Range,
    section: Option<ops::Range<u64>>,
) -> Result<Descriptor, ModuleError<'a>> {
    let section = section.ok_or(ModuleError::NoDescriptor)?;
    let found = section.end - section.start;
    let expected = size_of::<Info>() as u64;
    if found != expected {
        return Err(ModuleError::DescriptorSize { found, expected });
    }
    let info: Info = value_at(module, section.start).ok_or(ModuleError::NoDescriptor)?;
    if info.magic != info::MAGIC {
        return Err(ModuleError::Magic { found: info.magic });
    }
    let name = text_at(module, info.name.parts())?;
    let expected = build_id();
    if info.build_id != expected {
        return Err(ModuleError::BuildId {
            name,
            found: info.build_id,
            expected,
        });
    }
    let convention = match info.convention() {
        // No other will do: without the epilogue, nobody brings r2 back.
        Some(convention) if convention == CONVENTION => convention,
        _ => {
            return Err(ModuleError::Convention {
                name,
                found: info.convention,
                expected: CONVENTION,
            });
        }
    };
    if info.function_count > MOST_FUNCTIONS {
        return Err(ModuleError::TooManyFunctions {
            name,
            found: info.function_count,
        });
    }
    let mut replacements = Vec::new();
    replacements.try_reserve_exact(info.function_count as usize)?;
    for index in 0..info.function_count {
        replacements.push(replacement(module, info.functions.addr() as u64, index)?);
    }
    Ok(Descriptor {
        name,
        convention,
        replacements,
    })
}

/// The `index`-th function of the table at `table`.
fn replacement<'a>(module: &Range, table: u64, index: u64) -> Result<Replacement, ModuleError<'a>> {
    let place = table.checked_add(index * size_of::<Function>() as u64);
    let place = place.ok_or(ModuleError::BadTable { address: table })?;
    let function: Function =
        value_at(module, place).ok_or(ModuleError::BadTable { address: place })?;
    let path = text_at(module, function.old.parts())?;
    let new = function.new.addr() as u64;
    let entry = symbols_entry(module, new);
    if !entry {
        return Err(ModuleError::BadFunction { path, address: new });
    }
    let old = symbols::find_position(&path, function.position as usize).map_err(|reason| {
        ModuleError::OldFunction {
            reason: alloc::format!("{reason}"),
        }
    })?;
    Ok(Replacement {
        path,
        old: old.address,
        new,
    })
}

/// Whether an address can be a function of the module's.
fn symbols_entry(module: &Range, address: u64) -> bool {
    address.is_multiple_of(4) && (module.start..module.end).contains(&address)
}
