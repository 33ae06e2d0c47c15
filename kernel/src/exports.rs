//! What the kernel exports to modules. The other side is `klp::kernel`.

use crate::{
    backtrace::{self, Step, What},
    bank, exercises,
    laboratory::victims as laboratory,
    livepatch::{self, shadow},
    module, thread, time, victims,
};
use alloc::alloc::Layout;
use core::{ptr, ptr::NonNull, slice, time::Duration};

/// Name and address of an exported function's global entry.
type Export = (&'static str, *const ());

/// Addresses in a constant, which nobody changes.
struct Exports(&'static [Export]);

// SAFETY: constants.
unsafe impl Sync for Exports {}

static EXPORTS: Exports = Exports(&[
    ("klp_print", klp_print as *const ()),
    ("klp_allocate", klp_allocate as *const ()),
    ("klp_deallocate", klp_deallocate as *const ()),
    ("klp_panic", klp_panic as *const ()),
    ("klp_ticks", klp_ticks as *const ()),
    ("klp_shadow_get", klp_shadow_get as *const ()),
    ("klp_shadow_alloc", klp_shadow_alloc as *const ()),
    (
        "klp_shadow_get_or_alloc",
        klp_shadow_get_or_alloc as *const (),
    ),
    ("klp_shadow_free", klp_shadow_free as *const ()),
    ("klp_shadow_free_all", klp_shadow_free_all as *const ()),
    ("klp_previous_state", klp_previous_state as *const ()),
    ("klp_safe_point", klp_safe_point as *const ()),
    ("klp_yield", klp_yield as *const ()),
    ("klp_sleep", klp_sleep as *const ()),
    ("klp_thread_name", klp_thread_name as *const ()),
    ("rust_twice", victims::rust_twice as *const ()),
    ("c_leaf", victims::c_leaf as *const ()),
    ("bank_paid_in", bank::bank_paid_in as *const ()),
    ("exercise_say", exercises::exercise_say as *const ()),
    (
        "exercise_note_toll",
        exercises::exercise_note_toll as *const (),
    ),
    (
        "exercise_pump_is_ready",
        exercises::exercise_pump_is_ready as *const (),
    ),
    (
        "exercise_open_valve",
        exercises::exercise_open_valve as *const (),
    ),
    (
        "exercise_close_valve",
        exercises::exercise_close_valve as *const (),
    ),
    (
        "exercise_bell_rings",
        exercises::exercise_bell_rings as *const (),
    ),
    ("test_note", victims::live::test_note as *const ()),
    ("test_stay", victims::live::test_stay as *const ()),
    ("test_level", victims::live::test_level as *const ()),
    ("lab_leaf", laboratory::lab_leaf as *const ()),
    ("lab_inside", laboratory::inside as *const ()),
    ("lab_second", laboratory::second as *const ()),
    ("lab_twice", laboratory::twice as *const ()),
    ("lab_recursive", laboratory::recursive as *const ()),
    ("lab_endless", laboratory::endless as *const ()),
    ("lab_note_depth", laboratory::note_depth as *const ()),
    ("lab_pause", laboratory::pause as *const ()),
    ("lab_look_here", laboratory::look_here as *const ()),
    ("lab_wait_for", laboratory::wait_for as *const ()),
]);

/// All names, each with the global entry of its function.
pub fn all() -> impl Iterator<Item = (&'static str, u64)> {
    EXPORTS
        .0
        .iter()
        .map(|&(name, function)| (name, function as u64))
}

/// The global entry of the function that is exported under a name.
#[must_use]
pub fn find(name: &str) -> Option<u64> {
    let export = EXPORTS.0.iter().find(|(export, _)| *export == name)?;
    Some(export.1 as u64)
}

/// Hands the text that a module has passed to `use_it`, and returns what that returns.
///
/// # Safety
/// `length` bytes are at `text`, which nobody writes to meanwhile.
unsafe fn with_text<T>(text: *const u8, length: usize, use_it: impl FnOnce(&str) -> T) -> T {
    // SAFETY: as the caller promises.
    let bytes = unsafe { slice::from_raw_parts(text, length) };
    use_it(core::str::from_utf8(bytes).unwrap_or("(not UTF-8)"))
}

extern "C" fn klp_print(start: *const u8, length: usize) {
    // SAFETY: a module passes a `&str`, which it borrows until this returns.
    unsafe { with_text(start, length, |text| print!("{text}")) };
}

extern "C" fn klp_allocate(size: usize, align: usize) -> *mut u8 {
    match Layout::from_size_align(size, align) {
        // SAFETY: the size is not zero.
        Ok(layout) if size > 0 => unsafe { alloc::alloc::alloc(layout) },
        _ => core::ptr::null_mut(),
    }
}

extern "C" fn klp_deallocate(block: *mut u8, size: usize, align: usize) {
    if let Ok(layout) = Layout::from_size_align(size, align)
        && !block.is_null()
        && size > 0
    {
        // SAFETY: a module gives back what `klp_allocate` gave it, with the
        // layout that it asked for.
        unsafe { alloc::alloc::dealloc(block, layout) }
    }
}

extern "C" fn klp_panic(start: *const u8, length: usize) -> ! {
    // SAFETY: a module passes a `&str`, which it borrows for good.
    unsafe { with_text(start, length, |message| panic!("in a module: {message}")) }
}

extern "C" fn klp_ticks() -> u64 {
    time::ticks()
}

fn pointer(block: Option<NonNull<u8>>) -> *mut u8 {
    block.map_or(ptr::null_mut(), NonNull::as_ptr)
}

extern "C" fn klp_shadow_get(object: *const (), id: u64) -> *mut u8 {
    pointer(shadow::get(object.addr(), id))
}

/// One of the two functions that make a shadow variable.
type Maker = fn(usize, u64, Layout, Option<(shadow::Init, *mut ())>) -> Option<NonNull<u8>>;

fn make(
    maker: Maker,
    (object, id): (*const (), u64),
    (size, align): (usize, usize),
    init: Option<shadow::Init>,
    data: *mut (),
) -> *mut u8 {
    let Ok(layout) = Layout::from_size_align(size, align) else {
        return ptr::null_mut();
    };
    let init = init.map(|init| (init, data));
    pointer(maker(object.addr(), id, layout, init))
}

extern "C" fn klp_shadow_alloc(
    object: *const (),
    id: u64,
    size: usize,
    align: usize,
    init: Option<shadow::Init>,
    data: *mut (),
) -> *mut u8 {
    make(shadow::attach, (object, id), (size, align), init, data)
}

extern "C" fn klp_shadow_get_or_alloc(
    object: *const (),
    id: u64,
    size: usize,
    align: usize,
    init: Option<shadow::Init>,
    data: *mut (),
) -> *mut u8 {
    make(
        shadow::get_or_attach,
        (object, id),
        (size, align),
        init,
        data,
    )
}

extern "C" fn klp_shadow_free(object: *const (), id: u64, free: Option<shadow::Free>) {
    shadow::detach(object.addr(), id, free);
}

extern "C" fn klp_shadow_free_all(id: u64, free: Option<shadow::Free>) {
    shadow::detach_all(id, free);
}

extern "C" fn klp_previous_state(id: u32) -> *const () {
    let mut steps = [Step {
        code: 0,
        what: What::Call,
    }; 8];
    let count = backtrace::here(&mut steps);
    // Who asks: the innermost code of a module.
    let mut callers = steps[..count].iter().map(Step::place);
    let caller = callers.find(|&code| module::is_code(code)).unwrap_or(0);
    let state = livepatch::previous_state(id, caller).unwrap_or(0);
    ptr::with_exposed_provenance(state as usize)
}

extern "C" fn klp_safe_point() {
    thread::safe_point();
}

extern "C" fn klp_yield() {
    thread::yield_now();
}

extern "C" fn klp_sleep(milliseconds: u64) {
    thread::sleep(Duration::from_millis(milliseconds));
}

extern "C" fn klp_thread_name(buffer: *mut u8, room: usize) -> usize {
    thread::with_current(|thread| {
        let name = thread.name().as_bytes();
        let length = name.len().min(room);
        // SAFETY: a module passes a buffer of its own with so much room.
        unsafe { ptr::copy_nonoverlapping(name.as_ptr(), buffer, length) };
        length
    })
    .unwrap_or(0)
}
