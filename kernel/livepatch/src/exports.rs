//! What modules may call of live patching. The other side is in `klp::kernel`.
//!
//! Shadow variables have their names for the linker too: an edit of the kernel itself that uses
//! `klp::shadow` links, and so becomes a live patch.

use super::shadow;
use alloc::alloc::Layout;
use core::{ptr, ptr::NonNull};
use loader::export;
use thread::backtrace::{self, Step, What};

export! {
    klp_shadow_get,
    klp_shadow_alloc,
    klp_shadow_get_or_alloc,
    klp_shadow_free,
    klp_shadow_free_all,
    klp_previous_state,
}

fn pointer(block: Option<NonNull<u8>>) -> *mut u8 {
    block.map_or(ptr::null_mut(), NonNull::as_ptr)
}

#[unsafe(no_mangle)]
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

#[unsafe(no_mangle)]
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

#[unsafe(no_mangle)]
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

#[unsafe(no_mangle)]
extern "C" fn klp_shadow_free(object: *const (), id: u64, free: Option<shadow::Free>) {
    shadow::detach(object.addr(), id, free);
}

#[unsafe(no_mangle)]
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
    let caller = callers.find(|&code| loader::is_code(code)).unwrap_or(0);
    let state = super::previous_state(id, caller).unwrap_or(0);
    ptr::with_exposed_provenance(state as usize)
}
