//! Reads a module's descriptor: bytes that came from outside, so every pointer
//! in it is checked before it is followed.

use super::ModuleError;
use alloc::{string::String, vec::Vec};
use core::{mem::offset_of, ops, slice};
use klp::{Callbacks, Convention, Function, Info, Object, Provided, State, Text, info};
use machine::{arch, symbols};
use memmap::Range;
use ppc64::spr;

/// The most functions that one module may replace, and the most that it may
/// provide.
const MOST_FUNCTIONS: u64 = 4096;

/// The most objects that one module may patch, and the most states it may have.
const MOST_OTHERS: u64 = 256;

/// A function of the kernel's that a module replaces.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Replacement {
    /// Path of the old one.
    pub path: String,
    /// Global entry of the old one.
    pub old: u64,
    /// Global entry of the new one.
    pub new: u64,
}

/// A function that a module replaces, as its descriptor names it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Wanted {
    /// Path of the old one.
    pub path: String,
    /// Which of several functions of that path, by address and counted from 1; 0 if
    /// there must be only one.
    pub position: u32,
    /// Global entry of the new one.
    pub new: u64,
}

/// What a module patches in one object: the kernel, or another module.
#[derive(Clone, Debug)]
pub struct Target {
    /// The other module's name, which need not be loaded; none for the kernel.
    pub module: Option<String>,
    /// The functions to replace, no two the same.
    pub functions: Vec<Wanted>,
    /// What to call before and after. These are code of the module, so they can be
    /// called while it is loaded.
    pub callbacks: Callbacks,
}

/// A system state of a module's (Linux kernel/livepatch/state.c).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SystemState {
    /// Which state.
    pub id: u32,
    /// The version of it.
    pub version: u32,
    /// Where the module's [`klp::State`] is.
    pub address: u64,
}

/// What a descriptor says, checked.
#[derive(Debug)]
pub struct Descriptor {
    /// The module's name.
    pub name: String,
    /// Its return convention.
    pub convention: Convention,
    /// The sum of the code that was proved ([`klp::seal`]); 0 if none was.
    pub seal: u32,
    /// Whether it takes the place of all patches before it.
    pub replace: bool,
    /// What it patches, no two of one name.
    pub targets: Vec<Target>,
    /// What it replaces of the kernel's.
    pub replacements: Vec<Replacement>,
    /// Its system states, no two of one id.
    pub states: Vec<SystemState>,
}

/// This kernel's build id: the last bytes of the linker's note.
#[must_use]
pub fn build_id() -> [u8; info::BUILD_ID_BYTES] {
    // SAFETY: the linker script puts the note between the two symbols.
    let note = unsafe { machine::collected!(u8, __build_id_start, __build_id_end) };
    note.last_chunk().copied().unwrap_or_default()
}

/// What may be read from bytes that came from outside.
///
/// # Safety
/// Every bit pattern is a value of the type.
unsafe trait Plain: Copy {}

// SAFETY: integers.
unsafe impl Plain for u32 {}
// SAFETY: an integer.
unsafe impl Plain for u64 {}
// SAFETY: integers and raw pointers.
unsafe impl Plain for Info {}
// SAFETY: integers, raw pointers, and in the callbacks pointers to functions: null
// is none, and any other is one, which must be checked before it is called.
unsafe impl Plain for Object {}
// SAFETY: integers and raw pointers.
unsafe impl Plain for Function {}
// SAFETY: a raw pointer.
unsafe impl Plain for Provided {}

/// The memory of a placed module.
struct Memory<'m> {
    all: &'m Range,
    /// What is executed.
    code: &'m ops::Range<u64>,
}

