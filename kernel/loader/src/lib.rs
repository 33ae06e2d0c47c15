//! Patch modules: relocatable ELF files with a TOC of their own, as Linux's `.ko`.
//!
//! [`load`] places a module in code memory, applies its relocations (the crate
//! `modload` does both, without `unsafe`), and identifies it by its descriptor. What it
//! patches is not known here: the crate that owns patches reads and checks that
//! ([`Describe`]), and the module carries it. Only then does the kernel take notice of it:
//! its symbols are looked up, its sites can be traced. A refusal leaves nothing behind.
#![no_std]

extern crate alloc;
#[macro_use]
extern crate machine;

mod descriptor;
mod error;
mod expected;
mod exports;
mod files;
mod memory;

pub use descriptor::{build_id, identify};
pub use error::ModuleError;
pub use expected::{TocChoice, expect, expected};
pub use exports::{Export, exports};
pub use files::{File, InitrdError, files, files_for_current, find_file, initrd_error, start};
pub use memory::Memory;

use alloc::{format, string::String, sync::Arc, vec::Vec};
use core::any::Any;
use ftrace::Site;
use klp::{Convention, Info};
use machine::{
    debugger, log,
    mm::code::CodeBlock,
    symbols::{self, FunctionEntry},
    sync::IrqLock,
};
use memmap::Range;
use symtab::{Kind, Symbol};
use thread::{Mutex, backtrace};

/// A module that is loaded.
#[derive(Debug)]
pub struct Module {
    /// Its name, from its descriptor.
    pub name: String,
    /// What its code has in r2: its own TOC pointer, or the kernel's. Code of
    /// [`Convention::Pcrel`] has no use for either.
    pub toc: u64,
    /// The return convention of its functions.
    pub convention: Convention,
    /// Which TOC it was relocated against.
    pub toc_choice: TocChoice,
    /// Whether it says itself that this is the kernel's ([`klp::info::KERNELS_TOC`]).
    pub keeps_kernels_toc: bool,
    /// How many stubs its outside calls need.
    pub stubs: usize,
    /// How many relocations were applied, by type.
    pub relocations: Vec<(&'static str, u32)>,
    /// How many sites it has.
    pub sites: usize,
    carried: Carried,
    block: CodeBlock,
}

impl Module {
    /// Where it lies.
    #[must_use]
    pub fn range(&self) -> Range {
        self.block.range()
    }

    /// Whether it would be loaded again as it is: it suits every variant, or none that takes
    /// other modules was chosen since.
    #[must_use]
    pub fn is_as_expected(&self) -> bool {
        self.keeps_kernels_toc || (self.convention, self.toc_choice) == expected()
    }

    /// What was [read](Describe) in its descriptor when it was loaded, if that is a `T`.
    #[must_use]
    pub fn carried<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        self.carried.clone()?.downcast().ok()
    }

    /// The global entry of one of its functions, by path.
    #[must_use]
    pub fn function(&self, path: &str) -> Option<u64> {
        symbols::find_in(self.block.start(), path)
    }
}

/// About as many bytes of a file go with each of its symbols, or more.
const BYTES_A_SYMBOL: usize = 256;

static LOADED: IrqLock<Vec<Arc<Module>>> = IrqLock::named("loader::LOADED", Vec::new());

/// The modules that are loaded, oldest first.
#[must_use]
pub fn loaded() -> Vec<Arc<Module>> {
    LOADED.lock().clone()
}

/// Whether an address is in a module.
#[must_use]
pub fn is_code(address: u64) -> bool {
    at(address).is_some()
}

/// The module that an address is in.
#[must_use]
pub fn at(address: u64) -> Option<Arc<Module>> {
    let loaded = LOADED.lock();
    let found = loaded.iter().find(|module| {
        let range = module.range();
        (range.start..range.end).contains(&address)
    });
    found.cloned()
}

/// The module with a name.
#[must_use]
pub fn find(name: &str) -> Option<Arc<Module>> {
    let loaded = LOADED.lock();
    loaded.iter().find(|module| module.name == name).cloned()
}

/// What a module carries for the crate that reads the rest of its descriptor; often nothing.
pub type Carried = Option<Arc<dyn Any + Send + Sync>>;

/// Called for a module that has been placed and identified, to read and check the rest of
/// its descriptor. No code can find the module yet. It may refuse the module, which then
/// leaves nothing behind.
pub type Describe = fn(&Memory, &Info) -> Result<Carried, ModuleError<'static>>;
/// Called for a module that has been loaded, before any code can call into it. It may
/// refuse the module, with a reason.
pub type Coming = fn(&Arc<Module>) -> Result<(), String>;
/// Called for a module that goes away, when no thread is in it any more.
pub type Going = fn(&Module);

static NOTIFIED: spin::Once<(Describe, Coming, Going)> = spin::Once::new();

