//! Patch modules: loading, calling, refusing, unloading.

mod conventions;
mod descriptor;
mod in_c;
mod memory;
mod twice;
mod unload;

use crate::{
    check,
    tests::common::{Counter, text, traced},
};
use alloc::{format, string::String, sync::Arc, vec::Vec};
use core::sync::atomic::{AtomicU64, Ordering};
use ftrace::{Callback, Flags, Ops};
use lab::random::Random;
use lab::{
    instruments::sanitiser::{SanitisedCall, What, kernel_toc},
    targets,
};
use layout::CallFrame;
use livepatch::Descriptor;
use loader::{File, Module, ModuleError};
use machine::mm;

/// The demonstration's module.
fn demo() -> Result<File, String> {
    loader::find_file("kinds")
}

fn load(bytes: &'static [u8]) -> Result<Arc<Module>, String> {
    loader::load(bytes).map_err(text)
}

/// Loads the demonstration's module while `body` runs.
fn with_demo<T>(body: impl FnOnce(&Module) -> Result<T, String>) -> Result<T, String> {
    let module = load(demo()?.bytes)?;
    let result = body(&module);
    drop(module);
    loader::unload("kinds").map_err(text)?;
    result
}

/// The global entry of the function that replaces `old` of the kernel's.
fn replacement(module: &Module, old: &str) -> Result<u64, String> {
    let descriptor = Descriptor::of(module);
    let kernel = descriptor.target(None).into_iter();
    let mut functions = kernel.flat_map(|target| &target.functions);
    let new = functions.find(|one| one.path == old).map(|one| one.new);
    new.ok_or_else(|| format!("`{old}` is not replaced"))
}

/// Calls the function that replaces `old`, as after a hand-off, and checks that it keeps
/// the ABI but for r2.
fn hand_over(module: &Module, old: &str, arguments: &[u64]) -> Result<SanitisedCall, String> {
    let mut call = SanitisedCall::handed_over(replacement(module, old)?, arguments);
    // SAFETY: a function of the module, with the arguments of the one it replaces.
    unsafe { call.make() };
    let mut wrong = Vec::new();
    call.deviations(|one| wrong.extend((one.what != What::Register(2)).then_some(one)));
    check!(wrong.is_empty(), "{old}: {wrong:x?}");
    Ok(call)
}

/// The same, and checks that r2 comes back too.
fn call(module: &Module, old: &str, arguments: &[u64]) -> Result<[u64; 2], String> {
    let call = hand_over(module, old, arguments)?;
    let (before, after) = (kernel_toc(), call.toc_after());
    check!(
        after == before,
        "{old}: r2 is {after:#x} instead of {before:#x}"
    );
    Ok(call.results())
}

/// Calls a function of each kind with [`call`] or one like it, and checks that it
/// returns the right value.
fn every_kind(call: impl Fn(&str, &[u64]) -> Result<[u64; 2], String>) -> Result<(), String> {
    let one = |old: &str, arguments: &[u64]| call(old, arguments).map(|[first, _]| first);
    let found = one("lab::targets::leaf", &[5])?;
    check!(found == 17, "leaf: {found}");
    let found = one(
        "lab::targets::sum12",
        &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12],
    )?;
    check!(found == 650 + 39, "sum12: {found}");
    let found = one("c_counts", &[7])?;
    check!(found == 14 + 22, "counts: {found}");
    for (arguments, expected) in [([49, 10], 7), ([49, 0], -1), ([50, 10], -2_i64)] {
        let found = one("lab::targets::find", &arguments)? as i64;
        check!(found == expected, "find{arguments:?}: {found}");
    }
    one("lab::targets::nothing", &[])?;
    let found = (
        one("lab::targets::is_even", &[4])?,
        one("lab::targets::is_even", &[5])?,
    );
    check!(found == (1, 0), "is_even: {found:?}");
    let found = call("lab::targets::divide", &[17, 5])?;
    check!(found == [3, 2], "divide: {found:?}");
    let mut report = targets::Report::default();
    one("lab::targets::report", &[&raw mut report as u64, 9])?;
    check!(
        report.values == [9, 18, 27] && report.calls > 8,
        "report: {report:?}"
    );
    Ok(())
}

/// A copy of the demonstration's module, for damaging.
fn copy() -> Result<Vec<u8>, String> {
    Ok(demo()?.bytes.to_vec())
}