impl Memory<'_> {
    fn holds(&self, start: u64, length: u64) -> bool {
        let end = start.checked_add(length);
        end.is_some_and(|end| self.all.start <= start && end <= self.all.end)
    }

    /// Whether an address can be a function's.
    fn is_code(&self, address: u64) -> bool {
        address.is_multiple_of(4) && self.code.contains(&address)
    }

    /// The value at an address.
    fn value<T: Plain>(&self, address: u64) -> Option<T> {
        let fits = self.holds(address, size_of::<T>() as u64);
        // SAFETY: inside the module's memory, and read without asking for alignment;
        // whatever is there is a `T`.
        fits.then(|| unsafe { (address as *const T).read_unaligned() })
    }

    /// The entries of a table, of which there must be no more than `most`.
    fn table<'a, T: Plain>(
        &self,
        what: &'static str,
        (start, found): (u64, u64),
        most: u64,
    ) -> Result<impl ExactSizeIterator<Item = T> + use<T>, ModuleError<'a>> {
        if found > most {
            return Err(ModuleError::TooMany { what, found, most });
        }
        if found > 0 && !self.holds(start, found * size_of::<T>() as u64) {
            return Err(ModuleError::BadTable {
                what,
                address: start,
            });
        }
        let first = start as *const T;
        // SAFETY: the whole table is inside the module's memory, and is read without
        // asking for alignment; whatever is there is a `T`.
        Ok((0..found as usize).map(move |index| unsafe { first.add(index).read_unaligned() }))
    }

    /// A copy of a text.
    fn text<'a>(&self, text: Text) -> Result<String, ModuleError<'a>> {
        let (start, length) = text.parts();
        let bad = ModuleError::BadText {
            address: start,
            length,
        };
        if !self.holds(start, length) {
            return Err(bad);
        }
        // SAFETY: inside the module's memory, which no code writes to now.
        let bytes = unsafe { slice::from_raw_parts(start as *const u8, length as usize) };
        let text = core::str::from_utf8(bytes).map_err(|_| bad)?;
        let mut copy = String::new();
        copy.try_reserve_exact(text.len())?;
        copy.push_str(text);
        Ok(copy)
    }

    /// Checks one object.
    fn target<'a>(&self, object: &Object, room: u64) -> Result<Target, ModuleError<'a>> {
        let module = match object.name.parts() {
            (_, 0) => None,
            _ => Some(self.text(object.name)?),
        };
        let table = (object.functions.addr() as u64, object.function_count);
        let table = self.table::<Function>("functions", table, room)?;
        let mut functions = Vec::new();
        functions.try_reserve_exact(table.len())?;
        for function in table {
            let wanted = Wanted {
                path: self.text(function.old)?,
                position: function.position,
                new: function.new.addr() as u64,
            };
            if !self.is_code(wanted.new) {
                return Err(ModuleError::BadFunction {
                    path: wanted.path,
                    address: wanted.new,
                });
            }
            functions.push(wanted);
        }
        for (callback, address) in object.callbacks.iter() {
            if !self.is_code(address) {
                return Err(ModuleError::BadCallback {
                    object: module,
                    callback,
                    address,
                });
            }
        }
        Ok(Target {
            module,
            functions,
            callbacks: object.callbacks,
        })
    }

    /// Checks one state.
    fn state<'a>(&self, address: u64) -> Result<SystemState, ModuleError<'a>> {
        let bad = ModuleError::BadState { address };
        let aligned = address.is_multiple_of(align_of::<State>() as u64);
        if !aligned || !self.holds(address, size_of::<State>() as u64) {
            return Err(bad);
        }
        let field = |offset: usize| self.value(address + offset as u64);
        match (
            field(offset_of!(State, id)),
            field(offset_of!(State, version)),
        ) {
            (Some(id), Some(version)) => Ok(SystemState {
                id,
                version,
                address,
            }),
            _ => Err(bad),
        }
    }
}

