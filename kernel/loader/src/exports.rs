//! What modules may call. Each owner exports its own functions, with
//! [`export!`](crate::export!), and the linker collects them in a section. The functions
//! here give modules the machine and the threads; the other side is `klp::kernel`.

use alloc::{alloc::Layout, vec::Vec};
use core::{ptr, slice, time::Duration};
use machine::time;

/// A function that modules may call.
#[derive(Debug)]
#[repr(C)]
pub struct Export {
    /// The name by which modules call it.
    pub name: &'static str,
    /// Its global entry.
    pub function: *const (),
}

// SAFETY: constants.
unsafe impl Sync for Export {}

/// Exports functions to modules, each under its own name or under the one in front of it:
/// `export! { own_name, "lab_inside" => inside }`. All names are in one name space, as C's.
#[macro_export]
macro_rules! export {
    (@name $function:ident) => { stringify!($function) };
    (@name $function:ident $name:literal) => { $name };
    ($($($name:literal =>)? $function:ident),+ $(,)?) => {$(
        const _: () = {
            #[used]
            #[unsafe(link_section = ".exports")]
            static EXPORT: $crate::Export = $crate::Export {
                name: $crate::export!(@name $function $($name)?),
                function: $function as *const (),
            };
        };
    )+};
}

fn table() -> &'static [Export] {
    // SAFETY: the linker script puts the section between the two symbols, and only
    // `export!` puts anything there: `Export`s.
    unsafe { machine::collected!(Export, __exports_start, __exports_end) }
}

/// All functions that modules may call, by name.
#[must_use]
pub fn exports() -> Vec<&'static Export> {
    let mut all: Vec<_> = table().iter().collect();
    all.sort_unstable_by_key(|export| export.name);
    all
}

/// The global entry of the function that is exported under a name.
#[must_use]
pub(super) fn find(name: &str) -> Option<u64> {
    let export = table().iter().find(|export| export.name == name)?;
    Some(export.function as u64)
}

export! {
    klp_print,
    klp_allocate,
    klp_deallocate,
    klp_panic,
    klp_ticks,
    klp_safe_point,
    klp_yield,
    klp_sleep,
    klp_thread_name,
}

/// Hands the text that a module has passed to `use_it`, and returns what that returns.
///
/// # Safety
/// `length` bytes are at `text`, and no code writes to them meanwhile.
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
        _ => ptr::null_mut(),
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
