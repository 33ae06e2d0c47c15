//! What the kernel exports to modules. The other side is `klp::kernel`.

use crate::{time, victims};
use alloc::alloc::Layout;
use core::slice;

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
    ("rust_twice", victims::rust_twice as *const ()),
    ("c_leaf", victims::c_leaf as *const ()),
]);

/// The global entry of the function that is exported under a name.
#[must_use]
pub fn find(name: &str) -> Option<u64> {
    let export = EXPORTS.0.iter().find(|(export, _)| *export == name)?;
    Some(export.1 as u64)
}

/// The text that a module has passed.
///
/// # Safety
/// `length` readable bytes are at `text`.
unsafe fn text<'a>(text: *const u8, length: usize) -> &'a str {
    // SAFETY: as the caller promises.
    let bytes = unsafe { slice::from_raw_parts(text, length) };
    core::str::from_utf8(bytes).unwrap_or("(not UTF-8)")
}

extern "C" fn klp_print(start: *const u8, length: usize) {
    // SAFETY: a module passes text of its own.
    print!("{}", unsafe { text(start, length) });
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
    // SAFETY: a module passes text of its own.
    let message = unsafe { text(start, length) };
    panic!("in a module: {message}");
}

extern "C" fn klp_ticks() -> u64 {
    time::ticks()
}