/// Reads and checks the descriptor of a module that was placed at `module`, with
/// its code at `code`. The hand-off that is in use asks for a return convention.
///
/// # Errors
/// The first thing that does not fit this kernel.
pub fn read<'a>(
    module: &Range,
    code: &ops::Range<u64>,
    section: Option<ops::Range<u64>>,
    expected_convention: Convention,
) -> Result<Descriptor, ModuleError<'a>> {
    let memory = Memory { all: module, code };
    let section = section.ok_or(ModuleError::NoDescriptor)?;
    let found = section.end - section.start;
    let expected = size_of::<Info>() as u64;
    if found != expected {
        return Err(ModuleError::DescriptorSize { found, expected });
    }
    let info: Info = memory
        .value(section.start)
        .ok_or(ModuleError::NoDescriptor)?;
    if info.magic != info::MAGIC {
        return Err(ModuleError::Magic { found: info.magic });
    }
    let name = memory.text(info.name)?;
    let expected = build_id();
    if info.build_id != expected {
        return Err(ModuleError::BuildId {
            name,
            found: info.build_id,
            expected,
        });
    }
    let convention = match info.convention() {
        // No other will do. If neither hand-off nor function restores r2, it stays
        // wrong; and what the two do must fit together.
        Some(convention) if convention == expected_convention => convention,
        _ => {
            return Err(ModuleError::Convention {
                name,
                found: info.convention,
                expected: expected_convention,
            });
        }
    };
    let processor = arch::processor_version() >> 16;
    if convention == Convention::Pcrel && processor < spr::POWER10 {
        return Err(ModuleError::Processor {
            name,
            found: processor,
        });
    }
    if info.flags & !info::REPLACE != 0 {
        return Err(ModuleError::Flags { found: info.flags });
    }
    let targets = targets(&memory, &info)?;
    let replacements = match targets.iter().find(|target| target.module.is_none()) {
        Some(kernel) => replacements(kernel)?,
        None => Vec::new(),
    };
    let provided = (info.provides.addr() as u64, info.provided_count);
    for Provided { function } in memory.table("provided functions", provided, MOST_FUNCTIONS)? {
        let address = function.addr() as u64;
        if !memory.is_code(address) {
            return Err(ModuleError::BadProvided { address });
        }
    }
    Ok(Descriptor {
        name,
        convention,
        seal: info.seal,
        replace: info.flags & info::REPLACE != 0,
        targets,
        replacements,
        states: states(&memory, &info)?,
    })
}

/// What is patched, object by object.
fn targets<'a>(memory: &Memory<'_>, info: &Info) -> Result<Vec<Target>, ModuleError<'a>> {
    let table = (info.objects.addr() as u64, info.object_count);
    let table = memory.table::<Object>("objects", table, MOST_OTHERS)?;
    let mut targets: Vec<Target> = Vec::new();
    targets.try_reserve_exact(table.len())?;
    let mut room = MOST_FUNCTIONS;
    for object in table {
        let target = memory.target(&object, room)?;
        room -= target.functions.len() as u64;
        if targets.iter().any(|other| other.module == target.module) {
            return Err(ModuleError::SameObject {
                object: target.module,
            });
        }
        if target.module.is_some()
            && let Some(twice) = twice(&target.functions, |one| (one.position, &*one.path))
        {
            return Err(ModuleError::SameFunction {
                path: twice.path.clone(),
                object: target.module,
            });
        }
        targets.push(target);
    }
    Ok(targets)
}

/// The old functions of the kernel's, looked up.
fn replacements<'a>(kernel: &Target) -> Result<Vec<Replacement>, ModuleError<'a>> {
    let mut replacements = Vec::new();
    replacements.try_reserve_exact(kernel.functions.len())?;
    for wanted in &kernel.functions {
        let found = symbols::find_position(&wanted.path, wanted.position as usize);
        let old = found.map_err(|reason| ModuleError::OldFunction {
            reason: alloc::format!("{reason}"),
        })?;
        let mut path = String::new();
        path.try_reserve_exact(wanted.path.len())?;
        path.push_str(&wanted.path);
        replacements.push(Replacement {
            path,
            old: old.address,
            new: wanted.new,
        });
    }
    // One function may have several names.
    match twice(&replacements, |one| one.old) {
        Some(twice) => Err(ModuleError::SameFunction {
            path: twice.path.clone(),
            object: None,
        }),
        None => Ok(replacements),
    }
}

/// The system states.
fn states<'a>(memory: &Memory<'_>, info: &Info) -> Result<Vec<SystemState>, ModuleError<'a>> {
    let table = (info.states.addr() as u64, info.state_count);
    let table = memory.table::<u64>("states", table, MOST_OTHERS)?;
    let mut states = Vec::new();
    states.try_reserve_exact(table.len())?;
    for address in table {
        states.push(memory.state(address)?);
    }
    match twice(&states, |state| state.id) {
        Some(twice) => Err(ModuleError::SameState { id: twice.id }),
        None => Ok(states),
    }
}

/// The first entry that has the same key as one before it. There are few: this
/// looks at all pairs.
fn twice<'t, T, K: PartialEq>(entries: &'t [T], key: impl Fn(&'t T) -> K) -> Option<&'t T> {
    let mut all = entries.iter().enumerate();
    all.find_map(|(index, one)| {
        let same = entries[..index].iter().any(|other| key(other) == key(one));
        same.then_some(one)
    })
}