/// Sets what is called when modules come and go. Once.
pub fn notify(describe: Describe, coming: Coming, going: Going) {
    NOTIFIED.call_once(|| (describe, coming, going));
}

/// The right to let modules come and go: one thread at a time has it. So a name that is free
/// is free until its module is there, and a module is gone before another of its name comes.
static CHANGE: Mutex<()> = Mutex::named("loader::CHANGE", ());

/// Loads a module, if it is of the convention that is [`expected`], or keeps the kernel's TOC.
///
/// # Errors
/// [`ModuleError`]. On error, memory and text are as before.
pub fn load(file: &[u8]) -> Result<Arc<Module>, ModuleError<'_>> {
    load_at(file, None, false)
}

/// The same for a file that is said to be of this module, if it is.
fn load_named<'a>(file: &'a [u8], name: &'a str) -> Result<Arc<Module>, ModuleError<'a>> {
    load_at(file, Some(name), false)
}

/// The same, out of reach of the kernel's TOC pointer, and of branches to and from the
/// kernel: none of the module's own functions can be traced or replaced.
///
/// # Errors
/// [`ModuleError`]; also where the machine has no memory there.
pub fn load_far(file: &[u8]) -> Result<Arc<Module>, ModuleError<'_>> {
    load_at(file, None, true)
}

fn load_at<'a>(
    file: &'a [u8],
    file_name: Option<&'a str>,
    far: bool,
) -> Result<Arc<Module>, ModuleError<'a>> {
    let plan = modload::Module::parse(file).map_err(ModuleError::File)?;
    let flags = descriptor::flags(&plan);
    if far && flags & klp::info::KERNELS_TOC != 0 {
        return Err(ModuleError::FarFromToc);
    }
    let _change = CHANGE.lock();
    let mut block = if far {
        CodeBlock::far(plan.size(), plan.align())
    } else {
        CodeBlock::for_module(plan.size(), plan.align())
    }?;
    let (convention, toc_choice) = expected::expected_of(flags);
    let base = block.start();
    // SAFETY: the block is fresh, so nothing runs in it and no other code has it.
    let image = unsafe { block.bytes() };
    let placed = match toc_choice {
        TocChoice::Own => plan.place(base, image, exports::find),
        TocChoice::Kernels => {
            let toc = expected::kernels_toc();
            plan.place_with_toc(base, image, toc, exports::find)
        }
    };
    let placed = placed.map_err(ModuleError::File)?;
    let section = |name| placed.section(name);
    // SAFETY: the block is this function's until the module has it, and was written.
    let memory = unsafe { Memory::new(block.range(), placed.text.clone()) };
    let (name, info) = identify(&memory, section(klp::info::SECTION), convention)?;
    if info.flags != flags {
        return Err(ModuleError::RelocatedFlags {
            file: flags,
            found: info.flags,
        });
    }
    let notified = NOTIFIED.get();
    let carried = notified.map_or(Ok(None), |(describe, ..)| describe(&memory, &info))?;
    if let Some(file) = file_name.filter(|file| *file != name) {
        return Err(ModuleError::Misnamed { file, name });
    }
    if find(&name).is_some() {
        return Err(ModuleError::Loaded(name));
    }
    // A module that claims to restore r2, or never to change it, must have been proved to.
    let claims = convention != Convention::Plain || info.keeps_kernels_toc();
    if claims && info.seal != klp::seal::of(plan.code()) {
        return Err(ModuleError::NotProved { name, convention });
    }
    block.protect(placed.text.end, placed.constants_end)?;

    // From here on the kernel takes notice, step by step; what was done is
    // undone when a step fails.
    let mut symbols: Vec<Symbol<'_>> = Vec::new();
    symbols.try_reserve(file.len() / BYTES_A_SYMBOL)?;
    symbols.extend(placed.symbols());
    symbols::add(block.range(), symtab::encode(&mut symbols)?.into())?;
    // Sorted by address now.
    let records = section("__patchable_function_entries").filter(|_| !far);
    let profiled = if far { &[] } else { placed.profiled() };
    let sites = match sites_of(records, profiled, &symbols) {
        Ok(sites) => sites,
        Err(reason) => {
            symbols::remove(block.start());
            return Err(ModuleError::Sites { reason });
        }
    };
    let module = Arc::new(Module {
        name,
        toc: placed.toc,
        convention,
        toc_choice,
        keeps_kernels_toc: info.keeps_kernels_toc(),
        stubs: placed.stubs().count(),
        relocations: placed.relocations().collect(),
        sites,
        carried,
        block,
    });
    LOADED.lock().push(module.clone());
    debugger::module_loaded(&module.name, module.convention, section);
    log::debug!(
        "module `{}`: {:?}, TOC {:#x}",
        module.name,
        module.range(),
        module.toc
    );
    if let Some((_, coming, _)) = NOTIFIED.get()
        && let Err(reason) = coming(&module)
    {
        let name = module.name.clone();
        let range = module.range();
        LOADED.lock().retain(|one| !Arc::ptr_eq(one, &module));
        debugger::module_gone(&range);
        ftrace::remove_sites(range).map_err(ModuleError::Ftrace)?;
        tracing::module_gone(&name, range);
        symbols::remove(range.start);
        return Err(ModuleError::NotWanted { name, reason });
    }
    Ok(module)
}

