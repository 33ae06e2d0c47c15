//! Hooks for the debugger's scripts (`scripts/gdb`): functions that do nothing, called when
//! code has come or gone that no ELF file tells of, or when calls of patched functions
//! take another way. The scripts have breakpoints there. Before that they set
//! `KLP_DEBUGGER_ATTACHED`; until then the hooks are not even called.

use core::{
    hint::black_box,
    sync::atomic::{AtomicU64, Ordering},
};
use klp::Convention;
use memmap::Range;

/// Set by the debugger when it wants the hooks to be called. Not in `.bss`, so that it
/// may be set before that is cleared.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".data.debugger")]
static KLP_DEBUGGER_ATTACHED: AtomicU64 = AtomicU64::new(0);

/// Whether a debugger wants to be told.
#[inline]
fn is_attached() -> bool {
    KLP_DEBUGGER_ATTACHED.load(Ordering::Relaxed) != 0
}

/// The sections of a module that a debugger is told of. Those that a module lacks are
/// left out.
const SECTIONS: [&str; 6] = [".text", ".rodata", ".data.rel.ro", ".toc", ".data", ".bss"];

/// A section of a module.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
struct Section {
    /// Where its name is.
    name: *const u8,
    /// How long that is.
    length: u64,
    /// Where it lies; zero if the module has none.
    address: u64,
}

/// Tells the debugger that a module of a return convention was loaded, before any code
/// can call it. `section` says where a section lies.
pub fn module_loaded(
    name: &str,
    convention: Convention,
    section: impl Fn(&'static str) -> Option<core::ops::Range<u64>>,
) {
    if is_attached() {
        let sections = SECTIONS.map(|name| Section {
            name: name.as_ptr(),
            length: name.len() as u64,
            address: section(name).map_or(0, |range| range.start),
        });
        klp_debugger_module_loaded(
            name.as_ptr(),
            name.len() as u64,
            convention.name().as_ptr(),
            convention.name().len() as u64,
            sections.as_ptr(),
            sections.len() as u64,
        );
    }
}

/// Tells that a module's code is about to be freed.
pub fn module_gone(range: &Range) {
    if is_attached() {
        klp_debugger_module_gone(range.start);
    }
}

/// What decides on which side a call is: see `livepatch::patched`.
#[derive(Clone, Copy, Debug)]
pub struct Sides {
    /// Where the running transition's number is.
    pub number: *const AtomicU64,
    /// From the CPU's data to the address of the running thread.
    pub current: usize,
    /// From there to its patch state.
    pub patch_state: usize,
}

/// Tells that calls of patched functions are about to take another way, or do so now.
pub fn ways_changed(sides: Sides) {
    if is_attached() {
        klp_debugger_ways_changed(sides.number, sides.current as u64, sides.patch_state as u64);
    }
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn klp_debugger_module_loaded(
    name: *const u8,
    length: u64,
    convention: *const u8,
    convention_length: u64,
    sections: *const Section,
    count: u64,
) {
    black_box((name, length, convention, convention_length, sections, count));
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn klp_debugger_module_gone(start: u64) {
    black_box(start);
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn klp_debugger_ways_changed(number: *const AtomicU64, current: u64, patch_state: u64) {
    black_box((number, current, patch_state));
}