/// Where `pattern` is in `bytes`.
fn position(bytes: &[u8], pattern: &[u8]) -> Result<usize, String> {
    let place = bytes
        .windows(pattern.len())
        .position(|window| window == pattern);
    place.ok_or_else(|| format!("{pattern:x?} is not in the module"))
}

/// Seals a module again after its code was changed.
fn seal(bytes: &mut [u8]) -> Result<(), String> {
    let sum = {
        let module = modload::Module::parse(bytes).map_err(text)?;
        klp::seal::of(module.code())
    };
    let descriptor = position(bytes, &klp::info::MAGIC.to_le_bytes())?;
    let place = descriptor + core::mem::offset_of!(klp::Info, seal);
    bytes[place..place + 4].copy_from_slice(&sum.to_le_bytes());
    Ok(())
}

/// Checks that a file is refused, and that nothing changes. Yields the sentence.
fn refused(bytes: &[u8]) -> Result<String, String> {
    let state = || {
        (
            mm::usage(),
            mm::code::used(),
            ftrace::sites().len(),
            loader::loaded().len(),
        )
    };
    let before = state();
    let result = loader::load(bytes).map(|module| module.name.clone());
    let Err(error) = result else {
        return Err("a module that should be refused was loaded".into());
    };
    let sentence = format!("{error}");
    drop(error);
    let with_sentence = state();
    // The sentence itself is on the heap.
    let size = before.0.free - with_sentence.0.free;
    check!(
        size < 4096,
        "{sentence}: {size} bytes are missing from the heap"
    );
    check!(
        (before.1, before.2, before.3) == (with_sentence.1, with_sentence.2, with_sentence.3),
        "{sentence}: before {before:?}, after {with_sentence:?}"
    );
    Ok(sentence)
}

static COUNT: Counter = Counter::new("count", Flags::empty());

/// Tries to unload the module of the function that is being traced.
static PULL: Ops = Ops::new("pull", pull as Callback, Flags::empty());

/// What came of it: 1 if it was refused because the code is running.
static PULLED: AtomicU64 = AtomicU64::new(0);

extern "C" fn pull(_: u64, _: u64, _: &Ops, _: &mut CallFrame) {
    let refused = matches!(loader::unload("kinds"), Err(ModuleError::Running("kinds")));
    PULLED.store(1 + u64::from(!refused), Ordering::Relaxed);
}