/// Brings a module's sites to rest and registers them; returns how many: those that
/// rustc has recorded, and those where gcc's code called `_mcount`. `symbols` are the
/// module's, by address.
///
/// # Errors
/// What is wrong, as a sentence: it names functions of the module, which have no name any
/// more when the module is refused.
fn sites_of(
    records: Option<core::ops::Range<u64>>,
    profiled: &[u64],
    symbols: &[Symbol<'_>],
) -> Result<usize, String> {
    let records = records.unwrap_or(0..0);
    if !records.start.is_multiple_of(8) {
        return Err(format!(
            "the records of patchable functions at {:#x} are not aligned",
            records.start
        ));
    }
    let count = (records.end - records.start) as usize / size_of::<u64>();
    let records = match count {
        0 => &[],
        // SAFETY: a section of the placed module, so inside its block, which lives; its
        // alignment was checked right here, and no code writes to it.
        _ => unsafe { core::slice::from_raw_parts(records.start as *const u64, count) },
    };
    let mut sites: Vec<Site> = Vec::new();
    let no_memory = |_| String::from("no memory");
    let most = count + profiled.len();
    sites.try_reserve_exact(most).map_err(no_memory)?;
    for &record in records {
        let place = symbols.partition_point(|symbol| symbol.address < record);
        let same = symbols[place..]
            .iter()
            .take_while(|symbol| symbol.address == record);
        let function = { same }.find(|symbol| symbol.kind == Kind::Function);
        let site = match function {
            Some(function) => ftrace::at_entry(FunctionEntry {
                address: record,
                local_entry: function.local_entry,
            }),
            None => ftrace::from_record(record),
        };
        sites.push(site.map_err(|refused| format!("{refused}"))?);
    }
    for &call in profiled {
        // The last function that begins before the call.
        let before = symbols.partition_point(|symbol| symbol.address < call);
        let mut before = symbols[..before].iter().rev();
        let function = before.find(|symbol| symbol.kind == Kind::Function);
        let function = function.map(|function| FunctionEntry {
            address: function.address,
            local_entry: function.local_entry,
        });
        let site = ftrace::at_call(call, function);
        sites.push(site.map_err(|refused| format!("{refused}"))?);
    }
    sites.sort_unstable_by_key(|site| site.address);
    ftrace::bring_to_rest(&sites).map_err(|error| format!("{error}"))?;
    ftrace::add_sites(&sites).map_err(|error| format!("{error}"))?;
    Ok(sites.len())
}

/// Whether any thread is in a module's code. A thread that an interrupt has taken off
/// the CPU counts if a register of its leads there, by what it did before perhaps:
/// so it gets the chance to go on.
pub fn is_running(module: &Module) -> bool {
    const LOOKS: usize = 100;
    let Range { start, end } = module.range();
    let range = start..end;
    let ranges = [range];
    (0..LOOKS).all(|look| {
        if look > 0 {
            thread::yield_now();
        }
        backtrace::any_in(&ranges)
    })
}

/// Unloads a module.
///
/// # Errors
/// When there is none of this name, when references to it are still held, or when
/// its code is on a stack. On error, nothing has changed.
pub fn unload(name: &str) -> Result<(), ModuleError<'_>> {
    let _change = CHANGE.lock();
    let (place, module) = {
        let mut loaded = LOADED.lock();
        let place = loaded.iter().position(|module| module.name == name);
        let place = place.ok_or(ModuleError::NotLoaded(name))?;
        if Arc::strong_count(&loaded[place]) > 1 {
            return Err(ModuleError::InUse(name));
        }
        // From here on no lookup finds it any more.
        (place, loaded.remove(place))
    };
    // Not under the lock: looks at the stacks of all threads.
    let range = module.range();
    if is_running(&module) {
        let mut loaded = LOADED.lock();
        let place = place.min(loaded.len());
        loaded.insert(place, module);
        return Err(ModuleError::Running(name));
    }
    if let Some((.., going)) = NOTIFIED.get() {
        going(&module);
    }
    debugger::module_gone(&range);
    ftrace::remove_sites(range).map_err(ModuleError::Ftrace)?;
    tracing::module_gone(name, range);
    symbols::remove(range.start);
    Ok(())
}