crate::selftest! {
    /// A module is not unloaded while its code is on a stack: here, a function
    /// that a trampoline is about to enter.
    fn running_code_stays() {
        let module = load(demo()?.bytes)?;
        let new = replacement(&module, "lab::targets::is_even")?;
        // Only the list has a reference to it now.
        drop(module);
        let mut call = SanitisedCall::handed_over(new, &[4]);
        // SAFETY: `is_even` takes an integer.
        let results = traced(&PULL, &["kinds::is_even"], || unsafe { call.make_checked() })?;
        loader::unload("kinds").map_err(text)?;
        let pulled = PULLED.load(Ordering::Relaxed);
        check!(pulled == 1, "unloading a running module was not refused as that ({pulled})");
        check!(results.as_ref().is_ok_and(|results| results[0] == 1), "is_even: {results:?}");
        Ok(())
    }

    /// An old function's path that names two is refused with both; one that says
    /// which is taken.
    fn ambiguous_names_are_refused() {
        let sentence = refused(loader::find_file("ambiguous")?.bytes)?;
        let table = machine::symbols::table().map_err(text)?;
        let twins: Vec<u64> = table.candidates("twins::same").map(|twin| twin.address).collect();
        check!(twins.len() == 2, "{twins:x?}");
        for twin in &twins {
            check!(sentence.contains(&format!("{twin:#x}")), "{twin:#x} is not in: {sentence}");
        }
        let module = load(loader::find_file("position")?.bytes)?;
        let old = Descriptor::of(&module).replacements.first().map(|one| one.old);
        drop(module);
        loader::unload("position").map_err(text)?;
        check!(old == twins.get(1).copied(), "replaces {old:x?}, the twins are {twins:x?}");
        Ok(())
    }

    /// A module is loaded under a TOC of its own.
    fn modules_have_their_own_toc() {
        with_demo(|module| {
            check!(kernel_toc() != module.toc, "both TOCs are {:#x}", module.toc);
            let range = module.range();
            check!((range.start..range.end + 0x8000).contains(&module.toc), "TOC {:#x} of {range:x?}", module.toc);
            check!(module.stubs >= 3, "{} stubs", module.stubs);
            let patch = Descriptor::of(module);
            check!(patch.replacements.len() == 8, "{patch:?}");
            check!(module.sites > 10, "{} sites", module.sites);
            Ok(())
        })
    }

    /// Every kind of replacement function returns the right value and its
    /// caller's r2.
    fn replacements_return() {
        with_demo(|module| every_kind(|old, arguments| call(module, old, arguments)))
    }

    /// A module's functions can be traced, and have names.
    fn modules_are_traced() {
        with_demo(|module| {
            COUNT.take();
            traced(&COUNT.ops, &["kinds::is_even"], || call(module, "lab::targets::is_even", &[4]))??;
            let hits = COUNT.take();
            check!(hits == 1, "{hits} hits");
            let entry = module.function("kinds::is_even").ok_or("kinds::is_even has no symbol")?;
            let place = format!("{}", machine::symbols::Place(entry + 12));
            check!(place.starts_with("kinds::is_even+0xc/"), "{place}");
            Ok(())
        })
    }

    /// Loading, unloading and loading again leaves as much memory as before.
    fn memory_comes_back() {
        // The first time makes tables that stay.
        with_demo(|_| Ok(()))?;
        let state = || (mm::usage(), mm::code::used(), ftrace::sites().len());
        let before = state();
        for _ in 0..20 {
            with_demo(|_| Ok(()))?;
        }
        check!(state() == before, "before {before:?}, after {:?}", state());
        Ok(())
    }

    /// A module is loaded once, and not unloaded while there is a reference to it.
    fn names_are_taken_once() {
        let file = demo()?;
        with_demo(|_| {
            let sentence = refused(file.bytes)?;
            check!(sentence == "a module `kinds` is loaded already", "{sentence}");
            let result = loader::unload("kinds");
            check!(matches!(result, Err(ModuleError::InUse("kinds"))), "{result:?}");
            Ok(())
        })?;
        let result = loader::unload("kinds");
        check!(matches!(result, Err(ModuleError::NotLoaded("kinds"))), "{result:?}");
        Ok(())
    }

    /// What does not fit this kernel is refused with a sentence that says why.
    fn misfits_are_refused() {
        let info = position(&copy()?, &klp::info::MAGIC.to_le_bytes())?;
        let damage = |offset: usize, value: u8| -> Result<Vec<u8>, String> {
            let mut bytes = copy()?;
            bytes[info + offset] ^= value;
            Ok(bytes)
        };
        use core::mem::offset_of;
        let sentence = refused(&damage(offset_of!(klp::Info, build_id), 1)?)?;
        check!(sentence.contains("is for the kernel with build id"), "{sentence}");
        let sentence = refused(&damage(offset_of!(klp::Info, convention), 6)?)?;
        check!(sentence.contains("follows return convention 7 (unknown)"), "{sentence}");
        let sentence = refused(&damage(offset_of!(klp::Info, magic), 1)?)?;
        check!(sentence.contains("the descriptor begins with"), "{sentence}");
        let mut bytes = copy()?;
        let place = position(&bytes, b"lab::targets::leaf")? + "lab::targets::".len();
        bytes[place] = b'L';
        let sentence = refused(&bytes)?;
        check!(sentence.contains("lab::targets::Leaf"), "{sentence}");
        let mut bytes = copy()?;
        let place = position(&bytes, b"klp_ticks\0")?;
        bytes[place] = b'K';
        let sentence = refused(&bytes)?;
        check!(sentence.contains("Klp_ticks"), "{sentence}");
        let sentence = refused(b"not a module")?;
        check!(!sentence.is_empty(), "no sentence");
        Ok(())
    }

    /// A function with a site that is not two nops is named, with the site's words and
    /// where they are.
    fn damaged_sites_are_named() {
        let mut bytes = copy()?;
        let nop = ppc64::insn::NOP.to_le_bytes();
        let site = position(&bytes, &[nop, nop].concat())?;
        bytes[site + 4] = 1;
        seal(&mut bytes)?;
        let sentence = refused(&bytes)?;
        let expected = " has 0x60000000 0x60000001 at its local entry, +0x8, expected two nops (0x60000000)";
        check!(sentence.ends_with(expected), "{sentence}");
        check!(!sentence.starts_with("0x"), "no name: {sentence}");
        Ok(())
    }

    /// Three hundred damaged modules in a row are refused, each with the error that
    /// its damage asks for; then a good one loads and works.
    fn damage_gets_the_right_error() {
        use core::mem::offset_of;
        let mut bytes = copy()?;
        let info = position(&bytes, &klp::info::MAGIC.to_le_bytes())?;
        let outside = position(&bytes, b"klp_ticks\0")?;
        let old = position(&bytes, b"lab::targets::leaf")? + "lab::targets::".len();
        // Where, how many bytes from there, and what the sentence must say. The
        // ELF header's offsets are those of the generic ABI, chapter 4.
        let kinds: [(usize, usize, &str); 15] = [
            (0, 4, "not an elf file"),
            (4, 1, "elf class"),
            (5, 1, "elf byte order"),
            (16, 1, "elf type"),
            (18, 1, "elf machine"),
            (48, 1, "abi version"),
            (info, 8, "the descriptor begins with"),
            (info + offset_of!(klp::Info, convention), 1, "follows return convention"),
            // Bit 0 means something, and so do small numbers.
            (info + offset_of!(klp::Info, flags) + 1, 3, "the descriptor's flags are"),
            (info + offset_of!(klp::Info, object_count) + 2, 6, " objects, and "),
            (info + offset_of!(klp::Info, state_count) + 2, 6, " states, and "),
            (info + offset_of!(klp::Info, provided_count) + 2, 6, " provided functions, and "),
            (info + offset_of!(klp::Info, build_id), klp::info::BUILD_ID_BYTES, "is for the kernel with build id"),
            (outside, 9, "unresolved symbol `"),
            (old, 4, "old function: no symbol `lab::targets::"),
        ];
        let mut refusals = 0;
        for round in 0..30 {
            for (place, length, expected) in kinds {
                let at = place + round % length;
                // Never the same byte, never a zero, and an odd change at that: an
                // ABI version of 3, a type of 2.
                let flip = 1 + 2 * (round as u8 % 8);
                bytes[at] ^= flip;
                let result = loader::load(&bytes).map(|module| module.name.clone());
                let sentence = match result {
                    Ok(name) => format!("loaded as `{name}`"),
                    Err(error) => format!("{error}"),
                };
                bytes[at] ^= flip;
                check!(sentence.contains(expected), "byte {at:#x} ^ {flip:#x}: {sentence}");
                refusals += 1;
            }
            let short = bytes.len() * (round + 1) / 40;
            let sentence = refused(&bytes[..short])?;
            check!(sentence.starts_with("truncated: "), "{short} bytes: {sentence}");
            refusals += 1;
        }
        check!(refusals >= 300, "only {refusals} refusals");
        drop(bytes);
        with_demo(|module| {
            let found = call(module, "lab::targets::leaf", &[5])?;
            check!(found[0] == 17, "leaf: {found:?}");
            Ok(())
        })
    }

    /// Hundreds of modules with random damage are refused one after the other, or
    /// the damage does no harm; then a good one loads and works.
    fn damaged_modules_are_refused() {
        // The first time makes tables that stay.
        with_demo(|_| Ok(()))?;
        let good = copy()?;
        let mut random = Random(0x2545_f491_4f6c_dd1d);
        let mut next = || random.number() as usize;
        let (mut refusals, mut tried) = (0, 0);
        let before = (mm::usage(), mm::code::used(), ftrace::sites().len());
        while refusals < 300 {
            tried += 1;
            check!(tried < 3000, "only {refusals} of {tried} damaged modules were refused");
            let mut bytes = good.clone();
            if tried % 4 == 0 {
                bytes.truncate(next() % good.len());
            } else {
                // Headers at either end are hit as often as all the rest.
                let place = match next() % 3 {
                    0 => next() % 64,
                    1 => bytes.len() - 1 - next() % 1024,
                    _ => next() % bytes.len(),
                };
                bytes[place] ^= 1 << (next() % 8);
            }
            match loader::load(&bytes) {
                Err(error) => {
                    check!(!format!("{error}").is_empty(), "refused without a sentence");
                    refusals += 1;
                }
                // The damage was where no check looks. It must not run, though.
                Ok(module) => {
                    let name = module.name.clone();
                    drop(module);
                    loader::unload(&name).map_err(text)?;
                }
            }
        }
        let after = (mm::usage(), mm::code::used(), ftrace::sites().len());
        drop(good);
        check!(before.1 == after.1 && before.2 == after.2 && before.0 == after.0, "before {before:?}, after {after:?}");
        with_demo(|module| {
            let found = call(module, "lab::targets::leaf", &[5])?;
            check!(found[0] == 17, "leaf: {found:?}");
            Ok(())
        })
    }
}
